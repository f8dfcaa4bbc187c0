"""The exceptions that are one line on the screen."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher, get_close_matches
from numbers import Real
from pathlib import Path
from signal import Signals


class UserError(ValueError):
    """Something the user can put right.

    Its message is one line: what was expected, what came, and what to do. The command line prints
    it without a traceback; every other exception is a fault of the program and keeps its traceback.
    """


def check_objects(name: str, values: Iterable[object], kind: type) -> None:
    """Raise a UserError where one of the values of the argument ``name`` is no object of a kind."""
    for each in values:
        if not isinstance(each, kind):
            raise UserError(f"{name} are objects of {kind.__name__}, got {each!r}.")


def check_number(
    what: str, value: float, least: float, remedy: str = "", *, above: bool = False
) -> None:
    """Raise a UserError unless ``value`` is a finite number, at least ``least`` or ``above`` it."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (least < value < math.inf or (value == least and not above)):
        bound = f"above {least:g}" if above else f"at least {least:g}"
        remedy = remedy or f"Set it to {least:g} or more."
        raise UserError(f"{what} is {bound}, got {value!r}. {remedy}")


def check_whole(what: str, value: int, least: int) -> None:
    """Raise a UserError unless ``value`` is a whole number, at least ``least``."""
    check_number(what, value, least)
    if not isinstance(value, int):
        raise UserError(f"{what} is a whole number, got {value!r}. Set it to {least}.")


class BadArgumentsError(Exception):
    """The words of a command, or a file that they name, cannot be used."""


@contextmanager
def bad_arguments() -> Iterator[None]:
    """Within, what the user can put right is a BadArgumentsError: nothing has been done yet."""
    try:
        yield
    except UserError as error:
        raise BadArgumentsError(str(error)) from error


class InterruptionError(UserError):
    """A training was told to end, and has saved.

    Args:
        number: of the signal that came.
        checkpoint: holds the training up to now.
        step: the last one that was done; None where the training was over and its test was not.
    """

    def __init__(self, number: int, checkpoint: Path, step: int | None) -> None:
        self.signal = Signals(number)
        when = f"after step {step}" if step is not None else "in the test after the training"
        super().__init__(
            f"{self.signal.name} ended the run {when}; {checkpoint} holds the training. The same "
            "command with --ckpt_path last goes on (in Python, fit with resume=True)."
        )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, the one that it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError that ``error`` is, or that it was raised from."""
    return next((each for each in causes(error) if isinstance(each, UserError)), None)


def nearest(word: str, names: Iterable[str]) -> str:
    """The names closest to a misspelt word, as a question; all of them where they are few.

    A word without dots is also compared with the last part of each name.
    """
    names = sorted(set(names))
    spellings = {name.lower(): name for name in names}
    if "." not in word:
        spellings |= {name.rpartition(".")[2].lower(): name for name in names}
    close = get_close_matches(word, names, n=3, cutoff=0.6)
    near = [SequenceMatcher(None, name, word).ratio() for name in close]
    close = [name for name, each in zip(close, near, strict=True) if each > near[0] - 0.1]
    if not close:
        found = get_close_matches(word.lower(), spellings, n=3, cutoff=0.6)
        close = list(dict.fromkeys(spellings[spelling] for spelling in found))
    if close:
        return f". Did you mean {' or '.join(close)}?"
    return f". Choose among {', '.join(names)}." if 0 < len(names) <= 30 else "."
