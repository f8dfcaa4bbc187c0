"""What a user can get wrong: one line that names it, exit code 2, nothing left behind."""

import copy
import re
import shutil
import sys

import pytest
import torch
import yaml

from lightning_gen.cli import messages
from support.command import CONF, NO_PICTURES, SMALL, TWO_BATCHES

QUICK = ("--config", str(CONF / "quickstart.yaml"))
VAE = ("--model", "VAE", "--data", "MiniFashionMNIST")
SAMPLES = ("--pictures", "Samples")
STOP = ("--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss")
TSNE = ("--pictures", "LatentScatter", "--pictures.projection", "TSNE")
EXTRACTOR = (
    *("--trainer.callbacks", "SampleQuality"),
    *("--trainer.callbacks.extractor", "TrainedClassifier"),
)


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


def test_a_message_of_an_unknown_kind_passes_through_with_its_place():
    said = 'Parser key "model":\n  Parser key "latent_dim":\n    Something\n  of another kind'
    assert messages.explain(said) == "model.latent_dim: Something; of another kind."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--traner.max_epochs", "3"), r"traner\.max_epochs .*Did you mean trainer\.max_epochs"),
        (("--trainer.max_epoch", "3"), r"trainer\.max_epoch .*Did you mean trainer\.max_epochs"),
        (("--model.latent_dims", "3"), r"latent_dims .*Did you mean .*\.latent_dim\b"),
        (("--model.architecture.width", "[3]"), r"width .*Did you mean .*\.widths"),
        (("--model.optimizer.lrr", "0.1"), r"lrr .*Did you mean .*\.lr\b"),
        (("--model.beta", "4"), r"model\.beta .*Did you mean model\.objective\.beta\?"),
        (
            ("--model", "BetaVAE", "--model.objective.warmup", "9"),
            r"mean .*objective\.warmup_steps",
        ),
        (
            ("--model.optimizer", "Adam", "--model.optimizer.epss", "1"),
            r"of Adam\. Did you mean eps\?",
        ),
        (
            (*STOP, "--trainer.callbacks.patiense", "3"),
            r"of EarlyStopping\. Did you mean patience\?",
        ),
        (("--trainer.callbacks.patience", "3"), r"the class first, --trainer\.callbacks CLASS"),
        (("--pictures.steps", "3"), r"the class first, --pictures CLASS.*Traversal"),
        (("--trainer.callbacks", "Samples"), r"Samples does not stand here.*--pictures"),
    ],
)
def test_misspelt_option(words, said, refused):
    refused(*QUICK, *words, match=said)


@pytest.mark.parametrize(
    ("option", "given", "nearest"),
    [
        ("data", "MiniFashionMINST", "MiniFashionMNIST"),
        ("model.architecture", "Desne", "Dense"),
        ("model.likelihood", "Bernouli", "Bernoulli"),
        ("pictures+", "Sampels", "Samples"),
        ("model.optimizer", "torch.optim.Adm", "Adam"),
        ("model.lr_scheduler", "StepRL", "StepLR"),
        ("trainer.logger", "WandLogger", "WandbLogger"),
        ("model.architecture.activation", "torch.nn.RLU", "torch.nn.ReLU"),
    ],
)
def test_unknown_class(option, given, nearest, refused):
    match = rf"{option.rstrip('+')}: .*{given.rpartition('.')[2]}\b.*Did you mean .*\b{nearest}\b"
    refused(*VAE, f"--{option}", given, match=match)


