"""Optuna's samplers, by their names."""

import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple
from warnings import catch_warnings

import optuna
from optuna.samplers import BaseSampler

from lightning_gen.errors import UserError

SAMPLERS = {
    name: kind
    for name, kind in vars(optuna.samplers).items()
    if inspect.isclass(kind) and issubclass(kind, BaseSampler) and not inspect.isabstract(kind)
    if kind is not optuna.samplers.GridSampler  # "grid" runs each combination once
}


class Sampler(NamedTuple):
    """A class of ``optuna.samplers`` and the arguments of its constructor."""

    kind: type[BaseSampler]
    arguments: dict[str, Any]

    def build(self, number: int) -> BaseSampler:
        """The sampler of a trial.

        The trial's number is added to the seed: with one seed a sweep that goes on, or machines
        that share it, would draw the same values again.
        """
        arguments = dict(self.arguments)
        if arguments.get("seed") is not None:
            arguments["seed"] = (arguments["seed"] + number) % 2**32
        with catch_warnings(action="ignore"):  # of arguments that Optuna may yet change
            return self.kind(**arguments)


def read_sampler(content: str | dict[str, Any]) -> Sampler | None:
    """The sampler that a sweep file names; None for ``grid``.

    Raises:
        UserError: there is no such sampler, or it has no such arguments.
    """
    given: dict[str, Any] = content if isinstance(content, dict) else {"class_path": content}
    name = str(given.get("class_path")).removeprefix("optuna.samplers.")
    if name == "grid":
        return None
    if name not in SAMPLERS:
        hint = nearest(name, ["grid", *SAMPLERS])
        raise UserError(f"sampler: expected grid or a class of optuna.samplers, got {name}. {hint}")
    sampler = Sampler(SAMPLERS[name], given.get("init_args") or {})
    try:
        sampler.build(0)
    except Exception as error:  # whatever a constructor raises, its arguments are the cause
        raise UserError(f"sampler: {name} does not take these init_args: {error}.") from error
    return sampler


def nearest(given: str, names: Iterable[str]) -> str:
    """The name closest to a misspelt one, or all of them."""
    known = sorted(names)
    close = get_close_matches(given, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Choose among {', '.join(known)}."
