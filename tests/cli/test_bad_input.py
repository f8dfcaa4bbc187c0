"""What a user can get wrong: one line that names it, exit code 2, nothing left behind."""

import copy
import io
import os
import pickle
import re
import shutil

import pytest
import torch
import yaml
from PIL import Image

from support.command import CONF, NO_PICTURES, SMALL, TWO_BATCHES

QUICK = ("--config", str(CONF / "quickstart.yaml"))
VAE = ("--model", "VAE", "--data", "MiniFashionMNIST")


@pytest.fixture
def refused(command, tmp_path):
    """Runs a command that must be refused; its line."""

    def run(*words, verb="fit", match=""):
        answer = command(verb, *words)
        assert answer.code == 2, answer.err
        assert re.search(match, answer.line), answer.line
        assert answer.line.startswith(f"lightning-gen {verb}: ")
        assert not list((tmp_path / "logs").glob("*")), "a directory was left behind"
        return answer.line

    return run


@pytest.mark.parametrize(
    ("words", "key", "nearest"),
    [
        (("--traner.max_epochs", "3"), "traner.max_epochs", "trainer"),
        (("--nam", "x"), "nam", "name"),
        (("--trainer.max_epoch", "3"), "trainer.max_epoch", "trainer.max_epochs"),
        (("--model.latent_dims", "3"), "latent_dims", "latent_dim"),
        (("--model.architecture.width", "[3]"), "width", "widths"),
        (("--model.optimizer.lrr", "0.1"), "lrr", "lr"),
        (("--model.objective.betta", "0.1"), "betta", "beta"),
        (("--data.batchsize", "3"), "batchsize", "batch_size"),
    ],
)
def test_misspelt_option(words, key, nearest, refused):
    line = refused(*QUICK, *words)
    assert re.search(rf"\b{re.escape(key)}\b.*Did you mean .*\b{re.escape(nearest)}\b", line), line


@pytest.mark.parametrize(
    ("place", "key", "nearest"),
    [
        ((), "sede_everything", "seed_everything"),
        (("trainer",), "max_epoch", "max_epochs"),
        (("model", "init_args"), "latentdim", "latent_dim"),
        (("model", "init_args", "architecture", "init_args"), "width", "widths"),
        (("data", "init_args"), "val_frac", "val_fraction"),
    ],
)
def test_misspelt_key_in_a_file(place, key, nearest, refused, tmp_path):
    config = {
        "seed_everything": 0,
        "trainer": {"accelerator": "cpu"},
        "model": {
            "class_path": "VAE",
            "init_args": {
                "architecture": {"class_path": "Conv", "init_args": {"widths": [8]}},
            },
        },
        "data": {"class_path": "MiniFashionMNIST", "init_args": {"batch_size": 8}},
    }
    part = config
    for word in place:
        part = part[word]
    part[key] = 1
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    line = refused("--config", "own.yaml")
    assert re.search(rf"\b{key}\b.*Did you mean .*\b{nearest}\b", line), line


@pytest.mark.parametrize(
    ("words", "given", "nearest"),
    [
        (("--model", "VEA"), "VEA", "VAE"),
        (("--data", "MiniFashionMINST"), "MiniFashionMINST", "MiniFashionMNIST"),
        (("--model.architecture", "Desne"), "Desne", "Dense"),
        (("--model.likelihood", "Bernouli"), "Bernouli", "Bernoulli"),
        (("--trainer.callbacks", "Sampels"), "Sampels", "Samples"),
        (("--trainer.callbacks+", "Sampels"), "Sampels", "Samples"),
        (("--model.optimizer", "Adm"), "Adm", "Adam"),
        (("--model.optimizer", "torch.optim.Adm"), "torch.optim.Adm", "Adam"),
        (("--model.lr_scheduler", "StepRL"), "StepRL", "StepLR"),
        (("--trainer.logger", "WandLogger"), "WandLogger", "WandbLogger"),
        (("--model.architecture.activation", "torch.nn.RLU"), "torch.nn.RLU", "torch.nn.ReLU"),
        (("--model.architecture.activation", "RLU"), "RLU", "ReLU"),
    ],
)
def test_unknown_class(words, given, nearest, refused):
    line = refused(*VAE, *words)
    assert re.search(rf"\b{re.escape(given)}\b.*Did you mean .*\b{nearest}\b", line), line