PARTS = {
    "architecture": {"class_path": "Dense", "init_args": {"widths": [8]}},
    "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}},
    "lr_scheduler": {"class_path": "StepLR", "init_args": {"step_size": 1}},
}
CLASS, ARGUMENTS = r"expected the name of .* got", r"init_args: expected arguments: .* got"
ACTIVATION = "architecture.init_args.activation"


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("likelihood", "lightning_gen.objectives.R1",
         r"model\.likelihood: .*R1 does not correspond .* Likelihood\. Choose among Bernoulli, "),
        ("optimizer", "torch.nn.ReLU", r"model\.optimizer: .*ReLU.* subclass of .*Choose .*SGD"),
        ("architecture", 3, r"model\.architecture: .*Architecture, got 3\. Choose among Conv, "),
        ("lr_scheduler", {"init_args": {}}, r"model\.lr_scheduler: .*include a class_path"),
        ("architecture.class_path", "", rf"architecture\.class_path: {CLASS} ''"),
        ("architecture.init_args", None, rf"{ARGUMENTS} nothing"),
        ("architecture.widths", [8], r"architecture\.widths is no option beside .*below init_args"),
        ("architecture.init_args.widths", "x", r"model\.architecture\.widths: expected tuple, got"),
        ("optimizer.init_args.lr", "x", r"model\.optimizer\.lr: expected float, got x"),
        ("optimizer.init_args.zz", 1, r"model\.optimizer\.zz is no option of Adam\. Choose .*lr"),
        ("attributes", ["a"], r"model\.attributes is no option of VAE\."),
        ("architecture.init_args.width", 1, r"width .*of Dense\. Did you mean widths\?"),
        (ACTIVATION, "torch.nn.Bilinear", r"Bilinear\(\) cannot be built"),
        (ACTIVATION, "torch.optim.Adam", r"model\.architecture\.activation: .*type\[torch.*Module"),
        (5, 1, r"model\.init_args\.5 is a key, expected a text, got 5"),
    ],
)  # fmt: skip
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


@pytest.mark.parametrize("value", [0.5, True, [1]])
def test_a_trainer_of_no_options(value, refused, tmp_path):
    content = {"model": "VAE", "data": "MiniFashionMNIST", "trainer": value}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    refused("--config", "own.yaml", match=r"own\.yaml: trainer: expected key: value, got ")
    (tmp_path / "own.yaml").write_text(str(value))
    refused(*VAE, "--trainer", "own.yaml", match=r"trainer: own\.yaml holds .*, expected key")


@pytest.mark.parametrize("more", [(), ("--trainer.max_epochs", "1")])
def test_a_trainer_that_is_null(more, refused, tmp_path):
    (tmp_path / "own.yaml").write_text("trainer: null\n")
    refused("--config", "own.yaml", *VAE, *more, match="options, got null. Leave the key")


