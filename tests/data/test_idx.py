"""IDX files: read as torchvision reads them, fetched whole or refused."""

import gzip
import hashlib
import shutil
import socket
import struct
from types import SimpleNamespace

import pytest
import torch
from torchvision import datasets

from lightning_gen.data import MNIST, FashionMNIST
from lightning_gen.data.splits import shuffled
from lightning_gen.errors import UserError

NAMES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


def idx(array):
    """The array in the IDX format (unsigned bytes), gzipped."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.numpy().tobytes(), mtime=0)


@pytest.fixture
def arrays():
    train, test = torch.randint(0, 256, (20, 28, 28)), torch.randint(0, 256, (7, 28, 28))
    labels = torch.randint(0, 10, (20,)), torch.randint(0, 10, (7,))
    everything = (train, labels[0], test, labels[1])
    return dict(zip(NAMES, (a.to(torch.uint8) for a in everything), strict=True))


@pytest.fixture
def contents(arrays):
    return {name: idx(array) for name, array in arrays.items()}


@pytest.fixture
def publish(contents, monkeypatch):
    """Make MNIST's published files the small ones, at the mirrors given."""
    md5s = [(n, hashlib.md5(c, usedforsecurity=False).hexdigest()) for n, c in contents.items()]

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
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


class TestReading:
    def test_arrays_come_back(self, folder, arrays):
        data = MNIST(root=str(folder.parents[1]))
        for source, split in ((data.load_train(), "train"), (data.load_test(), "t10k")):
            assert torch.equal(source.images[:, 0], arrays[f"{split}-images-idx3-ubyte.gz"])
            assert source.labels.tolist() == arrays[f"{split}-labels-idx1-ubyte.gz"].tolist()
            assert source.images.dtype == torch.uint8
            assert source.labels.dtype == torch.int64
            assert source.images.shape[1:] == data.image_shape

    def test_known_before_any_download(self, tmp_path):
        for kind in (MNIST, FashionMNIST):
            data = kind(root=str(tmp_path / "nowhere"))
            assert data.image_shape == (1, 28, 28)
            assert data.num_classes == len(data.class_names) == 10
        assert FashionMNIST.class_names[9] == "Ankle boot"
        assert not (tmp_path / "nowhere").exists()

    def test_missing_file(self, tmp_path, publish):
        data = MNIST(root=str(tmp_path), download=False)
        data.prepare_data()  # which asks nobody
        missing = tmp_path / "MNIST" / "raw" / NAMES[0]
        with pytest.raises(UserError) as caught:
            data.setup("fit")
        message = str(caught.value)
        assert f"{missing} is missing" in message
        assert "data.download true" in message
        assert all(name in message for name in NAMES)

    def test_broken_file(self, folder):
        broken = folder / NAMES[2]
        broken.write_bytes(broken.read_bytes()[:-1] + b"!")
        data = MNIST(root=str(folder.parents[1]), download=False)
        with pytest.raises(UserError, match=f"{broken} is broken: its md5 is .* expected .*Delete"):
            data.setup("test")

    def test_unpacked_files_alone(self, folder, arrays, publish, closed_port):
        publish(closed_port)
        for name in NAMES:
            content = gzip.decompress((folder / name).read_bytes())
            (folder / name.removesuffix(".gz")).write_bytes(content)
            (folder / name).unlink()
        data = MNIST(root=str(folder.parents[1]))
        data.prepare_data()
        assert torch.equal(data.load_test().images[:, 0], arrays[NAMES[2]])
        broken = folder / NAMES[2].removesuffix(".gz")
        broken.write_bytes(broken.read_bytes()[:-1])
        with pytest.raises(UserError, match=f"{broken} is broken: expected an IDX file .* 3 axes"):
            data.load_test()


class TestDownload:
    def test_a_whole_download(self, tmp_path, publish, serve, contents, arrays):
        publish(serve(contents))
        data = MNIST(root=str(tmp_path), val_fraction=0.25)
        data.prepare_data()
        data.setup("fit")
        data.setup("test")
        train = torch.cat([batch.labels for batch in data.train_dataloader()])
        val = torch.cat([batch.labels for batch in data.val_dataloader()])
        assert (len(train), len(val)) == (15, 5)
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
        with caplog.at_level("INFO"), pytest.raises(UserError) as caught:
            MNIST(root="data").prepare_data()
        path = tmp_path / "data" / "MNIST" / "raw" / NAMES[0]
        message = str(caught.value)
        assert message.startswith(f"{NAMES[0]} could not be downloaded whole ({mirror}: ")
        assert message.count(mirror) >= 2
        assert f"put the file at {path}" in message
        assert "\n" not in message
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
    for source, train in ((data.load_train(), True), (data.load_test(), False)):
        expected = reference(tmp_path, train=train, download=True)
        assert torch.equal(source.images[:, 0], expected.data)
        assert torch.equal(source.labels, expected.targets)
    assert len(data.class_names) == len(expected.classes)
