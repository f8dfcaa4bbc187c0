"""A workspace of Weights & Biases, made of what the runs of a project hold."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lightning_gen.errors import UserError
from lightning_gen.quantities import Quantities
from lightning_gen.training.wandb import STAGES, STEP, in_short

MOST_RUNS = 100
"""The latest runs of the project, whose numbers, pictures and tables are laid out."""


def save_workspace(place: str) -> str:
    """Save a workspace of the project ``entity/project``, and give its address.

    Without an entity it is the user's own. A UserError says that a package is missing, that there
    are no such runs, or that W&B cannot be reached.
    """
    import wandb

    try:
        from wandb_workspaces.workspaces import Workspace
    except ImportError as error:
        raise UserError(
            "wandb-workspace needs wandb-workspaces, which is not installed. Run pip install "
            "'lightning-gen[wandb-workspace]'."
        ) from error
    entity, _, project = place.rpartition("/")
    try:
        api = wandb.Api()
        entity = entity or api.default_entity or ""
        quantities, keys = Quantities(), set[str]()
        for run in islice(api.runs(f"{entity}/{project}"), MOST_RUNS):
            quantities |= Quantities.read(run.config.get("quantities"))
            keys |= {*run.summary.keys()}
        workspace = Workspace(entity, project, "lightning_gen", [*sections(quantities, keys)])
        workspace.save()
    except Exception as error:  # of several libraries, about a server
        raise UserError(
            f"the workspace of {place} cannot be saved: {in_short(error)}. Log in with "
            "`wandb login`, and pass ENTITY/PROJECT of runs that are there."
        ) from error
    return str(workspace.url)


def sections(quantities: Quantities, keys: set[str]) -> Iterator[Any]:
    """Curves by step and by epoch, the best scores, pictures by step, and tables."""
    from wandb_workspaces.reports.v2 import LinePlot, MediaBrowser, ScalarChart, SummaryMetric
    from wandb_workspaces.reports.v2 import WeavePanelSummaryTable as Table
    from wandb_workspaces.workspaces import Section

    columns = {n: [f"{s}/{n}" for s in STAGES if f"{s}/{n}" in keys] for n in quantities}
    for title, axis in (("Curves by step", STEP), ("Curves by epoch", "epoch")):
        curves = {n: [c for c in each if not c.startswith("test/")] for n, each in columns.items()}
        panels = [
            LinePlot(title=name, x=axis, y=each, title_y=quantities[name].unit or None)
            for name, each in curves.items()
            if each
        ]
        yield Section(title, panels, is_open=axis == STEP)
    scores: list[Any] = []
    for name, each in columns.items():
        better, unit = quantities[name].better, quantities[name].unit
        best = {"lower": ".min", "higher": ".max"}.get(better, "")
        about = "".join(f", {words}" for words in (unit, better and f"{better} is better") if words)
        for column in each:
            if column.startswith("test/"):
                scores.append(ScalarChart(title=column + about, metric=SummaryMetric(column)))
            elif best:
                metric = SummaryMetric(column + best)
                scores.append(ScalarChart(title=f"best {column}{about}", metric=metric))
    scores += [Table(table_name=key) for key in sorted(keys) if key.startswith("scores/")]
    yield Section("Scores", scores, is_open=True)
    pictures = sorted(key for key in keys if key.startswith("images/"))
    shown = [MediaBrowser(title=k, media_keys=[k], gallery_axis="step") for k in pictures]
    yield Section("Pictures by step", shown, is_open=True)
    tables = sorted(key for key in keys if key.startswith("evaluation/"))
    yield Section("Images, reconstructions, codes", [Table(table_name=key) for key in tables])
