"""A finished run's networks as files that other programs run."""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from lightning_gen import __version__
from lightning_gen.atomic import draft, write_text
from lightning_gen.contracts import (
    Batch,
    Codes,
    Decodes,
    Encodes,
    Reconstructs,
    SamplesCodes,
    able,
    condition_on,
)
from lightning_gen.errors import UserError
from lightning_gen.models.conditional import SamplesConditions
from lightning_gen.models.cvae import CVAE, ConditionedVAE
from lightning_gen.priors import GaussianMixture, StandardNormal
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs
from lightning_gen.training.safe_file import write_safe

Form = Literal["onnx", "pt2", "safetensors"]
MOST_APART = 1e-4
"""Between an output of a graph and PyTorch's, in the units of the output."""
SEEN = 1000
"""Images of the test split whose codes are described."""
EXAMPLE = '''\
"""New images. Needs numpy, onnxruntime and pillow, and nothing else."""
import json
import numpy as np
import onnxruntime
from PIL import Image

shapes = json.load(open("model.json"))["graphs"]["{graph}"]["inputs"]
random = {{"uniform": np.random.rand, "condition": lambda n, k: np.eye(k)[np.arange(n) % k]}}
inputs = {{name: random.get(name, np.random.randn)(16, *shape[1:]).astype("float32")
          for name, shape in shapes.items()}}
images, = onnxruntime.InferenceSession("{graph}.onnx").run(None, inputs)
row = (255 * np.concatenate([*images], axis=2)).transpose(1, 2, 0).round().astype("uint8")
Image.fromarray(row.squeeze()).save("new.png")
'''


class Call(nn.Module):
    """A function of a model as a module, for what traces modules."""

    def __init__(self, model: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, *inputs: Tensor) -> Tensor:
        """The function's result."""
        return self.call(*inputs)


class Graph(NamedTuple):
    """One function of a model: its inputs by name, for some images, and what it gives."""

    name: str
    call: Callable[..., Tensor]
    inputs: dict[str, Tensor]
    output: str


def export(run: FinishedRun, out: Path, to: Form = "onnx") -> Path:
    """Write what a model does as graphs for programs without this package, or its weights.

    The graphs are encode, decode, reconstruct and sample (of noise), as far as the model has them,
    for any number of images, and are compared with PyTorch on the spot. model.json says what goes
    in and comes out.

    Args:
        run: the finished run.
        out: a folder.
        to: "onnx" (ONNX Runtime, in any language), "pt2" (torch.export), or "safetensors", the
            weights alone, which --init_from takes.
    """
    if out.is_file():
        raise UserError(f"--out {out} is a file, expected a folder. Pass another one.")
    out.mkdir(parents=True, exist_ok=True)
    images, statistics = _seen(run)
    class_names: Sequence[str] = ()
    with suppress(UserError):  # where the dataset is not at hand
        class_names = run.class_names
    about: dict[str, Any] = {
        "model": type(run.model).__name__,
        "run": run.name,
        "lightning_gen": __version__,
        "image_shape": [*run.image_shape],
        "value_range": [0, 1],
        "class_names": [*class_names],
        "codes": statistics,
    }
    if to == "safetensors":
        _write_weights(run.model, out / "model.safetensors")
    else:
        with torch.no_grad():
            graphs = [*graphs_of(run.model, images)]
            with progress(len(graphs), "exporting") as bar:
                about["graphs"] = {}
                for graph in graphs:
                    about["graphs"][graph.name] = write_graph(run.model, graph, out, to)
                    bar.update(1)
        for name, told in about["graphs"].items():
            print(f"{name:<12}{told['largest_difference']:.1e} from PyTorch at most")
        drawn = [name for name in ("sample", "decode") if name in about["graphs"]]
        if to == "onnx" and drawn:
            write_text(out / "example.py", EXAMPLE.format(graph=drawn[0]))
    write_text(out / "model.json", json.dumps(about, indent=2) + "\n")
    return out


def _write_weights(model: nn.Module, path: Path) -> None:
    state = model.state_dict().items()
    weights = {k: v for k, v in state if isinstance(v, Tensor) and not k.endswith("_extra_state")}
    write_safe(path, weights, {})
    print(f"{len(weights)} tensors, {sum(map(torch.numel, weights.values())):,} numbers")


def _seen(run: FinishedRun) -> tuple[Tensor, dict[str, Any] | None]:
    """Images to compare graphs on, and the mean and standard deviation of their codes.

    Where the run's dataset is not at hand, random images and None.
    """
    with suppress(UserError):
        batch = SplitInputs(run, "test").first(SEEN).batch
        return batch.images[:8], _statistics(run.model, batch)
    return torch.rand(8, *run.image_shape), None


def _statistics(model: nn.Module, batch: Batch) -> dict[str, Any] | None:
    if not able(model, (Encodes,)):
        return None
    with torch.no_grad():
        codes = condition_on(model, batch).encode(batch.images).float()
    mean, std = codes.mean(dim=0).tolist(), codes.std(dim=0).tolist()
    return {"length": codes.shape[1], "test_images": len(codes), "mean": mean, "std": std}