def test_a_model_that_no_memory_holds(command):
    answer = command("fit", *VAE, "--model.latent_dim", "1000000000000000", *TWO_BATCHES)
    assert answer.code == 1
    assert "there is not enough memory" in answer.line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--config", str(CONF / "quikstart.yaml")), "quickstart.yaml"),
        (("--model", str(CONF / "model/vea.yaml"), "--data", "Shapes"), "vae.yaml"),
        ((*QUICK, "--trainer.logger", str(CONF / "logger/wandbb.yaml")), "wandb.yaml"),
        (("--config", "own.yaml"), "piece.yaml"),
    ],
)
def test_missing_file(words, name, refused, tmp_path):
    (tmp_path / "piece.yaml").write_text("class_path: VAE")
    (tmp_path / "own.yaml").write_text("model: pieces.yaml\ndata: Shapes\n")
    refused(*words, match=rf"there is no file .*Did you mean .*{name}")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"model: [VAE\ndata: {", r"own\.yaml.*no valid YAML"),
        (b"model: \xff\xfe\n", r"own\.yaml.*UTF-8"),
        (b"pictures: [{Samples: {num_images: 4}}]",
         r"own\.yaml: pictures\.0: expected class_path: NAME, .*, got Samples"),
        (b"- model\n- data\n", r"own\.yaml holds a list, expected key: value"),
        (b"", r"own\.yaml holds nothing, expected key: value"),
        (b"trainer: {max_epoch: 1}", r"\bmax_epoch\b.*Did you mean trainer\.max_epochs\b"),
        (b"data: {class_path: MiniFashionMNIST, init_args: {val_frac: 1}}",
         r"\bval_frac\b.*Did you mean data\.val_fraction\?"),
        (b"pictures: [{class_path: Traversal, init_args: {num_imges: 1}}]",
         r"no option of Traversal\. Did you mean num_images\?"),
        (None, r"own\.yaml.*is a folder"),
    ],
)  # fmt: skip
def test_a_wrong_file(content, match, refused, tmp_path):
    path = tmp_path / "own.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    refused("--config", "own.yaml", match=match)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--model.latent_dim", "ten"), r"model\.latent_dim: expected int, got ten"),
        (("--data.binarize", "maybe"), r"binarize: expected .*static.*dynamic.*, got maybe"),
        (("--trainer.compile", "maybe"), r"compile: expected bool or 'max-autotune', got maybe"),
        (("--trainer.devices", "x"), "trainer: `devices` .* should be an int > 0"),
        (("--model.architecture.widths", "null"), r"widths: expected tuple, got (null|None)"),
        ((*SAMPLES, "--pictures.num_images", "null"),
         r"pictures\.num_images: expected int, got null"),
        (("--data", "ImageFolder"), r"data\.root is missing: pass --data\.root"),
        (("--trainer.callbacks", "EarlyStopping"), r"trainer\.callbacks\.monitor is missing"),
        (("--model.latent_dim", "0"), r"latent_dim is at least 1, got 0"),
        (("--model", "BetaVAE", "--model.beta", "-1"), r"beta is at least 0, got -1"),
        (("--model.architecture.widths", "[8,8,8,8,8]"), r"needs at least 32 pixels.*got 28x28"),
        (("--data.val_fraction", "2"), r"val_fraction is .*got 2"),
        (("--model.optimizer.lr", "-1"), r"cannot be built: Invalid learning rate: -1"),
        (("--model.optimizer", "Muon"), r"cannot be built: Muon only supports 2D parameters"),
        (("--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "0"), "step_size is"),
        (("--trainer.max_epochs", "0"), r"trainer\.max_epochs is above 0, got 0"),
        (("--trainer.log_every_n_steps", "-3"), r"log_every_n_steps is at least 0, got -3"),
        (("--trainer.val_check_interval", "0.0"), r"val_check_interval is above 0, got 0"),
        (("--trainer.precision", "bf16-true"), r"precision is 32-true, bf16-mixed or 16-mixed, g"),
        (("--seed_everything", "-5"), r"seed_everything is from 0 to 4294967295, got -5"),
        (("--name", "a/b"), r"name is used as a folder name.*'a/b'"),
        (("--name", "a" * 300), r"200 bytes at most"),
        ((*TSNE, "--pictures.projection.perplexity", "0"), r"TSNE\.perplexity is above 0"),
        (("--trainer.default_root_dir", "/proc/version/logs"), r"/proc/version/logs"),
        ((*SAMPLES, "--pictures.every_n_epochs", "0"), "at least 1"),
        (("--model", "AE", *SAMPLES), "Samples needs a model that samples images"),
        (("--data.train_classes", "[Boots]"), "T-shirt/top, Trouser"),
        ((*EXTRACTOR, "--trainer.callbacks.extractor.checkpoint", "no.ckpt"), r"no\.ckpt"),
        (("--trainer.accelerator", "tpu"), "torch_xla"),
    ],
)  # fmt: skip
def test_a_wrong_value(words, match, refused):
    refused(*VAE, *TWO_BATCHES, *words, match=match)


ROOT = ("--data.root", "nowhere", "--data.image_size=32")
NO_FOLDER = "nowhere.* does not exist, expected a folder of images"


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--data", "Shapes"), "model is missing: pass --model"),
        (("--model", "VAE"), "data is missing: pass --data"),
        (("--model", "lightning_gen.modles.VAE", "--data", "Shapes"),
         r"got lightning_gen\.modles\.VAE, .* Did you mean VAE\?"),
        # Options of a class stand before or behind it: the folder is looked for.
        ((*ROOT, "--data", "ImageFolder", "--model", "VAE", *TWO_BATCHES), NO_FOLDER),
        (("--data", "ImageFolder", *ROOT, "--model", "VAE", *TWO_BATCHES), NO_FOLDER),
        (("--model", "VAE", "--data", "MNIST", "--data.root", "nowhere", "--data.download", "false",
          *TWO_BATCHES),
         r"nowhere/MNIST/raw/train-images-idx3-ubyte\.gz is missing.*t10k-labels.*nowhere"),
    ],
)  # fmt: skip
def test_a_missing_part(words, match, refused):
    refused(*words, match=match)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu(refused):
    words = ("--trainer.accelerator", "gpu")
    refused(*SMALL, *words, match="trainer: No supported gpu backend found")


@pytest.mark.parametrize(
    "part", ["model", "data", "pictures", "trainer.callbacks", "trainer.logger"]
)
def test_unknown_module(part, refused):
    words = (f"--{part}", "nosuch.Thing", "--allow", "nosuch")
    refused(*VAE, *TWO_BATCHES, *words, match=f"{part}: .*No module named 'nosuch'")


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_no_finished_run(verb, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "stray.ckpt").write_text("")
    for words in ((), QUICK):
        refused(*words, verb=verb, match="a trained model is needed: pass its run directory")
    for word in ("nowhere", "empty", "stray.ckpt"):
        refused(word, verb=verb, match=f"expected a run directory .* got {word}")


