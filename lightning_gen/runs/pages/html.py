"""One self-contained HTML file: text, charts and pictures, in less than five megabytes."""

import base64
import io
import re
import shlex
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from lightning_gen import __version__
from lightning_gen.atomic import write_text
from lightning_gen.errors import UserError
from lightning_gen.runs.pages.record import of_class
from lightning_gen.training.scores import number, with_error

LIMIT = 5_000_000
"""Bytes of a file, at most."""
ENCODINGS = ((None, 4000), (90, 2000), (80, 1200), (70, 800), (60, 500), (40, 250))
"""How pictures are written: the quality of WebP, where None is PNG, which loses nothing, and pixels
of the longer side, at most. The first that keeps a file below the limit is taken."""


def write_page(template: str, path: Path, **content: Any) -> Path:  # noqa: ANN401
    """Fill in a template of ``runs/pages/templates``, with pictures as good as the limit allows.

    A UserError says that even the smallest are too large, or that ``path`` cannot be written.
    """
    if Path(path).suffix not in (".html", ".htm"):
        raise UserError(f"--out takes an .html file, got {path}.")
    page, path = environment().get_template(template), Path(path)
    for encoding in ENCODINGS:
        text = page.render(uri=partial(data_uri, *encoding), version=__version__, **content)
        if len(text.encode(errors="backslashreplace")) <= LIMIT:
            try:
                write_text(path, text)
            except OSError as error:
                raise UserError(
                    f"{path} cannot be written: {error.strerror}. Pass another file with --out."
                ) from error
            return path
    raise UserError(
        f"{path} would be larger than {LIMIT / 1e6:.0f} MB, even with small pictures. "
        "Ask for fewer runs or images."
    )


def data_uri(quality: int | None, most: int, image: Image.Image, longest: int = LIMIT) -> str:
    """A picture as text that stands in the page itself.

    Its longer side has at most ``most`` pixels, and ``longest`` where the template says so; the
    quality is that of WebP, None is PNG.
    """
    longest = min(longest, most)
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if quality is None:
        pixels = np.asarray(image)
        if (pixels == pixels[:, :, :1]).all():  # grey: one channel of three loses nothing
            image = Image.fromarray(pixels[:, :, 0])
        image.save(file, format="PNG", optimize=True)
    else:
        image.save(file, format="WEBP", quality=quality)
    kind = "png" if quality is None else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


@cache
def captions() -> dict[str, tuple[str, str]]:
    """The title of a picture and how to read it, by its folder, in the order of a page."""
    known = environment().get_template("captions.html").module.CAPTIONS  # type: ignore[attr-defined]
    return {kind: (title, text) for kind, (title, text) in known.items()}


@dataclass(frozen=True)
class Exhibit:
    """Pictures of one kind, by the run or the training step that each is of.

    ``kind`` is what links in the page call it, ``text`` says how to read it, ``notes`` what else
    has to be said, such as which run is left out.
    """

    kind: str
    title: str
    text: str
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, kind: str) -> "Exhibit":
        """An empty one with its caption; of an unknown callback the title is its name in words."""
        return cls(kind, *captions().get(kind, (kind.replace("_", " ").capitalize(), "")))


def link_arxiv(text: str) -> Markup:
    """The text, with a link at each ``arXiv:`` number."""
    link = r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>'
    return Markup(re.sub(r"arXiv:(\d{4}\.\d{4,5})", link, str(escape(text))))


def breakable(name: str) -> Markup:
    """A name that a narrow page breaks where its words end."""
    return Markup(re.sub(r"([_/.])", r"\1<wbr>", str(escape(name))))


def with_deviation(value: float, deviation: float | None) -> str:
    """A value with its standard deviation, where it has one."""
    return number(value) if deviation is None else with_error(value, deviation)


@cache
def environment() -> Environment:
    """The templates of pages."""
    found = Environment(
        loader=PackageLoader("lightning_gen.runs.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"breakable": breakable, "link_arxiv": link_arxiv, "number": number}
    found.filters |= {"of_class": of_class, "shell": shlex.join, "with_error": with_deviation}
    return found
