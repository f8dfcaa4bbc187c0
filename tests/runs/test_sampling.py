import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.figures.grid import image_grid, image_rows
from lightning_gen.pictures import Samples, Seen
from lightning_gen.runs.outputs import to_bytes
from lightning_gen.runs.sampling import sample
from support.arrays import arrays_of
from support.finished import run_of
from support.kinds import KINDS
from support.refusals import assert_refused

WITH_PRIOR = ("VAE", "CVAE", "DCGAN")


@pytest.mark.parametrize("kind", WITH_PRIOR)
def test_samples_do_not_depend_on_the_size_of_a_batch(kind, tmp_path):
    run = run_of(KINDS[kind]())
    kept = []
    for batch_size in (256, 10, 3):
        torch.manual_seed(4)
        path = sample(run, tmp_path / f"{batch_size}.npz", 20, batch_size=batch_size)
        kept.append(arrays_of(path))
    torch.manual_seed(4)
    codes = run.model.sample_codes(20)
    images = to_bytes(run.model.decode(codes)).astype(int)
    for one in kept:
        np.testing.assert_array_equal(one["codes"], codes)
        assert np.abs(one["images"] - images).max() <= 1
        assert one["names"].tolist() == [f"{number:05}" for number in range(20)]


def test_a_model_without_codes_samples_batch_by_batch(tmp_path):
    path = sample(run_of(KINDS["VQVAE"]()), tmp_path / "a.npz", 5, batch_size=2)
    kept = arrays_of(path)
    assert kept["images"].shape == (5, 1, 28, 28)
    assert set(kept) == {"images", "names"}


@pytest.mark.parametrize("kind", ["VAE", "DCGAN"])
def test_a_page_shows_what_the_callback_drew(kind, tmp_path):
    """The same seed, the same model: the same images."""
    run = run_of(KINDS[kind]())
    torch.manual_seed(7)
    sample(run, tmp_path / "a.png", 16)
    drawn = Samples(num_images=16, seed=7).draw(run.model, Seen()).pixels("of own")
    found = np.asarray(Image.open(tmp_path / "a.png"))
    torch.manual_seed(7)
    np.testing.assert_array_equal(found, image_grid(run.model.sample(16), "Samples of own"))
    assert np.abs(found[50:, :340].astype(int) - drawn[50:, :340]).max() <= 1


def test_labels_are_rows_of_the_same_noise(tmp_path):
    run = run_of(KINDS["CVAE"]())
    names = ["Bag", "Trouser"]
    torch.manual_seed(2)
    sample(run, tmp_path / "a.png", 4, labels=names)
    torch.manual_seed(2)
    noise = torch.randn(4, 4)
    rows = {
        name: run.model.decode(torch.cat([noise, torch.eye(10)[[number] * 4]], dim=1))
        for name, number in zip(names, (8, 1), strict=True)
    }
    expected = image_rows(rows, "Samples of own")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_several_attributes_at_once(tmp_path):
    factors = dict.fromkeys(("Hat", "Smiling", "Bald"), 2)
    run = run_of(KINDS["CVAE"](attributes=("Hat", "Smiling", "Bald"), factors=factors))
    torch.manual_seed(2)
    sample(run, tmp_path / "a.png", 4, labels=["Hat+Smiling"])
    torch.manual_seed(2)
    both = run.model.sample(4, torch.tensor([[1.0, 1, 0]] * 4))
    expected = image_rows({"Hat+Smiling": both}, "Samples of own")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)
    for each, name in ((run, "Hat+Beard"), (run_of(KINDS["CVAE"]()), "Bag+Dress")):
        assert_refused(
            f"knows no '{name[:3]}.{name[4:]}'", sample, each, tmp_path / "b.png", 4, labels=[name]
        )


def test_labels_are_folders_of_their_own(tmp_path):
    sample(run_of(KINDS["CVAE"]()), tmp_path / "out", 2, labels=["Bag", "Dress"])
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == [
        f"out/{name}/0000{number}.png" for name in ("Bag", "Dress") for number in (0, 1)
    ]
