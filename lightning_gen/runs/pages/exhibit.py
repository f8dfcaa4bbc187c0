"""One figure of a comparison."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

from lightning_gen.contracts import Needs, able
from lightning_gen.errors import UserError
from lightning_gen.figures import Pixels
from lightning_gen.runs.pages.compared_runs import ComparedRun


@dataclass(frozen=True)
class Exhibit:
    """One figure of a comparison.

    Attributes:
        anchor: what links in the page call it.
        title: what it is.
        text: how to read it.
        pictures: by the name of the run, or of all runs together.
        notes: what else has to be said, such as which run is left out.
    """

    anchor: str
    title: str
    text: str
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def show_each(
        self,
        runs: Sequence[ComparedRun],
        needs: Needs,
        ability: str,
        draw: Callable[[ComparedRun], Pixels],
    ) -> None:
        """A picture of each run that is able to give one.

        Args:
            runs: the runs.
            needs: what a model must be able to do.
            ability: the same in words, after "does not".
            draw: makes the picture of a run.
        """

        def add(run: ComparedRun) -> None:
            self.pictures[run.label] = Image.fromarray(draw(run))

        for run in runs:
            self.try_run(run, needs, ability, add)

    def try_run(
        self, run: ComparedRun, needs: Needs, ability: str, add: Callable[[ComparedRun], None]
    ) -> None:
        """Add what a run gives, or a note that says why it is left out."""
        if not able(run.model, needs):
            name = type(run.model).__name__
            self.notes.append(f"{run.label} is left out: {name} does not {ability}.")
            return
        try:
            add(run)
        except UserError as error:
            self.notes.append(f"{run.label} is left out: {error}")
