"""How well a score tells anomalous images from normal ones."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate, KeptNumbers

AnomalyScores = Float[Tensor, " n"]


class AUROC(KeptNumbers):
    """Area under the ROC curve: the probability that an anomaly scores higher than a normal image.

    From 0 to 1, higher is better, 0.5 is chance; ties count one half. The standard error is that
    of DeLong, DeLong & Clarke-Pearson 1988. Scores may be of any scale: they are only ranked.
    """

    higher_is_better: bool | None = True

    names = ("scores", "anomalous")

    def update(self, scores: AnomalyScores, anomalous: Shaped[Tensor, " n"]) -> None:
        """Add the scores of a batch of images, high for anomalies, which are 1 or true."""
        self.keep(scores.double(), anomalous.bool())

    def compute(self) -> Estimate:
        """The area and its standard error, of two or more normal and anomalous images each."""
        scores, anomalous = self.kept()
        if scores.isnan().any():
            raise UserError("AUROC ranks scores, got nan. Take weights that have not diverged.")
        anomalies, normals = scores[anomalous], scores[~anomalous]
        if min(len(anomalies), len(normals)) < 2:
            raise UserError(
                f"an AUROC needs two or more normal and anomalous images each, got {len(normals)} "
                f"and {len(anomalies)}. Evaluate on a split that holds both."
            )
        of_anomalies, of_normals = share_below(anomalies, normals), share_below(normals, anomalies)
        variance = of_anomalies.var() / len(anomalies) + of_normals.var() / len(normals)
        return Estimate(of_anomalies.mean(), variance.sqrt())


def share_below(values: AnomalyScores, others: Float[Tensor, " m"]) -> AnomalyScores:
    """For each value the share of ``others`` below it, equal ones counted half."""
    ordered = others.sort().values
    below = torch.searchsorted(ordered, values, right=False)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to).double() / (2 * len(others))
