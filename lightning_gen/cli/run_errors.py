"""What goes wrong in a run, as an error that tells its user what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from lightning_gen.cli.checkpoint import cannot_go_on
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import InterruptionError, UserError

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What the system says of a folder that takes no file."""


@contextmanager
def told_to_the_user(trainer: Trainer) -> Iterator[None]:
    """Within, what the user can put right becomes a UserError or a BadArgumentsError.

    Args:
        trainer: whose run it is.
    """
    try:
        yield
    except (InterruptionError, MisconfigurationException):
        raise
    except UserError as error:
        if trainer.global_step == 0:  # nothing was lost: the data or the arguments
            raise BadArgumentsError(str(error)) from error
        raise
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise UserError(
            f"{error}. Make room there, or change its permissions; a run goes to a folder of "
            "your own with --trainer.default_root_dir."
        ) from error
    except Exception as error:
        reason = cannot_go_on(trainer, error)
        if reason is None:
            raise
        raise BadArgumentsError(str(reason)) from error
