"""A CUDA graph of the CPU: what it recorded it does again, with the same tensors."""

from typing import ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operations(TorchDispatchMode):
    """Keeps the operations that are called, and what the tensors held that they overwrite."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.overwritten = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function.name() in ("aten::_local_scalar_dense", "aten::nonzero"):
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, given in zip(function._schema.arguments, args, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written or argument.name.startswith("running_"):  # BatchNorm's are, and it hides it
                self.keep(given)
        result = function(*args, **kwargs)
        if function.namespace == "aten":
            self.calls.append((function, args, kwargs, result))
        return result

    def keep(self, given):
        for tensor in filter(torch.is_tensor, tree_leaves(given)):
            self.overwritten.setdefault(tensor.data_ptr(), (tensor, tensor.detach().clone()))


class Recorder:
    """Takes the place of ``CudaGraph``.

    As on a GPU, a step that is recorded is not taken, and a replay does nothing of Python's, writes
    into the tensors of the recording, and draws the next random numbers.
    """

    made: ClassVar[list["Recorder"]] = []

    def __init__(self, device):
        self.made.append(self)
        self.warmed_up = self.replays = 0

    def warm_up(self, step):
        self.warmed_up += 1
        return step()

    def watch(self, step):
        return self.warm_up(step), None

    def record(self, step):
        random_state, operations = torch.get_rng_state(), Operations()
        with operations:
            result = step()
        with torch.no_grad():
            for tensor, value in operations.overwritten.values():
                tensor.copy_(value)
        torch.set_rng_state(random_state)
        self.calls = operations.calls
        return result

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for function, args, kwargs, results in self.calls:
            aliases = [returned.alias_info for returned in function._schema.returns]
            if any(alias is not None and not alias.is_write for alias in aliases):
                continue  # a view shows what is there
            again = function(*args, **kwargs)
            for alias, old, new in zip(aliases, parts(results), parts(again), strict=False):
                if alias is None:
                    for tensor, value in zip(tree_leaves(old), tree_leaves(new), strict=True):
                        if torch.is_tensor(tensor):  # not a gradient that nobody needs
                            tensor.copy_(value)


def parts(results):
    return results if isinstance(results, tuple) else (results,)
