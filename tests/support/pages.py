"""HTML pages, as a strict parser and as a browser see them."""

import re
import shutil
import subprocess
from pathlib import Path

import html5lib
import pytest

RESOURCES = ("img", "link", "script", "iframe", "source", "video", "audio", "object", "embed")


def parsed(path):
    """The page's tree; any fault of its HTML is an error. It is checked to be self-contained."""
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    for element in tree.iter():
        for name in ("src", "href", "data", "srcset", "poster"):
            address = element.get(name) if element.tag in RESOURCES else None
            assert address is None or address.startswith("data:"), (element.tag, address[:80])
        assert element.tag != "script"
        assert not any(name.startswith("on") for name in element.attrib), element.attrib
    assert not re.search(r"@import|url\((?!#)", text)
    assert tree.get("lang") == "en"
    images = list(tree.iter("img"))
    assert all(image.get("alt") for image in images)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids)), "an id stands twice"
    targets = [a.get("href")[1:] for a in tree.iter("a") if a.get("href").startswith("#")]
    assert set(targets) <= set(ids)
    return tree


def words(element):
    """All text of an element, with single spaces."""
    return " ".join(" ".join(element.itertext()).split())


def cells(tree, number=0):
    """The rows of a table as lists of text, the head included."""
    table = list(tree.iter("table"))[number]
    return [[words(c) for c in row if c.tag in ("th", "td")] for row in table.iter("tr")]


class Browser:
    """Headless Chromium."""

    def __init__(self, folder):
        self.folder = folder
        self.program = shutil.which("chromium") or shutil.which("chromium-browser")
        if self.program is None:
            pytest.skip("no chromium on PATH")

    def __call__(self, page, *options):
        words = [
            *(self.program, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--enable-logging=stderr", "--virtual-time-budget=3000"),
            f"--user-data-dir={self.folder / 'profile'}",
            *options,
            Path(page).resolve().as_uri(),
        ]
        result = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in result.stderr, result.stderr
        return result.stdout

    def overflow(self, page, *widths):
        """How many pixels the page is wider than windows, as a script inside it measures."""
        frame = self.folder / "frame.html"
        copy = self.folder / "page.html"
        script = (
            "<script>addEventListener('load', () => document.documentElement.setAttribute("
            "'data-wider', document.documentElement.scrollWidth - innerWidth))</script></body>"
        )
        copy.write_text(page.read_text(encoding="utf-8").replace("</body>", script), "utf-8")
        frames = (
            f"<iframe src='page.html' style='width:{n}px;height:2000px'></iframe>" for n in widths
        )
        frame.write_text(
            f"<style>iframe {{ border: 0 }}</style>{''.join(frames)}"
            "<script>addEventListener('load', () => document.body.setAttribute('data-wider', "
            "[...document.querySelectorAll('iframe')].map(each => "
            "each.contentDocument.documentElement.dataset.wider).join(' ')))</script>"
        )
        dom = self(frame, "--dump-dom", "--allow-file-access-from-files")
        return [int(n) for n in re.search(r'<body data-wider="([-\d ]+)"', dom).group(1).split()]