def graphs_of(model: Any, images: Tensor) -> Iterator[Graph]:  # noqa: ANN401
    """The functions of a model that are graphs of tensors; a line says which one is not."""
    known: Callable[..., Any] = lambda *_: model  # noqa: E731
    condition: dict[str, Tensor] = {}
    if isinstance(model, SamplesConditions):
        condition = {"condition": model.conditions.examples[:1].expand(len(images), -1).to(images)}
    if isinstance(model, CVAE):
        known = lambda *vectors: ConditionedVAE(model, *vectors)  # noqa: E731
    seen = {"images": images, **condition}
    if able(model, (Encodes,)):
        yield Graph("encode", lambda x, *y: known(*y).encode(x), seen, "codes")
    if able(model, (Reconstructs,)):
        yield Graph("reconstruct", lambda x, *y: known(*y).reconstruct(x), seen, "reconstructions")
    if isinstance(model, Decodes):
        encodes = able(model, (Encodes,))
        codes = known(*condition.values()).encode(images) if encodes else None
        codes = model.sample_codes(len(images)) if codes is None else codes  # type: ignore[attr-defined]
        yield Graph("decode", model.decode, {"codes": codes}, "images")
    if not hasattr(model, "sample"):
        return
    if isinstance(model, SamplesCodes) and (draws := draws_of(model, len(images))):
        yield _of_noise(model, *draws, condition)
    else:
        kind = type(model.prior).__name__
        print(f"sample      left out: {kind} does not draw by a graph; decode takes its codes")


def _of_noise(
    model: Any,  # noqa: ANN401
    draw: Callable[..., Codes],
    noise: dict[str, Tensor],
    condition: dict[str, Tensor],
) -> Graph:
    """The graph from the noise of a prior, and a condition, to an image."""

    def sample(*inputs: Tensor) -> Tensor:
        codes = draw(*inputs[: len(noise)])
        images: Tensor = model.decode(torch.cat([codes, *inputs[len(noise) :]], dim=1))
        return images

    return Graph("sample", sample, noise | condition, "images")


def draws_of(model: SamplesCodes, n: int) -> tuple[Callable[..., Codes], dict[str, Tensor]] | None:
    """Codes of noise as the model's prior draws them, and such noise; None where it is no graph.

    A mixture also takes uniform numbers, which choose.
    """
    prior = getattr(model, "prior", None)
    noise = {"noise": torch.randn(n, model.latent_dim)}
    if isinstance(prior, StandardNormal | None):
        return lambda noise: noise, noise
    if not isinstance(prior, GaussianMixture):
        return None
    count, size = prior.means.shape
    ends = prior.logits.float().softmax(dim=0).cumsum(dim=0)[:-1]
    each = torch.arange(count).repeat_interleave(size)
    spread = prior.spread(torch.eye(size).repeat(count, 1), each).view(count, size, size)
    means = prior.means.float()

    def draw(uniform: Tensor, noise: Tensor) -> Tensor:
        chosen = (uniform[:, None] >= ends).sum(dim=1)
        return means[chosen] + torch.einsum("nd,nde->ne", noise, spread[chosen])

    return draw, {"uniform": torch.rand(n), **noise}


def write_graph(model: nn.Module, graph: Graph, out: Path, to: Form) -> dict[str, Any]:
    """Write a graph, and compare it with PyTorch; what model.json tells of it.

    A UserError says that it cannot be written, or is not the same.
    """
    module, name = Call(model, graph.call).eval(), f"{graph.name} of {type(model).__name__}"
    values = tuple(graph.inputs.values())
    with quiet(), draft(out / f"{graph.name}.{to}") as unfinished:
        try:
            shapes = tuple({0: torch.export.Dim("n", min=1)} for _ in values)
            traced = torch.export.export(module, values, dynamic_shapes=(shapes,))
            again = (
                _to_pt2(traced, unfinished) if to == "pt2" else _to_onnx(traced, graph, unfinished)
            )
        except ImportError as error:
            raise UserError(
                f"--to onnx takes onnx, onnxscript and onnxruntime ({error}). Install them: pip "
                'install "lightning-gen[export]"'
            ) from error
        except Exception as error:  # of the exporter, of whatever it traces
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UserError(
                f"{name} cannot be exported ({reason}). Pass --to safetensors, for its weights."
            ) from error
        some = [[value[:n] for value in values] for n in (1, len(values[0]))]
        apart = max(float((again(*part) - module(*part)).abs().max()) for part in some)
        if not apart <= MOST_APART:
            raise UserError(
                f"{name} gives other numbers as {to}: {apart:.1e} from PyTorch's, expected at most "
                f"{MOST_APART:g}. It was not kept."
            )
    return {
        "inputs": {name: ["n", *value.shape[1:]] for name, value in graph.inputs.items()},
        "outputs": {graph.output: ["n", *module(*values).shape[1:]]},
        "largest_difference": apart,
    }


def _to_pt2(traced: Any, path: Path) -> Callable[..., Tensor]:  # noqa: ANN401
    torch.export.save(traced, path)
    return torch.export.load(path).module()


def _to_onnx(traced: Any, graph: Graph, path: Path) -> Callable[..., Tensor]:  # noqa: ANN401
    import onnxruntime

    names = [*graph.inputs]
    program: Any = torch.onnx.export(
        traced, (), dynamo=True, input_names=names, output_names=[graph.output], verbose=False
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path)

    def again(*values: Tensor) -> Tensor:
        given = {name: value.numpy() for name, value in zip(names, values, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return again


@contextmanager
def quiet() -> Iterator[None]:
    """Within, the exporters say nothing of their progress."""
    loggers = [getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(ERROR)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
