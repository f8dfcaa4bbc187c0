"""How unusual images are to a model of normal ones, and how well that tells anomalies from them."""

import numpy as np
import torch
from jaxtyping import Float, Shaped
from sklearn.covariance import LedoitWolf
from torch import Tensor

from lightning_gen.contracts import Codes, EstimatesLikelihood, Images, PerImage
from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate, KeptNumbers

AnomalyScores = Float[Tensor, " n"]


def negative_elbo(model: EstimatesLikelihood, images: Images, num_samples: int) -> PerImage:
    """The negative ELBO of each image in nats, the mean over so many draws of its posterior."""
    draws = [model.log_weights(images, 1)[0] for _ in range(num_samples)]
    return -torch.stack(draws).mean(dim=0)


class MahalanobisDistance:
    """The distance of codes to those of normal images, in standard deviations.

    sqrt((z - m)^T C^-1 (z - m)) with the mean m and the covariance C of the normal codes [N, D],
    shrunk as Ledoit & Wolf 2004 do. On features that know the images it tells anomalies well
    (Rippel, Mertens & Merhof 2020, arXiv:2005.14140).
    """

    def __init__(self, codes: Codes) -> None:
        fitted = LedoitWolf().fit(codes.double().cpu().numpy())
        self._mean = torch.from_numpy(np.asarray(fitted.location_))
        self._precision = torch.from_numpy(np.asarray(fitted.precision_))

    def __call__(self, codes: Codes) -> PerImage:
        """The distance of each code."""
        away = codes.double().cpu() - self._mean
        return ((away @ self._precision) * away).sum(dim=1).clamp(min=0).sqrt().float()


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
