"""The explorer in Chromium: every model, how fast it is, and the page that works from disk."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.models import (
    AE,
    CAE,
    CVAE,
    DCGAN,
    VAE,
    VQVAE,
    Classifier,
    HierarchicalVAE,
    ResVAE,
)
from lightning_gen.networks import Dense
from lightning_gen.runs.explore.static import write_static
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.outputs import to_bytes
from support.chromium import Chromium
from support.command import NO_PICTURES, TWO_BATCHES
from support.models import KINDS, build, tiny

pytest.importorskip("uvicorn", reason="the extra explore is not installed")

from support.explorer import SLIDE, explored, served

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
READY, LOADS = 1500, 3
SAID = "document.getElementById('said').textContent"
PIXELS = """(async () => {
  const canvas = document.querySelector(".picture");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  return [...data];
})()"""
"""The first run's picture as [H * W * 4] numbers."""
LIBRARY = Path(os.environ.get("ONNXRUNTIME_WEB", "node_modules/onnxruntime-web"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def visit(browser, address, width=1440):
    """Open a page and see that it is sound; milliseconds until it is ready, the best of some."""
    times = []
    for _ in range(LOADS):
        browser.requests.clear()
        browser.errors.clear()
        browser.open(address, width)
        times.append(browser.js("timings.ready"))
    assert browser.js(SAID) == ""
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    return min(times)


def assert_sound(browser, *own):
    """Nothing was asked of anyone else, and the console is empty."""
    own = (*own, "data:", "blob:")
    assert [each[:80] for each in browser.requests if not each.startswith(own)] == []
    assert browser.errors == []


def picture(browser, shape):
    """The decoded picture as [C, H, W], as soon as no newer one is on its way."""
    channels, height, width = shape
    data = np.array(browser.js(PIXELS), dtype=np.uint8)
    return data.reshape(height, width, 4).transpose(2, 0, 1)[:channels]


def use_all(browser, about, folder):
    """Every control of the page, by the keyboard where it is the map."""
    browser.js("document.getElementById('map').focus()")
    browser.key("ArrowUp")
    browser.until("document.getElementById('original-figure').hidden")
    browser.key("Enter")
    browser.until(f"document.getElementById('original-figure').hidden != {int(about['encodes'])}")
    ids = "['from', 'draw', 'to', 'thumbnails']"
    browser.js(f"{ids}.forEach((id) => document.getElementById(id)?.click())")
    browser.until("!document.getElementById('way').disabled")
    browser.js("document.getElementById('play').click()")
    browser.until("document.getElementById('way').value > 0.9")
    if about["encodes"]:
        Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(folder / "eye.png")
        browser.choose("#photo", folder / "eye.png")
        browser.until("document.getElementById('original-name').textContent == 'Image: eye.png'")
    browser.until(f"{SAID} == ''")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Classifier])
