"""The explorer's page: HTML with its style, its program and what it shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lightning_gen import __version__
from lightning_gen.runs.explore.gather import Explored
from lightning_gen.runs.pages.html import environment

HERE = Path(__file__).parent


def page_of(
    explored: Sequence[Explored],
    inside: dict[str, Any] | None = None,
    graphs: Mapping[str, str] | None = None,
) -> str:
    """The page's HTML; ``inside`` holds what runs the ``graphs`` in it, where no server does."""
    names = [each.run.name for each in explored]
    if len({*names}) < len(names):  # two checkpoints of one run
        names = [f"{each.run.name}/{each.run.checkpoint.stem}" for each in explored]
    told = explored[0].about | {"runs": names, "inside": inside}
    texts = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    return (
        environment()
        .from_string((HERE / "page.html").read_text(encoding="utf-8"))
        .render(
            about=explored[0].about,
            runs=names,
            served=inside is None,
            graphs=graphs or {},
            told=Markup(json.dumps(told, allow_nan=False).replace("<", "\\u003c")),
            version=__version__,
            **{name: Markup(text) for name, text in texts.items()},
        )
    )