PARTS = {
    "architecture": {"class_path": "Dense", "init_args": {"widths": [8]}},
    "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}},
    "lr_scheduler": {"class_path": "StepLR", "init_args": {"step_size": 1}},
}


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        (
            "likelihood",
            "lightning_gen.objectives.R1",
            r"model\.likelihood: expected a Likelihood, got .*R1\. Choose among Bernoulli, ",
        ),
        (
            "optimizer",
            "torch.nn.ReLU",
            r"model\.optimizer: expected an Optimizer, got torch\.nn\.ReLU\. Choose .*SGD",
        ),
        (
            "architecture",
            3,
            r"model\.architecture: expected a class, .* got 3\. Choose among Conv, ",
        ),
        (
            "lr_scheduler",
            {"init_args": {"step_size": 1}},
            r"model\.lr_scheduler: class_path is miss",
        ),
        ("architecture.class_path", 3, r"architecture\.class_path: expected the name of .* got 3"),
        (
            "architecture.class_path",
            "",
            r"architecture\.class_path: expected the name of .* got ''",
        ),
        ("architecture.init_args", None, r"init_args: expected arguments: .* got nothing"),
        ("architecture.init_args", 3, r"architecture\.init_args: expected arguments: .* got 3"),
        ("architecture.widths", [8], r"architecture\.widths is no option beside .*below init_args"),
        ("architecture.initargs", {}, r"initargs is no option .* Did you mean init_args\?"),
        (
            "architecture.init_args.widths",
            "x",
            r"model\.architecture\.widths: expected tuple, got x",
        ),
        ("optimizer.init_args.lr", "x", r"model\.optimizer\.lr: expected float, got x"),
        ("lr_scheduler.init_args.step_size", "x", r"lr_scheduler\.step_size: expected int, got x"),
        ("optimizer.init_args.zz", 1, r"model\.optimizer\.zz is no option of Adam\. Choose .*lr"),
        ("attributes", ["a"], r"model\.attributes is no option of VAE\. Choose .*latent_dim"),
        ("architecture.init_args.activation", "torch.nn.Bilinear", r"Bilinear\(\) cannot be built"),
        ("architecture.init_args.activation", "torch.optim.Adam", r"activation: expected a Module"),
        (5, 1, r"model\.init_args\.5 is a key, expected a text, got 5"),
    ],
)
def test_a_part_of_another_kind(key, value, match, refused, tmp_path):
    model = copy.deepcopy(PARTS)
    part = model
    *before, last = key.split(".") if isinstance(key, str) else [key]
    for word in before:
        part = part[word]
    part[last] = value
    config = {"model": {"class_path": "VAE", "init_args": model}, "data": "MiniFashionMNIST"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    refused("--config", "own.yaml", match=match)


@pytest.mark.parametrize("value", [0.5, True, [1], 3])
def test_a_trainer_of_no_options(value, refused, tmp_path):
    content = {"model": "VAE", "data": "MiniFashionMNIST", "trainer": value}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    refused("--config", "own.yaml", match=r"own\.yaml: trainer: expected key: value, got ")
    (tmp_path / "own.yaml").write_text(str(value))
    refused(*VAE, "--trainer", "own.yaml", match=r"trainer: own\.yaml holds no key: value")


def test_a_model_that_no_memory_holds(command):
    answer = command("fit", *VAE, "--model.latent_dim", "1000000000000000", *TWO_BATCHES)
    assert answer.code == 1
    assert "there is not enough memory" in answer.line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--config", str(CONF / "quikstart.yaml")), "quickstart.yaml"),
        (("--model", str(CONF / "model/vea.yaml"), "--data", "Shapes"), "vae.yaml"),
        (("--model", "VAE", "--data", str(CONF / "data/mnits.yaml")), "mnist.yaml"),
        ((*QUICK, "--trainer.logger", str(CONF / "logger/wandbb.yaml")), "wandb.yaml"),
    ],
)
def test_missing_file(words, name, refused):
    line = refused(*words)
    assert re.search(rf"there is no file .*Did you mean .*{name}", line), line


