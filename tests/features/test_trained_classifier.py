import hashlib
import pickle
from importlib.resources import files

import pytest
import torch
import yaml

from lightning_gen.data import MNIST, FashionMNIST, MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.features import FashionMNISTClassifier, MNISTClassifier, TrainedClassifier
from lightning_gen.models import CAE, Classifier, StackedDAE
from lightning_gen.training.checkpoint import load_model
from support.bombs import Evil
from support.models import loader_of, trainer_of
from support.refusals import assert_refused

SHAPE = (3, 12, 10)
WEIGHTS = files("lightning_gen.features") / "weights"
SHIPPED = [
    pytest.param(FashionMNISTClassifier, FashionMNIST, 0.92, id="fashion_mnist_classifier"),
    pytest.param(MNISTClassifier, MNIST, 0.99, id="mnist_classifier"),
]
CONTENTS = {"hyper_parameters": {"_class_path": "no.Model"}, "state_dict": {}}


@pytest.fixture(scope="module")
def fashion():
    return FashionMNISTClassifier()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The checkpoint of a short run of one's own, in the folders of a run."""
    trainer = trainer_of()
    trainer.fit(Classifier(SHAPE, 10, (4, 6), flip=True), loader_of(torch.rand(8, *SHAPE)))
    folder = tmp_path_factory.mktemp("own") / "logs" / "my_run" / "version_0" / "checkpoints"
    trainer.save_checkpoint(folder / "best.ckpt")
    return folder / "best.ckpt"


@pytest.fixture
def own(checkpoint):
    return TrainedClassifier(str(checkpoint))


def accuracy(extractor, source):
    right = 0
    for numbers in torch.arange(len(source)).split(500):
        batch = source[numbers]
        right += (extractor.classes(batch.images / 255) == batch.labels).sum().item()
    return right / len(source)


def refused(path):
    """The message about a checkpoint that is none of a classifier; it is one line."""
    with pytest.raises(UserError) as caught:
        TrainedClassifier(str(path))
    message = str(caught.value)
    assert message.startswith("TrainedClassifier.checkpoint is the checkpoint of a trained Clas")
    assert str(path) in message
    assert "\n" not in message
    return message


class TestShipped:
    @pytest.mark.parametrize(("kind", "data", "least"), SHIPPED)
    def test_its_file_is_small_and_knows_grey_images_by_128_features(
        self, kind, data, least, request
    ):
        extractor, name = kind(), request.node.callspec.id
        file = WEIGHTS / f"{name}.ckpt"
        assert file.stat().st_size < 2_000_000
        assert set(torch.load(file, weights_only=True)) == {"state_dict", "hyper_parameters"}
        assert extractor.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert extractor.name == name
        assert extractor.score_name("frechet_distance") == f"frechet_distance[{name}]"
        assert (extractor.resize, extractor.image_shape) == ("none", (1, 28, 28))
        assert extractor(torch.rand(3, 1, 28, 28)).shape == (3, extractor.feature_dim) == (3, 128)

    @pytest.mark.slow
    @pytest.mark.parametrize(("kind", "data", "least"), SHIPPED)
    def test_the_file_beside_it_has_its_accuracy(self, kind, data, least, shared_data):
        extractor = kind()
        record = yaml.safe_load((WEIGHTS / f"{extractor.name}.yaml").read_text("utf-8"))
        source = data(root=str(shared_data), download=False).load("test")
        assert len(source) == 10_000
        found = accuracy(extractor, source)
        assert found == pytest.approx(record["test_accuracy"], abs=5e-5)
        assert found >= least

    def test_it_is_right_on_the_images_in_the_package(self, fashion):
        assert accuracy(fashion, MiniFashionMNIST().load("test")) > 0.9


