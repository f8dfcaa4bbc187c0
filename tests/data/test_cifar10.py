import io
import tarfile

import numpy as np
import pytest
import torch
from torchvision import datasets

from lightning_gen.data import CIFAR10
from support.datasets import (
    CIFAR10_FOLDER,
    cifar10_batches,
    cifar10_files,
    md5,
    unpack_cifar10,
)
from support.refusals import assert_refused

ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture(scope="module")
def batches():
    return cifar10_batches()


@pytest.fixture
def contents(batches, monkeypatch):
    return cifar10_files(batches, monkeypatch)


@pytest.fixture
def archive(contents, monkeypatch):
    """The published archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{CIFAR10_FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(stream.getvalue()))
    return stream.getvalue()


def test_images_and_labels_come_back(tmp_path, contents, batches):
    unpack_cifar10(tmp_path, contents)
    data = CIFAR10(str(tmp_path), download=False)
    assert data.image_shape == (3, 32, 32)
    assert data.num_classes == 10
    for source, names in (
        (data.load_train(), list(batches)[:5]),
        (data.load_test(), ["test_batch"]),
    ):
        pixels = np.concatenate([batches[name][0] for name in names]).reshape(-1, 3, 32, 32)
        labels = [label for name in names for label in batches[name][1]]
        assert source.images.dtype == torch.uint8
        np.testing.assert_array_equal(source.images.numpy(), pixels)
        assert source.labels.tolist() == labels
        assert source.factors.shape == (len(labels), 0)


def test_download_and_loaders(tmp_path, archive, monkeypatch, serve):
    monkeypatch.setattr(datasets.CIFAR10, "url", serve({ARCHIVE: archive}) + ARCHIVE)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ARCHIVE).write_bytes(archive[:100])  # a broken one is replaced
    data = CIFAR10(str(tmp_path / "new"), batch_size=16, val_fraction=0.2)
    data.prepare_data()
    data.setup("fit")
    assert [len(batch.images) for batch in data.train_dataloader()] == [16, 16, 8]
    assert [len(batch.images) for batch in data.val_dataloader()] == [10]
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/gone")
    data.prepare_data()  # all is there: nothing is fetched


def test_half_unpacked_files_are_unpacked_again(tmp_path, archive, contents):
    unpack_cifar10(tmp_path, contents)
    broken = tmp_path / CIFAR10_FOLDER / "data_batch_3"
    broken.write_bytes(broken.read_bytes()[:1000])
    assert_refused("data_batch_3 is broken", CIFAR10(str(tmp_path), download=False).load_train)
    (tmp_path / ARCHIVE).write_bytes(archive)
    data = CIFAR10(str(tmp_path))
    data.prepare_data()
    assert len(data.load_train()) == 50


def test_missing_files(tmp_path):
    data = CIFAR10(str(tmp_path), download=False)
    data.prepare_data()
    match = r"data_batch_1 is missing\. Set data\.download true.*unpack cifar-10"
    assert_refused(match, data.load_train)


@pytest.mark.parametrize("cut", [False, True])
def test_download_that_fails_leaves_nothing(tmp_path, archive, monkeypatch, serve, cut):
    address = serve({ARCHIVE: archive if cut else archive[:-10]}, cut=cut)
    monkeypatch.setattr(datasets.CIFAR10, "url", address + ARCHIVE)
    data = CIFAR10(str(tmp_path / "new"))
    match = rf"{ARCHIVE} could not.*put the file at .*{ARCHIVE}"
    assert_refused(match, data.prepare_data)
    assert not data.root.exists()


def test_an_archive_that_cannot_be_unpacked(tmp_path, archive):
    (tmp_path / ARCHIVE).write_bytes(archive)
    (tmp_path / CIFAR10_FOLDER).write_text("in the way")
    assert_refused("could not be unpacked", CIFAR10(str(tmp_path)).prepare_data)