def test_missing_piece_named_in_a_file(refused, tmp_path):
    (tmp_path / "own.yaml").write_text("model: pieces/vae.yaml\ndata: Shapes\n")
    refused("--config", "own.yaml", match=r"there is no file pieces/vae\.yaml")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"model: [VAE\ndata: {", r"own\.yaml.*no valid YAML"),
        (b"model: \xff\xfe\n", r"own\.yaml.*UTF-8"),
        (b"- model\n- data\n", r"own\.yaml.*expected key: value"),
        (b"just words\n", r"own\.yaml.*expected key: value"),
        (b"", r"own\.yaml holds nothing, expected key: value"),
    ],
)
def test_broken_file(content, match, refused, tmp_path):
    (tmp_path / "own.yaml").write_bytes(content)
    refused("--config", "own.yaml", match=match)


def test_a_folder_is_no_config(refused, tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    refused("--config", "folder.yaml", match=r"folder\.yaml.*is a folder")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--trainer.max_epochs", "many"), r"trainer\.max_epochs: expected .*int.*, got many"),
        (("--model.latent_dim", "ten"), r"latent_dim: expected int, got ten"),
        (("--data.batch_size", "2.5"), r"batch_size: expected int, got 2\.5"),
        (
            ("--data.binarize", "sometimes"),
            r"binarize: expected .*static.*dynamic.*, got sometimes",
        ),
        (("--test_after_fit", "perhaps"), r"test_after_fit: expected bool.*, got perhaps"),
        (("--seed_everything", "x"), r"seed_everything: expected .*int.*, got x"),
        (("--trainer.compile", "maybe"), r"compile: expected bool or 'max-autotune', got maybe"),
        (("--trainer.devices", "x"), r"trainer\.devices: expected how many .* got 'x'"),
        (("--trainer.devices", "0"), r"trainer\.devices: expected how many .* got '?0'?"),
        (("--trainer.devices", "[0]"), r"trainer\.devices: expected how many .* got \[0\]"),
    ],
)
def test_wrong_type(words, match, refused):
    refused(*VAE, *words, match=match)


@pytest.mark.parametrize(
    ("words", "key"), [(("--data", "Shapes"), "model"), (("--model", "VAE"), "data"), ((), "data")]
)
def test_missing_part(words, key, refused):
    refused(*words, match=f"{key} is missing: pass --{key}")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--model.latent_dim", "0"), r"latent_dim is .* at least 1, got 0"),
        (("--model.objective.beta", "-1"), r"beta is .* at least 0, got -1"),
        (("--model", "BetaVAE", "--model.beta", "-1"), r"beta is .* at least 0, got -1"),
        (("--model.architecture.widths", "[8,8,8,8,8]"), r"needs at least 32 pixels.*got 28x28"),
        (("--data.val_fraction", "2"), r"val_fraction is .*got 2"),
        (("--data.batch_size", "0"), r"batch_size is at least 1, got 0"),
        (("--model.optimizer.lr", "-1"), r"cannot be built: Invalid learning rate: -1"),
        (("--model.optimizer", "Muon"), r"cannot be built: Muon only supports 2D parameters"),
        (
            ("--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "0"),
            "step_size is at",
        ),
        (
            ("--model.architecture.widths", "null"),
            r"architecture\.widths: expected tuple, got (null|None)",
        ),
        (("--data.batch_size", "null"), r"data\.batch_size: expected int, got null"),
        (
            ("--trainer.callbacks", "Samples", "--trainer.callbacks.num_images", "null"),
            r"trainer\.callbacks\.num_images: expected int, got null",
        ),
        (("--model.likelihood", "null"), r"likelihood: expected Likelihood, got null"),
        (("--trainer.accumulate_grad_batches", "0"), r"accumulate_grad_batches is at least 1"),
        (
            ("--trainer.precision", "bf16-true"),
            r"precision is 32-true, bf16-mixed or 16-mixed, got",
        ),
        (("--seed_everything", "-5"), r"seed_everything is from 0 to 4294967295, got -5"),
        (("--name", "a/b"), r"name is used as a folder name.*'a/b'"),
        (("--name", ".."), r"name is used as a folder name"),
        (("--trainer.default_root_dir", "/proc/version/logs"), r"/proc/version/logs"),
        (
            ("--trainer.callbacks", "Samples", "--trainer.callbacks.every_n_epochs", "0"),
            "at least 1",
        ),
        (
            ("--model", "AE", "--trainer.callbacks+", "Samples"),
            "Samples needs a model that samples",
        ),
        (("--trainer.accelerator", "tpu"), "torch_xla"),
    ],
)
def test_value_out_of_range(words, match, refused):
    refused(*VAE, *TWO_BATCHES, *words, match=match)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu(refused):
    words = ("--trainer.accelerator", "gpu")
    refused(*SMALL, *words, match="no gpu. Pass --trainer.accelerator cpu")


