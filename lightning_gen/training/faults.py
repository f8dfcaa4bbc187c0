"""Faults of a training that the user can put right."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from lightning_gen._compat import is_restoring
from lightning_gen.errors import BadArgumentsError, InterruptionError, UserError

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that takes no file."""


@contextmanager
def user_faults(trainer: Trainer) -> Iterator[None]:
    """Within, what the user can put right becomes a UserError or a BadArgumentsError."""
    try:
        yield
    except (InterruptionError, MisconfigurationException):
        raise
    except UserError as error:
        if trainer.global_step == 0:  # nothing was lost: the data or the arguments
            raise BadArgumentsError(str(error)) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            remedy = "It was taken away or replaced while it was needed: put it right, or begin "
            remedy += "anew."
        elif error.errno in NOT_WRITABLE:
            remedy = "Make room there, or change its permissions; a new run goes to a folder of "
            remedy += "your own with --trainer.default_root_dir."
        else:
            raise
        raise UserError(f"{error}. {remedy}") from error
    except Exception as error:
        if not is_restoring(trainer):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BadArgumentsError(
            f"{trainer.ckpt_path} cannot be restored ({reason}). Pass another checkpoint of the "
            "run."
        ) from error
