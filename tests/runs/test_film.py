"""Films of a run's pictures, and of a walk through its codes."""

import sys

import av
import numpy as np
import pytest
from PIL import Image

from lightning_gen.figures.film import HELD

GREYS = (0, 90, 180)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose samples become brighter, the last ones on a larger page of uneven sides."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "logs" / "vae" / "version_0"
    for step, grey in enumerate(GREYS, start=1):
        size = (121, 81) if step == 3 else (100, 60)
        page = path / "images" / "samples" / f"{100 * step:08}.png"
        page.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (grey,) * 3).save(page)
    (path / "images" / "loss_curves").mkdir()
    Image.new("RGB", (9, 9)).save(path / "images" / "loss_curves" / "00000100.png")
    (path / "config.yaml").write_text("name: vae\n")
    return path


def test_a_gif_has_a_page_a_step(command, run):
    assert command("film", "vae").done().out.endswith("film.gif\n")
    with Image.open(run / "film.gif") as film:
        assert film.n_frames == len(GREYS)
        seen = []
        for place in range(film.n_frames):
            film.seek(place)
            seen.append(film.convert("RGB").getpixel((50, 70))[0])
    np.testing.assert_allclose(seen, GREYS, atol=2)


def test_an_mp4_is_played_by_a_library(command, run):
    command("film", "vae", "--out", "film.mp4", "--milliseconds", "100").done()
    with av.open("film.mp4") as film:
        assert film.streams.video[0].codec_context.name == "h264"
        assert film.streams.video[0].average_rate == 10
        pages = [page.to_ndarray(format="rgb24") for page in film.decode(video=0)]
    assert len(pages) == len(GREYS) + HELD - 1
    assert {side % 2 for page in pages for side in page.shape[:2]} == {0}
    np.testing.assert_allclose([page[70, 50, 0] for page in pages[:3]], GREYS, atol=4)


def test_what_has_no_film(command, run, monkeypatch):
    command("film", "vae", "--kind", "sample").refused(
        "0 pictures of the kind 'sample'", "samples?"
    )
    command("film", "vae", "--kind", "loss_curves").refused("has 1 pictures", "samples")
    command("film", "vae", "--milliseconds", "100000").refused("--milliseconds is at most 5,000")
    command("film", "vae", "--out", "film.avi").refused("--out takes .gif, .mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    command("film", "vae", "--out", "film.mp4").refused('pip install "lightning-gen[film]"')
    broken = next((run / "images" / "samples").iterdir())
    broken.write_bytes(b"no picture")
    command("film", "vae").refused(f"{broken.name} cannot be read")
    assert not list(run.glob("film*"))