@pytest.mark.parametrize("part", ["model", "data", "trainer.callbacks", "trainer.logger"])
def test_unknown_module(part, refused):
    match = f"{part}: there is no module nosuch. Install it"
    words = (f"--{part}", "nosuch.Thing", "--allow", "nosuch")
    refused(*VAE, *TWO_BATCHES, *words, match=match)


def test_misspelt_module(refused):
    words = ("--model", "lightning_gen.modles.VAE", "--data", "Shapes")
    refused(*words, match=r"got lightning_gen\.modles\.VAE, .* Did you mean VAE\?")


def folder_words(folder, *words):
    data = ("--data", "ImageFolder", "--data.root", str(folder), "--data.image_size", "16")
    return ("--model", "VAE", *data, *TWO_BATCHES, *words)


def test_empty_image_folder(refused, tmp_path):
    (tmp_path / "images").mkdir()
    refused(*folder_words(tmp_path / "images"), match="expected images in .*found none")


def test_missing_image_folder(refused, tmp_path):
    refused(*folder_words(tmp_path / "images"), match="does not exist, expected a folder of images")


def test_one_broken_jpeg(refused, tmp_path):
    (tmp_path / "images").mkdir()
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "jpeg")
    (tmp_path / "images" / "broken.jpg").write_bytes(stream.getvalue()[:100])
    refused(*folder_words(tmp_path / "images"), match=r"broken\.jpg")


def test_missing_dataset(refused, tmp_path):
    words = ("--data", "MNIST", "--data.root", "nowhere", "--data.download", "false")
    refused(
        *("--model", "VAE", *words, *TWO_BATCHES),
        match=r"nowhere/MNIST/raw/train-images-idx3-ubyte\.gz is missing.*t10k-labels.*nowhere",
    )


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "a trained model is needed: pass its run directory"),
        (QUICK, "a trained model is needed: pass its run directory"),
        (("nowhere",), "expected a run directory .* got nowhere"),
        (("empty",), "expected a run directory .* got empty"),
        (("stray.ckpt",), r"expected a run directory .* got stray\.ckpt"),
    ],
)
def test_no_finished_run(verb, words, match, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "stray.ckpt").write_text("")
    refused(*words, verb=verb, match=match)


