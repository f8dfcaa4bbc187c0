"""Scores by trained predictors of the factors: DCI and SAP."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying
from lightning_gen.metrics.estimate import Estimate


class DCIScores(NamedTuple):
    """The three scores of Eastwood & Williams 2018, each from 0 to 1; higher is better."""

    disentanglement: Estimate
    completeness: Estimate
    informativeness: Estimate


def disentanglement(importance: Float[Tensor, "d f"]) -> Float[Tensor, ""]:
    """sum_j w_j (1 - H_f(p_j)): p_j is how dimension j's importance is shared among factors.

    w_j is the dimension's share of all importance, H_f an entropy with base f, the number of
    factors. A single factor gives 1, no importance at all 0. Of the transposed matrix it is the
    completeness, which asks for one dimension for each factor.
    """
    importance = importance.clamp(min=0)  # rounding leaves some at -1e-17
    shares = importance / importance.sum(dim=1, keepdim=True).clamp(min=1e-12)
    base = torch.tensor(max(importance.shape[1], 2)).log()
    concentration = 1 + torch.xlogy(shares, shares).sum(dim=1) / base
    return (importance.sum(dim=1) * concentration).sum() / importance.sum().clamp(min=1e-12)


class DCI(CodesAndFactors):
    """Disentanglement, completeness, informativeness (Eastwood & Williams 2018, ICLR).

    Disentanglement: does each dimension matter for one factor only? Completeness: is each factor
    said by one dimension only? Informativeness: the accuracy with which predictors tell the
    factors' values on images that they were not trained on, averaged over factors. Each from 0 to
    1, without unit; higher is better. A code that says nothing has about 0, 0 and the accuracy of
    guessing.

    Importance is that of scikit-learn's GradientBoostingClassifier, one a factor, with its own
    settings, as in Locatello et al. 2019 (arXiv:1811.12359), who train on 10,000 images. Scores of
    different ``trees`` or ``num_train`` do not compare. Cost: ``trees`` trees for each value of
    each factor, about 2.5 minutes on one core for 5,000 training images, 10 dimensions and 113
    values in all.

    Args:
        num_train: how many images train the predictors, two thirds at most; the others test.
        trees: boosting rounds.
        seed: see CodesAndFactors.
    """

    def __init__(self, num_train: int = 5_000, trees: int = 100, seed: int = 0) -> None:
        super().__init__(seed)
        self.num_train = num_train
        self.trees = trees

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, "3"]:
        """Disentanglement, completeness and informativeness; the first images train."""
        from sklearn.ensemble import GradientBoostingClassifier  # here: it takes half a second

        count = min(self.num_train, len(codes) * 2 // 3)
        x, y = codes.numpy(), factors.numpy()
        importances, accuracies = [], []
        for k in tqdm(varying(factors[:count]), desc="DCI", unit="factor", disable=None):
            model = GradientBoostingClassifier(n_estimators=self.trees, random_state=self.seed)
            model.fit(x[:count], y[:count, k])
            importances.append(torch.from_numpy(model.feature_importances_))
            accuracies.append(float(model.score(x[count:], y[count:, k])))
        importance = torch.stack(importances, dim=1)
        informativeness = sum(accuracies) / len(accuracies)
        scores = [disentanglement(importance), disentanglement(importance.T), informativeness]
        return torch.tensor(scores, dtype=torch.float64)

    def compute(self) -> DCIScores:  # type: ignore[override]
        """The scores of all images."""
        return DCIScores(*map(Estimate, *super().compute()))


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
    """

    def __init__(self, num_train: int = 10_000, seed: int = 0) -> None:
        super().__init__(seed)
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
