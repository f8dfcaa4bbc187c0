"""The separated attribute predictability score."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying


def accuracy_of_one_dimension(
    codes: Float[Tensor, " n"], factor: Int[Tensor, " n"], num_train: int
) -> float:
    """Accuracy, on the images after the first ``num_train``, of a linear classifier of a factor."""
    from sklearn.svm import LinearSVC  # here: it takes half a second

    x, y = codes[:, None].numpy(), factor.numpy()
    # The solver draws nothing, but asks for a seed: of the global random state, if not given one.
    model = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=0)
    model.fit(x[:num_train], y[:num_train])
    return float(model.score(x[num_train:], y[num_train:]))


class SAP(CodesAndFactors):
    """Separated attribute predictability (Kumar et al. 2018, arXiv:1711.00848, section 3).

    How much better the best single dimension tells a factor's values than the second best, averaged
    over factors. Without unit; higher is better; 0 for a code that says nothing. A perfect code
    reaches 1 - 1/K at most for a factor of K equally frequent values, since any dimension guesses
    one in K. Of many values it reaches far less: the classifier is linear and sees one dimension.

    The classifier is scikit-learn's LinearSVC with C = 0.01 and balanced classes, as in Locatello
    et al. 2019 (arXiv:1811.12359). Its penalty makes it deaf to dimensions of a small scale, and to
    few images. Cost: one classifier a dimension and factor, milliseconds a value.

    Args:
        num_train: how many images train the classifiers, two thirds at most; the others test.
        seed: see CodesAndFactors.
        kwargs: passed to torchmetrics.Metric.
    """

    def __init__(
        self,
        num_train: int = 10_000,
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(seed, **kwargs)
        self.num_train = num_train

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Mean over factors of the gap in accuracy between the two dimensions that predict it best.

        The first images train the classifiers. A code of one dimension has a constant second one.
        """
        count = min(self.num_train, len(codes) * 2 // 3)
        factors = factors[:, varying(factors[:count])]
        constant = torch.zeros(len(codes), max(0, 2 - codes.shape[1]))
        dimensions = torch.cat([codes, constant], dim=1).double().T
        accuracies = torch.tensor(
            [
                [accuracy_of_one_dimension(z, factor, count) for z in dimensions]
                for factor in factors.T
            ],
            dtype=torch.float64,
        )
        best, second = accuracies.topk(2, dim=1).values.T
        return torch.mean(best - second)