class TestCheckpoint:
    """A checkpoint that cannot be gone on with."""

    words = (*SMALL, "--ckpt_path", "own.ckpt")

    def test_missing(self, refused):
        refused(*self.words, match=r"ckpt_path: expected the file of a checkpoint, got 'own\.ckpt'")

    def test_last_without_a_run(self, refused):
        refused(*SMALL, "--ckpt_path", "last", match="there is no run in logs/vae_minifashionmnist")

    @pytest.mark.parametrize(
        "content",
        [b"", b"just text\n", b"\x80\x02", b"PK\x03\x04" + 50 * b"x", bytes(range(256)), b"cos\n"],
    )
    def test_broken(self, content, refused, tmp_path):
        (tmp_path / "own.ckpt").write_bytes(content)
        refused(*self.words, match=r"own\.ckpt is broken, or holds more than the plain values")

    def test_truncated(self, refused, tmp_path, finished):
        content = (finished / "checkpoints" / "last.ckpt").read_bytes()
        (tmp_path / "own.ckpt").write_bytes(content[: len(content) // 2])
        refused(*self.words, match=r"own\.ckpt is broken")

    def test_no_checkpoint_of_lightning(self, refused, tmp_path):
        torch.save({"weights": torch.ones(2)}, tmp_path / "own.ckpt")
        refused(*self.words, match=r"own\.ckpt is no checkpoint of a run: it has no state_dict")

    @pytest.mark.parametrize("save", ["torch", "pickle"])
    def test_code_in_it_does_not_run(self, save, refused, tmp_path):
        content = {"state_dict": {}, "hyper_parameters": Bomb(str(tmp_path / "exploded"))}
        with (tmp_path / "own.ckpt").open("wb") as file:
            torch.save(content, file) if save == "torch" else pickle.dump(content, file)
        refused(*self.words, match="nothing in it was run")
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize(
        ("words", "values"),
        [
            (("--model.latent_dim", "3"), ("latent_dim 2", "3")),
            (
                ("--model", "AE"),
                ("lightning_gen.models.vae.VAE", "lightning_gen.models.autoencoder.AE"),
            ),
            (("--model.optimizer.lr", "0.5"), ("0.001", "0.5")),
        ],
    )
    def test_of_another_model(self, words, values, refused, tmp_path, finished):
        shutil.copy(finished / "checkpoints" / "last.ckpt", tmp_path / "own.ckpt")
        line = refused(*self.words, *words)
        for value in values:
            assert value in line


class Bomb:
    """Whoever unpickles it runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


OWN_DATA = """
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from lightning_gen.contracts import Batch

class {name}(LightningDataModule):
    def __init__(self):
        super().__init__()
        {shape}

    def train_dataloader(self):
        images = torch.linspace({low}, 1, 4 * 64).view(4, 1, 8, 8)
        batch = Batch(images, torch.zeros(4, dtype=torch.int64), torch.zeros(4, 0))
        return DataLoader([batch], batch_size=None)

    val_dataloader = test_dataloader = train_dataloader
"""


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """Writes a datamodule of the user's own into a file of the current folder; its class path."""
    monkeypatch.setenv("LIGHTNING_GEN_ALLOW", "own_good,own_signed,own_shapeless")

    def write(name, shape="self.image_shape = (1, 8, 8)", low=0):
        (tmp_path / f"own_{name.lower()}.py").write_text(
            OWN_DATA.format(name=name, shape=shape, low=low)
        )
        return f"own_{name.lower()}.{name}"

    return write


def test_a_datamodule_of_ones_own(own_data, command):
    words = ("--model", "VAE", "--model.architecture", "Dense", *NO_PICTURES, *TWO_BATCHES)
    answer = command("fit", *words, "--data", own_data("Good"))
    assert answer.code == 0, answer.err


def test_images_in_another_range(own_data, refused):
    words = ("--model", "VAE", "--model.architecture", "Dense", *NO_PICTURES, *TWO_BATCHES)
    refused(
        *words,
        *("--data", own_data("Signed", low=-1)),
        match=r"images in \[0, 1\], got values from -1 to 1\. Drop the Normalize",
    )


def test_data_without_a_shape(own_data, refused):
    data = own_data("Shapeless", shape="pass")
    refused("--model", "VAE", "--data", data, *TWO_BATCHES, match="Shapeless has None. Set it")
