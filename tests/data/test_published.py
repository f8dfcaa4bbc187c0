import gzip
import io
import shutil
import socket
import struct
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision import datasets

from lightning_gen.data import CIFAR10, MNIST, FashionMNIST
from lightning_gen.data.loader import shuffled
from support.datasets import CIFAR10_FOLDER, cifar10_batches, cifar10_files, md5, unpack_cifar10
from support.refusals import assert_refused

KINDS = ("images-idx3", "labels-idx1")
NAMES = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in KINDS]


def idx(array):
    """The array in the IDX format (unsigned bytes), gzipped."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.numpy().tobytes(), mtime=0)


@pytest.fixture
def arrays():
    shapes = [(256, (20, 28, 28)), (10, (20,)), (256, (7, 28, 28)), (10, (7,))]
    found = (torch.randint(0, most, shape, dtype=torch.uint8) for most, shape in shapes)
    return dict(zip(NAMES, found, strict=True))


@pytest.fixture
def contents(arrays):
    return {name: idx(array) for name, array in arrays.items()}


@pytest.fixture
def publish(contents, monkeypatch):
    """Make MNIST's published files the small ones, at the mirrors given."""
    md5s = [(name, md5(content)) for name, content in contents.items()]

    def publish(*mirrors):
        published = SimpleNamespace(mirrors=[*mirrors], resources=md5s)
        monkeypatch.setattr(MNIST, "published", published)

    publish()
    return publish


