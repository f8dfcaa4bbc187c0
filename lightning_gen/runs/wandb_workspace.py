"""A workspace of Weights & Biases, made of what the runs of a project hold."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from lightning_gen.errors import UserError
from lightning_gen.quantities import Quantities
from lightning_gen.training.wandb import STAGES, STEP

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
        runs = [*islice(api.runs(f"{entity}/{project}"), MOST_RUNS)]
        quantities, keys = known_of([run.config for run in runs], [run.summary for run in runs])
        if not keys:
            raise UserError(f"{entity}/{project} holds no runs. Train one: lightning-gen fit ...")
        workspace = Workspace(entity, project, "lightning_gen", [*sections(quantities, keys)])
        workspace.save()
    except UserError:
        raise
    except Exception as error:  # of several libraries, about a server
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"the workspace of {place} cannot be saved: {reason}. Log in with `wandb login`, and "
            "pass ENTITY/PROJECT of runs that are there."
        ) from error
    return str(workspace.url)


def known_of(
    configs: Sequence[Mapping[str, Any]], summaries: Sequence[Mapping[str, Any]]
) -> tuple[Quantities, set[str]]:
    """What the numbers of runs are, and the names of all that they have logged."""
    found = Quantities()
    for config in configs:
        found |= Quantities.read(config.get("quantities"))
    return found, {key for summary in summaries for key in summary.keys()}  # noqa: SIM118  (no dict)


def sections(quantities: Quantities, keys: set[str]) -> Iterator[Any]:
    """Curves by step and by epoch, the best scores, pictures by step, and tables."""
    from wandb_workspaces.reports.v2 import LinePlot, MediaBrowser, ScalarChart, SummaryMetric
    from wandb_workspaces.reports.v2 import WeavePanelSummaryTable as Table
    from wandb_workspaces.workspaces import Section

    columns = {n: [f"{s}/{n}" for s in STAGES if f"{s}/{n}" in keys] for n in quantities}
    for title, axis in (("Curves by step", STEP), ("Curves by epoch", "epoch")):
        shown = {n: [c for c in each if not c.startswith("test/")] for n, each in columns.items()}
        panels = [
            LinePlot(title=name, x=axis, y=curves, title_y=quantities[name].unit or None)
            for name, curves in shown.items()
            if curves
        ]
        yield Section(title, panels, is_open=axis == STEP)
    scores: list[Any] = []
    for name, each in columns.items():
        better, unit = quantities[name].better, quantities[name].unit
        for column in (c for c in each if c.startswith("test/") or better):
            ending = {"lower": ".min", "higher": ".max"}.get(better, "")
            about = ", ".join(filter(None, [column, unit, better and f"{better} is better"]))
            scores.append(ScalarChart(title=about, metric=SummaryMetric(column + ending)))
    scores += [Table(table_name=key) for key in sorted(keys) if key.startswith("scores/")]
    yield Section("Best scores", scores, is_open=True)
    pictures = sorted(key for key in keys if key.startswith("images/"))
    yield Section(
        "Pictures by step",
        [MediaBrowser(title=k, media_keys=[k], gallery_axis="step") for k in pictures],
        is_open=True,
    )
    tables = sorted(key for key in keys if key.startswith("evaluation/"))
    yield Section("Images, reconstructions, codes", [Table(table_name=key) for key in tables])
