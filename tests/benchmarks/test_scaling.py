"""Speed over the sizes of images, batches and machines."""

import pytest

from lightning_gen.data import FashionMNIST
from support.benchmarks import (
    BENCHMARKS,
    assert_describes_the_machine,
    assert_positive,
    assert_spread,
    run,
)


@pytest.mark.slow
def test_scaling(tmp_path):
    sizes = ("--batches", "2", "--batch-sizes", "16", "256", "--repeats", "1")
    results = run("scaling.py", tmp_path, *sizes, "--accelerator", "cpu")
    assert_describes_the_machine(results)
    assert set(results["batch_sizes"]) == {"dense, batch 16", "dense, batch 256"}
    for row in (*results["image_sizes"].values(), *results["batch_sizes"].values()):
        assert_positive(row)
        assert_spread(row["over_bare"])
    assert len(results["image_sizes"]) == 5
    one, two = results["processes"].values()
    assert one["over_first"]["median"] == 1
    assert_spread(two["over_first"])


def test_noise_has_its_shape_and_is_the_same_each_time(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from usual_data import RandomImages

    data = RandomImages(image_size=20, channels=3, images=30, batch_size=7)
    assert data.image_shape == (3, 20, 20)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (7, 3, 20, 20)
    assert (data.load_train().images == data.load_test().images).all()


def test_the_tiled_images_stand_in_for_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import usual_data

    tiled = usual_data.fashion_mnist(tmp_path)
    assert isinstance(tiled, usual_data.TiledMiniFashionMNIST)
    assert len(tiled.load_train()) == 60_000
    assert "usual_data.TiledMiniFashionMNIST" in usual_data.mnist_words(tmp_path)
    folder = FashionMNIST(str(tmp_path), download=False).folder
    folder.mkdir(parents=True)
    for name in FashionMNIST(str(tmp_path), download=False).md5s:
        (folder / name).touch()
    words = usual_data.fashion_mnist_words(tmp_path)
    assert words[:4] == ["--data", "lightning_gen.data.FashionMNIST", "--data.root", str(tmp_path)]
