"""Image files that cannot be read."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from lightning_gen.errors import UserError


class Unreadable(NamedTuple):
    """A file that is no readable image, and why.

    Attributes:
        name: of the file.
        reason: in one line.
        may_pass: whether the machine is to blame (no permission, no memory) and not the file.
    """

    name: str
    reason: str
    may_pass: bool = False

    @classmethod
    def because(cls, name: str, error: Exception) -> "Unreadable":
        """The file that raised ``error``."""
        # Pillow raises OSErrors at broken bytes too, but without a number.
        of_machine = isinstance(error, OSError) and error.errno is not None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return cls(name, reason, of_machine or isinstance(error, MemoryError))


def describe(broken: Sequence[Unreadable], count: int) -> str:
    """One line about the ``broken`` ones of ``count`` files; the first three by name."""
    first = ", ".join(f"{one.name!r} ({one.reason})" for one in broken[:3])
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    return f"{len(broken)} of {count} images cannot be read: {first}{more}"


def leave_out(failures: Sequence[Unreadable | None]) -> Bool[Tensor, " n"]:
    """Which images can be read, and a warning that names those that cannot.

    A UserError says that none can.
    """
    broken = [failure for failure in failures if failure]
    message = describe(broken, len(failures))
    if len(broken) == len(failures):
        raise UserError(f"{message}; expected at least one whole. Replace or remove them.")
    warnings.warn(f"{message}; they are left out.", stacklevel=4)
    return torch.tensor([failure is None for failure in failures])
