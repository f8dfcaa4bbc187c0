"""What a step on a GPU computes stays there.

The tensors here have shapes and a device, and no numbers: it takes no GPU to see where they are.
"""

import traceback
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightning_gen import contracts
from lightning_gen.models import AE, CVAE, DCGAN, RAE, VAE, VQVAE, WAE, Classifier
from lightning_gen.models.gan import GAN
from lightning_gen.networks import Conv, Dense, GaussianNoise, Masking, SaltAndPepper
from lightning_gen.networks.condition import TrainingConditions
from lightning_gen.objectives import RBF, DiscretizedLogistic, Gaussian, Hinge, Wasserstein
from support.models import KINDS, build

# torch says of a model that leaves autocast, where there is no GPU, that there is none.
pytestmark = pytest.mark.filterwarnings("ignore:.*CUDA is not available.*autocast")

SHAPE = (1, 28, 28)


class Transfers(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)]
        if len({tensor.device.type for tensor in tensors}) > 1:
            ours = [line for line in traceback.extract_stack() if "lightning_gen/" in line.filename]
            self.seen.append(f"{ours[-1].filename}:{ours[-1].lineno} {function}")
        return result


def unknown(tensor):
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")


def on_gpu(model):
    """The model with its parameters and buffers where a GPU would have them."""
    for module in model.modules():
        if isinstance(module, TrainingConditions):
            module.rows, module.examples = unknown(module.rows), unknown(module.examples)
        for name, parameter in module._parameters.items():
            if parameter is not None:
                there = nn.Parameter(unknown(parameter), parameter.requires_grad)
                module._parameters[name] = there
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = unknown(buffer)
    model._device = torch.device("cuda", 0)
    return model


def losses(model, batch):
    if isinstance(model, GAN):
        return model.terms(batch, batch.images)
    return model.terms(batch, model._inputs(batch, 1, training=True), 5)


def used(model, batch):
    model.eval()
    found = [model.sample(8)] if isinstance(model, contracts.SamplesImages) else []
    model = contracts.condition_on(model, batch)
    for kind, do in (
        (contracts.Reconstructs, "reconstruct"),
        (contracts.Encodes, "encode"),
        (contracts.Infers, "posterior"),
    ):
        if isinstance(model, kind):
            found.append(getattr(model, do)(batch.images))
    if isinstance(model, contracts.EstimatesLikelihood):
        found.append(model.log_weights(batch.images, 3))
    return found


def check(build, do=losses, epoch=0):
    model = build()
    with FakeTensorMode():
        model = on_gpu(model)
        model._trainer = SimpleNamespace(current_epoch=epoch)
        numbers = torch.zeros(8, dtype=torch.long, device="cuda")
        images = torch.rand(8, *SHAPE, device="cuda")
        batch = contracts.Batch(images, numbers, numbers[:, None].expand(8, 2))
        with Transfers() as transfers:
            found = do(model, batch)
    assert transfers.seen == []
    tensors = [part for part in tree_leaves(found) if isinstance(part, torch.Tensor)]
    assert {tensor.device.type for tensor in tensors} == {"cuda"}


@pytest.mark.parametrize(
    "model",
    [
        *(partial(build, kind) for kind in KINDS if kind is not RAE),
        partial(build, RAE, gradient=0.0, weights=1.0),  # the other penalty is a backward pass
        partial(build, VAE, architecture=Dense((16,)), likelihood=Gaussian(learned=True)),
        partial(build, VAE, architecture=Conv((4, 8)), likelihood=DiscretizedLogistic()),
        *(partial(build, AE, corruption=c()) for c in (GaussianNoise, Masking, SaltAndPepper)),
        *(partial(build, DCGAN, objective=objective()) for objective in (Hinge, Wasserstein)),
        partial(build, WAE, kernel=RBF()),
        partial(build, CVAE, attributes=("hat", "size")),
    ],
)
def test_no_step_moves_a_number_between_devices(model):
    check(model)
    if model.args == (VQVAE,):
        check(model, epoch=10)  # the second phase


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if kind is VQVAE else kind  # draws code by code
        for kind in KINDS
        if kind is not Classifier
    ],
)
@torch.no_grad()
def test_what_a_model_gives_is_where_the_model_is(kind):
    check(partial(build, kind), used)


def test_a_transfer_is_seen():
    class Sends(VAE):
        def posterior(self, images):
            return super().posterior(images + images.new_tensor([0.5]))

    with pytest.raises(AssertionError, match="_to_copy"):
        check(partial(Sends, SHAPE))
