"""What the posterior says over all images, and how far it is from the prior."""

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_gen.callbacks.code_use import per_dimension
from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home
from lightning_gen.contracts import Batch, Infers, condition_on
from lightning_gen.errors import UserError
from lightning_gen.metrics import ActiveUnits, Estimate, KLPerDimension, MutualInformation, PriorMMD
from lightning_gen.priors import StandardNormal
from lightning_gen.quantities import NATS


class AggregatePosterior(Evaluation):
    """Scores the posterior q(z|x) and its mean over the data, q(z), against p(z) = N(0, I).

    ``posterior_kl``, the mean KL(q(z|x) || p(z)), is the sum of ``mutual_information``, I(x; z),
    and ``marginal_kl_upper_bound``, KL(q(z) || p(z)); all three in nats. N images show a mutual
    information of at most log N (:class:`~lightning_gen.metrics.MutualInformation`): where it is
    near that, a warning and the card's ``capped`` say so, ``at_most`` is its upper bound, and it
    and what is left to ``marginal_kl_upper_bound`` are bounds without a standard error.
    ``prior_mmd`` is the squared MMD between
    q(z) and p(z), ``active_units`` how many dimensions vary, and ``kl_dimension/00``, ``/01``, ...
    the KL of each in nats. 10,000 images of 20 dimensions take half a minute of one CPU core.
    """

    requires = (Infers,)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError where the prior is not N(0, I), to which all of this is."""
        super().setup(trainer, pl_module, stage)
        if not isinstance(prior := getattr(pl_module, "prior", None), StandardNormal | None):
            raise UserError(
                f"{type(self).__name__} measures the distance to N(0, I), and the prior of this "
                f"model is {type(prior).__name__}. Leave it out, or pass --prior none where that "
                "was fitted."
            )

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the posteriors."""
        device = home(pl_module)
        self._information = MutualInformation(self.seed).to(device)
        self._mmd = PriorMMD(seed=self.seed).to(device)
        self._units: ActiveUnits | None = None
        self._dimensions: KLPerDimension | None = None

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """The posteriors of the batch."""
        posterior = condition_on(pl_module, batch).posterior(batch.images)
        device = self._mmd.device
        mean, log_var = posterior.mean.to(device), posterior.log_var.to(device)
        if self._units is None or self._dimensions is None:
            self._units = ActiveUnits(mean.shape[1]).to(device)
            self._dimensions = KLPerDimension(mean.shape[1]).to(device)
        self._units.update(mean)
        for metric in (self._information, self._mmd, self._dimensions):
            metric.update(mean, log_var)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """The scores of all posteriors."""
        assert self._units is not None
        assert self._dimensions is not None
        found = self._information.compute()
        bounds = {"capped": found.capped, "at_most": found.at_most.item()}
        if found.capped:
            rank_zero_warn(
                f"mutual_information is between {found.mutual_information.value:.4g} and "
                f"{found.at_most:.4g} nats: it is too near the logarithm of the number of images "
                f"for {type(self).__name__}, and marginal_kl_upper_bound is no more than that. "
                "Raise num_images, should there be more."
            )
        yield "posterior_kl", Score(found.posterior_kl, NATS)
        yield "mutual_information", Score(found.mutual_information, NATS, bounds)
        yield "marginal_kl_upper_bound", Score(found.marginal_kl, "nats", {"capped": found.capped})
        yield "prior_mmd", Score(self._mmd.compute(), "none", {"kernel": "InverseMultiquadratics"})
        unknown = torch.tensor(float("nan"))
        units = Estimate(self._units.compute().double(), unknown)
        yield "active_units", Score(units, "dimensions")
        for name, nats in per_dimension("kl_dimension", self._dimensions.compute()).items():
            yield name, Score(Estimate(nats, unknown), NATS)
