"""The model card of a run on the Hugging Face hub: what it is, its scores, how to use it."""

import math
from collections.abc import Mapping
from typing import Any

from lightning_gen.contracts import Conditional, SamplesImages, able
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.pages.html import captions, environment
from lightning_gen.runs.pages.record import RunRecord
from lightning_gen.runs.pages.report import score_rows
from lightning_gen.training.directory import WEIGHTS
from lightning_gen.training.scores import number


def model_card(run: FinishedRun, repo: str, license: str, pictures: Mapping[str, str]) -> str:
    """The text of README.md; ``pictures`` are paths in the repository by what they show."""
    record = RunRecord.read(run.path)
    scores, path = scores_of(run, record), str(run.model.hparams.get("_class_path", ""))
    template = environment().overlay(autoescape=False).get_template("card.md")  # it is no HTML
    return template.render(
        record=record,
        repo=repo,
        license=license,
        data=record.part("data")[0] or "images",
        shape=[*run.image_shape],
        pictures=pictures,
        titles={kind: title for kind, (title, _) in captions().items()},
        samples=able(run.model, (SamplesImages,)),
        conditional=isinstance(run.model, Conditional),
        samples_from=run.samples_from.removeprefix(", "),
        module="" if path.startswith("lightning_gen.") else path.rpartition(".")[0],
        scores=scores,
        parameters=sum(parameter.numel() for parameter in run.model.parameters()),
    )


def scores_of(run: FinishedRun, record: RunRecord) -> list[dict[str, Any]]:
    """The test scores of these weights, and what else their test has logged, without errors."""
    mine = run.checkpoint.name
    cards = {row["name"]: row for row in score_rows(run.path) if row["split"] == "test"}
    rows = [card for card in cards.values() if mine in (WEIGHTS, card.get("checkpoint"))]
    tested = record.logged.curves if run.checkpoint == record.directory.best else {}
    for column in sorted(tested, key=record.quantities.place):
        stage, _, name = column.partition("/")
        value, unit = tested[column][-1].value, record.quantities.of(column).unit
        if stage == "test" and "/" not in name and name not in cards and math.isfinite(value):
            rows.append({"name": name, "value": value, "shown": number(value), "unit": unit})
    return rows