def test_every_model(kind, browser, tmp_path):
    shown = explored(build(kind))
    shape = shown.about["shape"]
    with served(shown) as address:
        assert visit(browser, address) < READY
        before = picture(browser, shape)
        browser.js(SLIDE)
        seen = picture(browser, shape)
        if kind not in (VQVAE, HierarchicalVAE):  # untrained, they have one code for all
            assert (before != seen).any()
        use_all(browser, shown.about, tmp_path)
        assert visit(browser, address, 360) < READY
        assert_sound(browser, address)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda: VAE((3, 64, 64), 20, Dense((1024, 512))), 50),
        (lambda: build(ResVAE, (3, 64, 64)), 150),
    ],
)
def test_a_slider_is_answered_at_once(make, most, browser):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with served(explored(make())) as address:
            visit(browser, address)
            median = min(browser.js(SLIDE) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert median < most


def test_a_click_decodes_the_plane(browser):
    """The picture of the served page is PyTorch's, at the place that was clicked."""
    shown = explored(tiny(latent_dim=2))
    with served(shown) as address:
        visit(browser, address)
        box = browser.js(
            "(({x, y, width, height}) => [x, y, width, height])(map.getBoundingClientRect())"
        )
        browser.click(box[0] + 2, box[1] + 2)  # a corner, where no image is
        browser.until("document.getElementById('original-figure').hidden")
        browser.js("new Promise((next) => setTimeout(next, 500))")
        values = browser.js("[...document.querySelectorAll('#sliders output')].map(o => +o.value)")
        names = shown.about["sliders"]["names"]
        code = torch.zeros(1, 2)
        for name, value in zip(names, values, strict=True):
            code[0, int(name[1])] = value
        points = np.frombuffer(base64.b64decode(shown.about["map"]["points"]), np.float32)
        low, high = points.reshape(-1, 2).min(axis=0), points.reshape(-1, 2).max(axis=0)
        corner = np.array([low[0], high[1]]) + 0.04 * (high - low) * [-1, 1]
        assert (np.abs(code[0].numpy() - corner) <= 0.02 * (high - low) + 0.01).all()
        with torch.no_grad():
            expected = to_bytes(shown.run.model.decode(code))[0].astype(int)
        assert np.abs(picture(browser, (1, 28, 28)) - expected).max() <= 3  # two decimals


CLASS = "const e = document.querySelector('select'); e.selectedIndex = (e.selectedIndex + 1) % 10;"
SIZE = "const e = document.querySelector('#conditions input'); e.value = 1 - e.value;"


@pytest.mark.parametrize(
    ("arguments", "change"), [({}, CLASS), ({"attributes": ("size", "hat")}, SIZE)]
)
def test_a_condition_changes_the_picture(arguments, change, browser):
    """On a map without straight axes, too, whose places are between images."""
    shown = explored(build(CVAE, **arguments), "TSNE")
    with served(shown) as address:
        visit(browser, address)
        browser.js("document.getElementById('map').focus()")
        browser.key("ArrowLeft")
        browser.until("document.getElementById('original-figure').hidden")
        browser.js("new Promise((next) => setTimeout(next, 300))")
        before = picture(browser, (1, 28, 28))
        kind = "change" if arguments == {} else "input"
        browser.js(f"(() => {{ {change} e.dispatchEvent(new Event('{kind}')) }})()")
        browser.js("new Promise((next) => setTimeout(next, 300))")
        assert (picture(browser, (1, 28, 28)) != before).any()
        assert_sound(browser, address)


def test_two_runs_and_a_broken_file(browser, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with served(explored(tiny()), explored(tiny())) as address:
        visit(browser, address)
        assert browser.js("document.querySelectorAll('.pictures figure:not([hidden])').length") == 3
        browser.choose("#photo", tmp_path / "a.png")
        browser.until(f"{SAID}.startsWith('1 of 1 images cannot be read')")
        assert_sound(browser, address)


@pytest.fixture
def library():
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    if not (LIBRARY / "dist").is_dir():
        pytest.skip("no onnxruntime-web at $ONNXRUNTIME_WEB, nor in node_modules")
    return LIBRARY.resolve()


@torch.no_grad()
def assert_decodes_as(browser, model):
    """The page shows what PyTorch makes of the first code, but for 2 grey levels."""
    told = browser.js("({ ...JSON.parse(document.getElementById('about').text), inside: null })")
    codes = np.frombuffer(base64.b64decode(told["codes"]), np.float32)
    first = torch.tensor(codes[: told["length"]])[None]
    expected = to_bytes(model.decode(first))[0].astype(int)
    assert np.abs(picture(browser, told["shape"]) - expected).max() <= 2


@pytest.mark.parametrize("kind", [VAE, CVAE, DCGAN, VQVAE, CAE, AE])
def test_the_page_from_disk(kind, browser, library, tmp_path):
    shown = explored(build(kind))
    page = write_static([shown], tmp_path / "page.html", library)
    visit(browser, page.as_uri())
    assert_decodes_as(browser, shown.run.model)
    assert browser.js(SLIDE) < 1000
    use_all(browser, shown.about, tmp_path)
    assert_sound(browser, page.as_uri())


def test_the_page_of_the_quickstart(command, browser, library):
    command("fit", "--config", "quickstart", *TWO_BATCHES, *NO_PICTURES)
    command("explore", "quickstart", "--out", "a.html", "--onnxruntime_web", library).done()
    assert Path("a.html").stat().st_size <= 20_000_000
    assert visit(browser, Path("a.html").resolve().as_uri()) < 2 * READY  # beside other tests
    assert_decodes_as(browser, FinishedRun.open("quickstart").model)
    assert browser.js(SLIDE) < 50
