"""Priors fitted to the codes of finished runs."""

from pathlib import Path

import torch

from lightning_gen.pictures import Samples, Seen
from lightning_gen.priors import Prior
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs
from lightning_gen.runs.outputs import write_view
from lightning_gen.training.checkpoint import load_checkpoint
from lightning_gen.training.fitted_prior import (
    ENDING,
    FILE,
    codes_of_training,
    describe_prior,
    fit_to_codes,
    keep_prior,
)


def fit_prior(run: FinishedRun, out: Path, prior: Prior | None = None) -> Path:
    """Fit a prior to the codes of the training images, from which the run then samples.

    Args:
        run: the finished run.
        out: where the prior is kept; the run draws from that of its own directory.
        prior: such as GaussianMixture, the default, or NormalizingFlow; of a model with codebooks
            Autoregressive. --prior.components 50 sets an option of it.
    """
    with torch.no_grad():
        inputs = SplitInputs(run, "train")
        inputs.loader  # noqa: B018  (loaded now: their number decides how many codes each image has)
        batches = (batch for batch, _ in inputs.shown("encoding"))
        fitted = fit_to_codes(run.model, codes_of_training(run.model, batches, run.data), prior)
        kept = keep_prior(fitted, out, run.checkpoint)
        print(f"{describe_prior(fitted)}, fitted to the codes of the training images")
        if out == run.path / FILE:
            drawn = Samples().draw(run.model, Seen())
            step = load_checkpoint(run.checkpoint)["global_step"]
            page = run.path / "images" / f"samples{ENDING}" / f"{step:08d}.png"
            write_view(drawn._replace(title=f"Samples from {describe_prior(fitted)}"), page)
    return kept
