"""A model whose prior was fitted to its codes after its training."""

from functools import cache
from types import new_class
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lightning_gen.contracts import (
    Batch,
    Decodes,
    DrawsCodes,
    Encodes,
    Infers,
    Quantizes,
    able,
    condition_on,
    require,
)
from lightning_gen.errors import UserError
from lightning_gen.models.module import SamplesPrior
from lightning_gen.objectives import DiagonalGaussian
from lightning_gen.priors import Prior, VampPrior, VectorPrior


def codes_to_fit(model: LightningModule, batch: Batch) -> Tensor:
    """The codes of images that a prior of the model is fitted to.

    Entries of codebooks, draws of the posterior (all images together have the aggregate posterior,
    to which the best prior is equal), or the codes of a deterministic encoder.
    """
    knowing: Any = condition_on(model, batch)
    if isinstance(knowing, Quantizes):
        return knowing.quantize(batch.images)
    if isinstance(knowing, DrawsCodes):
        return knowing.draw_codes(batch.images).float()
    if isinstance(knowing, Infers):
        posterior = knowing.posterior(batch.images)
        return DiagonalGaussian(posterior.mean, posterior.log_var).sample()
    codes: Tensor = knowing.encode(batch.images)
    return codes.float()


def check_prior(model: LightningModule, prior: Prior) -> None:
    """Raise a UserError where the model has no codes, or others than the prior is of."""
    require(model, (Encodes, Decodes), "a fitted prior", "Choose another model.")
    if isinstance(prior, VampPrior):
        prior.fit(torch.empty(0, 0))  # says that it is trained with its model
    if able(model, (Quantizes,)) == isinstance(prior, VectorPrior):
        name, other = type(prior).__name__, "GaussianMixture"
        codes = "vectors"
        if able(model, (Quantizes,)):
            codes, other = "entries of codebooks", "Autoregressive"
        raise UserError(
            f"the codes of {type(model).__name__} are {codes}, and {name} is no prior of these. "
            f"Fit for instance {other}."
        )


def use_prior(model: LightningModule, prior: Prior) -> None:
    """Let a model draw from a prior that was fitted to its codes; a UserError at other codes."""
    check_prior(model, prior)
    if not isinstance(model, SamplesPrior | Quantizes):
        model.__class__ = sampling(type(model))  # type: ignore[arg-type]
        model.latent_dim = prior.latent_dim
    if isinstance(prior, VectorPrior) and prior.latent_dim != model.latent_dim:
        raise UserError(
            f"the prior is of codes of length {prior.latent_dim}, and those of "
            f"{type(model).__name__} have {model.latent_dim}. Fit one to this model."
        )
    if not has_fitted_prior(model):
        model.register_load_state_dict_pre_hook(_with_fitted_prior)  # type: ignore[no-untyped-call]
        vars(model)["_has_fitted_prior"] = True
    model.prior = prior.to(model.device)


def _with_fitted_prior(
    model: Any,  # noqa: ANN401  (what has a prior)
    state_dict: dict[str, Any],
    prefix: str,
    *rest: object,
) -> None:
    """Let the weights of a checkpoint leave a fitted prior as it is."""
    own = f"{prefix}prior."
    for name in [name for name in state_dict if name.startswith(own)]:
        del state_dict[name]
    state_dict |= {own + name: value for name, value in model.prior.state_dict().items()}


def has_fitted_prior(model: LightningModule) -> bool:
    """Whether a model draws from a prior that was fitted to its codes."""
    return bool(vars(model).get("_has_fitted_prior"))


@cache
def sampling(kind: type[LightningModule]) -> type[LightningModule]:
    """The class of models of a kind that draws no images itself, with a prior.

    Its name is another one: parsers find classes by theirs.
    """
    body = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": _reduce}
    name = f"{kind.__name__}WithPrior"
    return new_class(name, (kind, SamplesPrior), exec_body=lambda names: names.update(body))


def _reduce(model: LightningModule) -> tuple[Any, ...]:
    """How the model is copied and pickled: its class is made, and imported from nowhere."""
    return _empty, (type(model).__bases__[0],), vars(model)


def _empty(kind: Any) -> LightningModule:  # noqa: ANN401  (a type, which mypy finds unhashable)
    made = sampling(kind)
    return made.__new__(made)
