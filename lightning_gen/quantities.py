"""What logged numbers are: their units, and which of two is better."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

NATS = "nats per image"

Basis = Literal["loss", "likelihood", "data", "judge"]


@dataclass(frozen=True)
class Quantity:
    """A logged number.

    Attributes:
        unit: such as "nats per image"; empty without one.
        better: whether less or more of it is better; empty where neither is.
        basis: what two runs must have in common for their values to be compared: every term of the
            "loss" and its weight, the "likelihood", or the "data" alone; those of a "judge", a
            network that was trained in the same run, are never compared.
        shown: the progress bar has it.
        weight: of a term in the loss; None where it is no such term.
    """

    unit: str = ""
    better: Literal["", "lower", "higher"] = ""
    basis: Basis = "data"
    shown: bool = False
    weight: float | None = None


LOSS = Quantity(NATS, "lower", "loss", shown=True)
"""What training minimises."""


class Quantities(dict[str, Quantity]):
    """What the columns of a ``metrics.csv`` are, by their names without the stage, in order."""

    @classmethod
    def read(cls, content: object) -> "Quantities":
        """What :meth:`plain` wrote; what is something else is left out."""
        found, kinds = cls(), {field.name for field in fields(Quantity)}
        for name, about in content.items() if isinstance(content, dict) else ():
            known = isinstance(about, dict) and kinds >= about.keys()
            if known and all(isinstance(v, str | float | int | None) for v in about.values()):
                found[str(name)] = Quantity(**about)
        return found

    def plain(self) -> dict[str, Any]:
        """The quantities as a JSON file has them."""
        return {name: asdict(quantity) for name, quantity in self.items()}

    def of(self, column: str) -> Quantity:
        """What a column such as ``val/kl`` is; one that nobody declared has no unit."""
        stage, _, name = column.partition("/")
        known = (self[key] for key in (column, name, stage) if key in self)
        return next(known, Quantity())

    def place(self, column: str) -> tuple[int, str]:
        """Sorts columns in the order in which their quantities were declared."""
        name = column.partition("/")[2] or column
        order = [*self]
        return order.index(name) if name in self else len(order), column
