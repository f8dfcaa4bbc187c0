"""New images from a finished run."""

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from lightning_gen import contracts
from lightning_gen.contracts import Conditional, Decodes, Images, SamplesCodes, able
from lightning_gen.errors import UserError, check_number, nearest
from lightning_gen.pictures import View
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.outputs import numbered, write, write_view


def sample(
    run: FinishedRun,
    out: Path,
    num_images: int = 64,
    labels: Sequence[str] | None = None,
    batch_size: int = 256,
    temperature: float = 1.0,
) -> Path:
    """Make new images.

    Args:
        run: the finished run.
        out: a page (.png, .pdf or .svg), a folder of PNGs, or an .npz with the images and, where
            the model has a normal prior, their codes.
        num_images: how many; with --labels, of each.
        labels: classes or attributes of a conditional model, one row each, with the same noise;
            "Smiling+Blond_Hair" has both attributes.
        batch_size: images made at once.
        temperature: below 1, images are drawn from nearer to the modes of the prior.
    """
    run.require((contracts.SamplesImages,), "sample")
    check_number(
        "--temperature", temperature, 0, "Pass 1, or 0.7 for more typical images.", above=True
    )
    title = f"Samples of {run.name}{run.samples_from}"
    cooled: dict[str, Any] = {"temperature": temperature} if temperature != 1 else {}
    if cooled and "temperature" not in signature(run.model.sample).parameters:
        raise UserError(f"{type(run.model).__name__} takes no temperature. Leave it out.")
    if labels is not None:
        size = prod(run.image_shape)
        run.check_request(out, num_images * len(labels), held=num_images * len(labels) * size)
        return write_view(View(_of_each(run, labels, num_images, batch_size, cooled), title), out)
    size = run.model.latent_dim if isinstance(run.model, SamplesCodes) else 0
    run.check_request(out, num_images, held=num_images * size)

    def batches() -> Iterator[tuple[Images, dict[str, Tensor]]]:
        if able(run.model, (SamplesCodes, Decodes)):
            # All noise at once: the images do not depend on the size of a batch.
            for part in torch.split(run.model.sample_codes(num_images, **cooled), batch_size):
                yield run.model.decode(part), {"codes": part}
            return
        for start in range(0, num_images, batch_size):
            yield run.model.sample(min(batch_size, num_images - start), **cooled), {}

    return write(out, numbered(batches(), num_images, "sampling"), title)


def _of_each(
    run: FinishedRun,
    labels: Sequence[str],
    count: int,
    batch_size: int,
    cooled: Mapping[str, Any],
) -> dict[str, Images]:
    run.require((Conditional,), "sample --labels")
    model = cast(Conditional, run.model)
    examples = model.examples()
    rows = {}
    for name in labels:
        words = [name] if name in examples else name.split("+")
        classes = next(iter(examples.values())).ndim == 0  # of which an image has one
        if not all(word in examples for word in words) or (classes and len(words) > 1):
            close = nearest(name, examples)
            raise UserError(f"--labels: this model knows no {name!r}{close}")
        torch.manual_seed(torch.initial_seed())  # the same noise for each, on every device
        label = torch.stack([examples[word] for word in words]).amax(dim=0).to(run.model.device)
        sizes = [min(batch_size, count - start) for start in range(0, count, batch_size)]
        parts = [model.sample(size, label.expand(size, *label.shape), **cooled) for size in sizes]
        rows[name] = torch.cat(parts)
    return rows