class TestCheckpoint:
    """A checkpoint that cannot be gone on with."""

    words = (*SMALL, "--ckpt_path", "own.ckpt")

    def test_missing(self, refused):
        refused(*self.words, match=r"ckpt_path: expected the file of a checkpoint, got 'own\.ckpt'")
        refused(*SMALL, "--ckpt_path", "last", match="there is no run in logs/vae_minifashionmnist")

    @pytest.mark.parametrize(
        ("words", "values"),
        [
            (("--model.latent_dim", "3"), ("latent_dim 2", "3")),
            (("--model", "AE"), ("lightning_gen.models.VAE", "lightning_gen.models.AE")),
            (("--model.optimizer.lr", "0.5"), ("0.001", "0.5")),
        ],
    )
    def test_of_another_model(self, words, values, refused, tmp_path, finished):
        shutil.copy(finished / "checkpoints" / "last.ckpt", tmp_path / "own.ckpt")
        line = refused(*self.words, *words)
        assert all(value in line for value in values)


OWN = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader
from lightning_gen.contracts import Batch, DataInfo

class Data(LightningDataModule):
    low = 0
    info = DataInfo((1, 8, 8))

    def train_dataloader(self):
        images = torch.linspace(self.low, 1, 4 * 64).view(4, 1, 8, 8)
        batch = Batch(images, torch.zeros(4, dtype=torch.int64), torch.zeros(4, 0))
        return DataLoader([batch], batch_size=None)

    val_dataloader = test_dataloader = train_dataloader

class Signed(Data):
    low = -1

class Shapeless(Data):
    info = None

class Model(LightningModule):
    def __init__(self, image_shape, width: int = 3, factor: float = 1.0):
        super().__init__()
        self.layer = torch.nn.Linear(image_shape[1], width)
        self.factor = factor / (width - 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch.images).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

class Tested(Model):
    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.training_step(batch, batch_idx))
"""
OWN_WORDS = ("--allow", "own", *NO_PICTURES, *TWO_BATCHES)
DENSE = ("--model", "VAE", "--model.architecture", "Dense", *OWN_WORDS)


@pytest.fixture
def own(tmp_path):
    """A file with datamodules and a model of the user's own."""
    (tmp_path / "own.py").write_text(OWN)
    yield
    sys.modules.pop("own", None)


@pytest.mark.usefixtures("own")
class TestOwn:
    """Datamodules and models of one's own, that know nothing of this package."""

    def test_a_datamodule(self, command):
        command("fit", *DENSE, "--data", "own.Data").done()

    def test_data_of_another_range_or_without_a_shape(self, refused):
        match = r"images in \[0, 1\], got values from -1 to 1\. Drop the Normalize"
        refused(*DENSE, "--data", "own.Signed", match=match)
        refused(*DENSE, "--data", "own.Shapeless", match="and Shapeless does not. Import DataInfo")

    def test_a_model_is_loaded_with_the_arguments_of_its_configuration(self, command, tmp_path):
        words = ("--model", "own.Model", "--model.width", "5", "--data", "own.Data", *OWN_WORDS)
        command("fit", *words, "--name", "run").done()
        (path,) = tmp_path.glob("logs/run/version_0/checkpoints/last.ckpt")
        kept = torch.load(path, weights_only=True)["hyper_parameters"]
        assert kept["_class_path"] == "own.Model"
        assert (kept["image_shape"], kept["width"]) == ([1, 8, 8], 5)
        answer = command("fit", *words, "--model.width", "4", "--ckpt_path", path)
        assert "trained with width 5, and this run asks for 4" in answer.line

    def test_its_loss_has_no_unit(self, command, caplog):
        command("fit", "--model", "own.Tested", "--data", "own.Data", *OWN_WORDS).done()
        [line] = [line for line in caplog.text.splitlines() if "Test loss" in line]
        assert re.search(r"Test loss 0\.\d+$", line)

    def test_an_error_of_a_constructor_names_its_line(self, command):
        words = ("--model", "own.Model", "--model.width", "1", "--data", "own.Data", *OWN_WORDS)
        answer = command("fit", *words)
        assert answer.code == 2
        assert re.search(r"own\.py, line \d+, in __init__: ZeroDivisionError", answer.line)
