"""What a notebook shows of a run."""

from functools import partial
from typing import TYPE_CHECKING

from lightning_gen.errors import UserError
from lightning_gen.runs.pages.html import Exhibit, data_uri, environment

if TYPE_CHECKING:
    from lightning_gen.runs.finished import FinishedRun

LONGEST = 480
"""Pixels of the longer side of a picture."""


def in_a_notebook(run: "FinishedRun") -> str:
    """The scores of a run's test and its latest pictures, as HTML."""
    page = environment().get_template("notebook.html")
    try:
        scores = run.test
    except UserError:  # its files are gone
        scores = {}
    shown = [(Exhibit.of(kind), image) for kind, image in run.images.items()]
    return page.render(run=run, scores=scores, shown=shown, uri=partial(data_uri, None, LONGEST))