class TestFeatures:
    images = torch.rand(6, 1, 28, 28)

    def test_they_are_what_the_model_encodes_and_classes_are_its_own(self, own, checkpoint):
        model, images = load_model(checkpoint), torch.rand(50, *SHAPE)
        assert own.feature_dim == 6
        assert torch.equal(own(images), model.encode(images))
        assert torch.equal(own.classes(images), model.network(images).argmax(dim=1))

    def test_classes_that_are_nearly_as_likely_are_told_apart_under_autocast(self, own):
        own.network.head.weight.zero_()
        own.network.head.bias.copy_(100 + torch.arange(10) / 100)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert own.classes(torch.rand(2, *SHAPE)).tolist() == [9, 9]

    def test_neither_training_mode_nor_precision_changes_them(self, fashion):
        before = {key: value.clone() for key, value in fashion.state_dict().items()}
        expected = fashion(self.images)
        assert expected.dtype == torch.float32
        fashion.train()
        assert torch.equal(fashion(self.images), expected)
        assert all(torch.equal(value, before[key]) for key, value in fashion.state_dict().items())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = fashion(self.images.clone().requires_grad_())
        assert torch.equal(found, expected)
        assert not found.requires_grad
        assert not any(parameter.requires_grad for parameter in fashion.parameters())
        halved = self.images.bfloat16()
        assert torch.equal(fashion(halved), fashion(halved.float()))

    @pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 32), (1, 28, 27)])
    def test_other_images_are_refused(self, fashion, shape):
        got = "x".join(map(str, shape))
        match = f"knows images of 1x28x28, got {got}\\. Train"
        assert_refused(match, fashion, torch.rand(2, *shape))


def test_the_run_is_the_name_and_elsewhere_the_file(own, checkpoint, tmp_path, monkeypatch):
    assert own.name == "my_run"
    assert own.score_name("kernel_distance") == "kernel_distance[my_run]"
    assert own.sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert TrainedClassifier(str(checkpoint), name="mine").name == "mine"
    path = tmp_path / "moved.ckpt"
    path.write_bytes(checkpoint.read_bytes())
    assert TrainedClassifier(str(path)).name == "moved"
    monkeypatch.chdir(checkpoint.parent)
    assert TrainedClassifier("best.ckpt").name == "my_run"


class TestRefused:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "given.ckpt"

    @pytest.mark.parametrize(
        "content",
        [
            CONTENTS,
            CONTENTS | {"hyper_parameters": {"widths": [4]}},
            {"state_dict": {"network.head.bias": torch.zeros(1)}},
            {"epoch": 3},
            [1, 2],
            torch.zeros(3),
        ],
        ids=["no widths", "no network", "no arguments", "no checkpoint", "a list", "a tensor"],
    )
    def test_another_checkpoint(self, content, path):
        torch.save(content, path)
        assert "got another file" in refused(path)

    @pytest.mark.parametrize("kind", [CAE, StackedDAE])
    def test_another_model_with_widths(self, kind, path):
        model = kind((1, 28, 28), widths=(4, 6))
        content = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
        torch.save(content, path)
        assert "got another file" in refused(path)

    def test_a_cut_off_file(self, checkpoint, path):
        for size in (0, 10, 1000, -1000, -10):
            path.write_bytes(checkpoint.read_bytes()[:size])
            assert "cannot be read" in refused(path)

    @pytest.mark.parametrize(
        "content",
        [b"test_accuracy: 0.9\n", b"<html>", b"hello\n", pickle.dumps({"a": 1}, protocol=2)],
    )
    def test_what_torch_did_not_write(self, content, path):
        path.write_bytes(content)
        refused(path)

    def test_no_file_and_a_folder(self, path):
        assert "cannot be read" in refused(path)
        path.mkdir()
        assert "cannot be read" in refused(path)

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            *(("widths", [4, 7]), ("num_classes", 3), ("image_shape", [1, 12, 10])),
            *(("num_classes", None), ("image_shape", None)),
        ],
    )
    def test_weights_that_do_not_fit_their_arguments(self, argument, value, checkpoint, path):
        content = torch.load(checkpoint, weights_only=True)
        content["hyper_parameters"][argument] = value
        if value is None:
            del content["hyper_parameters"][argument]
        torch.save(content, path)
        refused(path)

    def test_a_pickle_that_runs_something_is_not_unpacked(self, checkpoint, path, tmp_path):
        content = torch.load(checkpoint, weights_only=True)
        torch.save(content | {"callbacks": Evil(tmp_path / "evil")}, path)
        assert "cannot be read" in refused(path)
        assert not (tmp_path / "evil").exists()
        torch.load(path, weights_only=False)
        assert (tmp_path / "evil").exists()  # it would have run