@pytest.fixture
def folder(tmp_path, contents, publish):
    """The small files, where MNIST(root=tmp_path) looks."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


class TestReading:
    def test_arrays_come_back(self, folder, arrays):
        data = MNIST(root=str(folder.parents[1]))
        for split, images, labels in (("train", *NAMES[:2]), ("test", *NAMES[2:])):
            source = data.load(split)
            assert torch.equal(source.images[:, 0], arrays[images])
            assert source.labels.tolist() == arrays[labels].tolist()
            assert source.images.dtype == torch.uint8
            assert source.labels.dtype == torch.int64
            assert source.images.shape[1:] == data.image_shape

    def test_known_before_any_download(self, tmp_path):
        for kind in (MNIST, FashionMNIST):
            data = kind(root=str(tmp_path / "nowhere"))
            assert data.image_shape == (1, 28, 28)
            assert len(data.info.class_names) == 10
        assert FashionMNIST.info.class_names[9] == "Ankle boot"
        assert not (tmp_path / "nowhere").exists()

    def test_missing_file(self, tmp_path, publish):
        data = MNIST(root=str(tmp_path), download=False)
        data.prepare_data()  # which asks nobody
        missing = tmp_path / "MNIST" / "raw" / NAMES[0]
        match = f"{missing} is missing.*data.download true.*{', '.join(NAMES)}"
        assert_refused(match, data.setup, "fit")

    def test_broken_file(self, folder):
        broken = folder / NAMES[2]
        broken.write_bytes(broken.read_bytes()[:-1] + b"!")
        data = MNIST(root=str(folder.parents[1]), download=False)
        match = f"{broken} is broken: its md5 is .* expected .*Delete"
        assert_refused(match, data.setup, "test")

    def test_unpacked_files_alone(self, folder, arrays, publish, closed_port):
        publish(closed_port)
        for name in NAMES:
            content = gzip.decompress((folder / name).read_bytes())
            (folder / name.removesuffix(".gz")).write_bytes(content)
            (folder / name).unlink()
        data = MNIST(root=str(folder.parents[1]))
        data.prepare_data()
        assert torch.equal(data.load("test").images[:, 0], arrays[NAMES[2]])
        broken = folder / NAMES[2].removesuffix(".gz")
        broken.write_bytes(broken.read_bytes()[:-1])
        assert_refused(f"{broken} is broken: expected an IDX file .* 3 axes", data.load, "test")


class TestDownload:
    def test_a_whole_download(self, tmp_path, publish, serve, contents, arrays):
        publish(serve(contents))
        data = MNIST(root=str(tmp_path), val_fraction=0.25)
        assert [data.in_order(split).num_images for split in ("train", "val")] == [15, 5]
        [test] = data.test_dataloader()
        assert torch.equal(test.images[:, 0], arrays[NAMES[2]][shuffled(7)])
        assert {file.name for file in data.folder.iterdir()} == set(NAMES)

    def test_only_a_broken_file_is_fetched_again(self, folder, contents, publish, serve):
        publish(serve({NAMES[1]: contents[NAMES[1]]}))
        (folder / NAMES[1]).write_bytes(b"half")
        MNIST(root=str(folder.parents[1])).prepare_data()
        assert (folder / NAMES[1]).read_bytes() == contents[NAMES[1]]

    @pytest.mark.parametrize("fault", ["truncated", "other content", "not there", "no server"])
    def test_a_faulty_mirror_leaves_nothing(
        self, fault, tmp_path, contents, publish, serve, closed_port, monkeypatch, caplog
    ):
        files = {"truncated": contents, "other content": {NAMES[0]: b"<html>"}}
        served = serve(files.get(fault, {}), cut=fault == "truncated")
        mirror = closed_port if fault == "no server" else served
        publish(mirror, mirror)
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "data" / "MNIST" / "raw" / NAMES[0]
        match = rf"^{NAMES[0]} could not .* whole \({mirror}: .*{mirror}.*put the file at {path}"
        assert_refused(match, MNIST(root="data").prepare_data)
        assert f"{path} is not there: it is fetched" in caplog.text
        assert [*tmp_path.iterdir()] == []

    def test_the_next_mirror_helps(self, tmp_path, contents, publish, serve, closed_port):
        publish(closed_port, serve(contents, cut=True), serve(contents))
        MNIST(root=str(tmp_path)).prepare_data()
        folder = tmp_path / "MNIST" / "raw"
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == contents


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_the_real_files_as_torchvision_reads_them(kind, shared_data, tmp_path):
    name = kind.__name__
    shutil.copytree(shared_data / name, tmp_path / name, copy_function=shutil.copyfile)
    (tmp_path / name).chmod(0o755)
    (tmp_path / name / "raw").chmod(0o755)
    reference = getattr(datasets, name)
    data = kind(root=str(shared_data), download=False)
    for source, train in ((data.load("train"), True), (data.load("test"), False)):
        expected = reference(tmp_path, train=train, download=True)
        assert torch.equal(source.images[:, 0], expected.data)
        assert torch.equal(source.labels, expected.targets)
    assert len(data.info.class_names) == len(expected.classes)


ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture
def cifar10(monkeypatch):
    return cifar10_files(cifar10_batches(), monkeypatch)


@pytest.fixture
def archive(cifar10, monkeypatch):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in cifar10.items():
            member = tarfile.TarInfo(f"{CIFAR10_FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(stream.getvalue()))
    return stream.getvalue()


def test_cifar10_comes_back(tmp_path, cifar10):
    batches = cifar10_batches()
    unpack_cifar10(tmp_path, cifar10)
    data = CIFAR10(str(tmp_path), download=False)
    assert data.image_shape == (3, 32, 32)
    assert len(data.info.class_names) == 10
    for split, names in (("train", list(batches)[:5]), ("test", ["test_batch"])):
        source = data.load(split)
        pixels = np.concatenate([batches[name][0] for name in names]).reshape(-1, 3, 32, 32)
        labels = [label for name in names for label in batches[name][1]]
        assert source.images.dtype == torch.uint8
        np.testing.assert_array_equal(source.images.numpy(), pixels)
        assert source.labels.tolist() == labels
        assert source.factors.shape == (len(labels), 0)


def test_cifar10_download_and_loaders(tmp_path, archive, monkeypatch, serve):
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


def test_cifar10_half_unpacked_files_are_unpacked_again(tmp_path, archive, cifar10):
    unpack_cifar10(tmp_path, cifar10)
    broken = tmp_path / CIFAR10_FOLDER / "data_batch_3"
    broken.write_bytes(broken.read_bytes()[:1000])
    data = CIFAR10(str(tmp_path), download=False)
    assert_refused("data_batch_3 is broken", data.load, "train")
    (tmp_path / ARCHIVE).write_bytes(archive)
    data = CIFAR10(str(tmp_path))
    data.prepare_data()
    assert len(data.load("train")) == 50


def test_cifar10_that_is_not_there_and_cannot_be_fetched(tmp_path, archive, monkeypatch, serve):
    data = CIFAR10(str(tmp_path / "new"), download=False)
    data.prepare_data()
    match = r"data_batch_1 is missing\. Set data\.download true.*unpack cifar-10"
    assert_refused(match, data.load, "train")
    monkeypatch.setattr(datasets.CIFAR10, "url", serve({ARCHIVE: archive[:-10]}) + ARCHIVE)
    data = CIFAR10(str(tmp_path / "new"))
    assert_refused(rf"{ARCHIVE} could not.*put the file at .*{ARCHIVE}", data.prepare_data)
    assert not data.root.exists()


def test_cifar10_an_archive_that_cannot_be_unpacked(tmp_path, archive):
    (tmp_path / ARCHIVE).write_bytes(archive)
    (tmp_path / CIFAR10_FOLDER).write_text("in the way")
    assert_refused("could not be unpacked", CIFAR10(str(tmp_path)).prepare_data)
