"""Runs on the Hugging Face hub, against a server on this machine that speaks its API."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save

import lightning_gen as lg
from lightning_gen.priors import GaussianMixture
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.hub import check_public
from lightning_gen.training.checkpoint import load_checkpoint, load_model, write_weights
from lightning_gen.training.safe_file import KEY
from lightning_gen.training.warm_start import start_from
from support.attacks import EVIL, PARTS
from support.bombs import Evil
from support.hub import READS, WRITES, served
from support.models import KINDS, build
from support.refusals import assert_refused

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
# huggingface_hub uploads files in a way that its HTTP library deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")
NAME, PLACE = "user/name", "hf:user/name"
PUSH = (NAME, "--license", "mit")
RUNNING = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server, in place of the hub, and a cache of its own."""
    from huggingface_hub import constants, utils

    with served() as hub:
        form = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        known = {"ENDPOINT": hub.address, "HUGGINGFACE_CO_URL_TEMPLATE": form}
        known |= {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": True}
        for name, value in (known | {"HF_TOKEN_PATH": str(tmp_path / "token")}).items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", WRITES)
        utils.disable_progress_bars()
        yield hub
        utils.close_session()


@pytest.fixture
def run(finished, in_tmp):
    """The directory of a run with a fitted prior, a score and pictures."""
    place = shutil.copytree(finished, in_tmp / "logs" / "own" / "version_0")
    FinishedRun.open(place).fit_prior(GaussianMixture(2))
    for picture in ("samples/1", "samples/2", "reconstructions/1"):
        path = place / "images" / f"{picture}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path)
    card = {"value": 7.25, "standard_error": 0.5, "unit": "dB", "num_images": 50}
    scores = {"test": {"psnr": card | {"checkpoint": "best.ckpt"}}}
    (place / "metrics.json").write_text(json.dumps(scores))
    return place


def samples_of(place):
    torch.manual_seed(0)
    return lg.load(place).sample(8)


def files_of(hub):
    return [*hub.commits[NAME].values()][-1]


def test_what_is_pushed_is_the_same_run_to_the_bit(hub, run, command, monkeypatch):
    command("push", "own", *PUSH).done()
    expected, commit = samples_of(run), [*hub.commits[NAME]][-1]
    assert torch.equal(samples_of(PLACE), expected)
    assert torch.equal(samples_of(f"{PLACE}@{commit}"), expected)
    there, here = FinishedRun.open(PLACE), FinishedRun.open(run)
    assert there.path == Path("logs/user--name", commit[:12])
    assert (
        there.samples_from
        == here.samples_from
        == ", from GaussianMixture(components=2, covariance=full)"
    )
    assert there.test == here.test
    assert {*there.images} == {"samples_of_fitted_prior", "samples"}, "no image of the data"
    hub.shutdown()
    hub.server_close()
    assert torch.equal(samples_of(PLACE), expected), "from the cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    shutil.rmtree("logs/user--name")
    assert torch.equal(samples_of(PLACE), expected), "from the cache"
    assert_refused("hf:user/other is not in the cache, and the hub was", lg.load, "hf:user/other")
    command("push", "own", *PUSH).refused("user/name takes a connection")


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_every_model_are_the_same(kind, tmp_path):
    """Buffers, conditions that were seen and codebooks among them, in their order."""
    model, path = build(kind).eval(), tmp_path / "model.safetensors"
    checkpoint = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    checkpoint |= {"pytorch-lightning_version": "2.6.0", "optimizer_states": []}
    checkpoint["datamodule_hyper_parameters"] = {"root": "/home/me", "value_range": [0, 9]}
    write_weights(checkpoint, path)
    again, kept = load_model(path), load_checkpoint(path)
    assert type(again) is kind
    assert [*again.state_dict()] == [*kept["state_dict"]] == [*model.state_dict()]
    for mine, its in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
    assert kept["hyper_parameters"] == dict(model.hparams)
    assert kept["datamodule_hyper_parameters"] == {"value_range": [0, 9]}


def test_verbs_take_a_run_of_the_hub_and_leave_the_cache_alone(hub, run, command, tmp_path):
    command("push", "own", *PUSH).done()
    start_from(load_model(run / "checkpoints" / "best.ckpt"), PLACE, strict=True)
    before = sorted((tmp_path / "cache").rglob("*"))
    for verb, *words in (
        *(("sample",), ("report",), ("predict",), ("interpolate", "--steps", "3")),
        *(("compare", "own", "--num_images", "4"), ("encode", "--split", "val")),
        ("validate", "--trainer.limit_val_batches", "1"),
        ("test", "--trainer.limit_test_batches", "1"),
        ("fit-prior", "--prior", "GaussianMixture", "--prior.components", "3"),
    ):
        assert command(verb, PLACE, *words).code == 0, verb
    (folder,) = Path("logs/user--name").glob("*/")
    for name in ("sample.png", "codes.npz", "interpolate.png", "report.html", "prior.pt"):
        assert (folder / name).is_file(), name
    assert FinishedRun.open(PLACE).model.prior.components == 3
    assert sorted((tmp_path / "cache").rglob("*")) == before


def test_the_card(hub, run, command):
    command("push", "own", *PUSH).done()
    _, metadata, card = files_of(hub)["README.md"].decode().split("---\n", 2)
    known = yaml.safe_load(metadata)
    assert (known["license"], known["library_name"]) == ("mit", "lightning-gen")
    assert known["pipeline_tag"] == "unconditional-image-generation"
    metrics = known["model-index"][0]["results"][0]["metrics"]
    assert metrics[0] == {"type": "psnr", "value": 7.25}
    assert {each["type"] for each in metrics} == {"psnr", "loss", "reconstruction", "kl"}
    for text in (
        *("| psnr | 7.25 ± 0.50 | dB | 50 |", "![Samples](images/samples/2.png)"),
        *('lightning_gen.load("hf:user/name")', "| samples | from GaussianMixture("),
    ):
        assert text in card


def test_nothing_of_this_machine_is_sent(hub, run, command):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["init_args"] |= {"root": "photos", "cache": "auto", "own": "/home/me/secret"}
    config["trainer"] |= {"logger": {"class_path": "WandbLogger", "entity": "secret"}}
    config["trainer"] |= {"default_root_dir": str(run)}
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"name": "secret"}))
    command("push", "own", *PUSH).done()
    files = files_of(hub)
    assert not {"environment.json", "splits.csv"} & {*files}
    assert not [name for name in files if name.endswith((".pt", ".ckpt"))]
    for name, content in files.items():
        for word in (str(run.parents[2]), "secret", "photos", "entity"):
            assert word.encode() not in content, (name, word)
    assert yaml.safe_load(files["config.yaml"])["model"] == config["model"]


def test_a_second_push_replaces_its_own_files_alone(hub, run, command):
    hub.holding(NAME, {"LICENSE": b"mine", "images/samples/0.png": b"old", "README.md": b"old"})
    command("push", "own", *PUSH, "--pictures", "samples").done()
    files = files_of(hub)
    assert files["LICENSE"] == b"mine"
    assert [name for name in files if name.startswith("images")] == ["images/samples/2.png"]
    assert files["README.md"] != b"old"
    command("push", "own", *PUSH, "--pictures", "sample").refused("Did you mean samples")


def test_a_fetched_run_is_pushed_again_but_over_no_other_files(hub, run, command, in_tmp):
    command("push", "own", *PUSH).done()
    command("push", PLACE, "user/again", "--license", "mit", "--out", "new").done()
    command("push", PLACE, "user/again", "--license", "mit", "--out", "new").done()
    before = (run / "config.yaml").read_bytes()
    (in_tmp / "mine").mkdir()
    (in_tmp / "mine" / "README.md").write_text("mine")
    for place in (run, "mine", run / "config.yaml"):
        command("push", "own", *PUSH, "--out", place).refused("holds other files")
    assert (run / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("value", ["/home/me", "~/me", "C:\\me", ["a", "/home/me"], {"x": "a/b"}])
def test_a_path_in_the_model_is_published_by_nobody(value):
    assert_refused("model.secret has a path of this machine in it", check_public, {"secret": value})
    check_public({"likelihood": {"class_path": "lightning_gen.objectives.Bernoulli"}, "n": [1, 2]})


def test_private_means_private(hub, run, command):
    hub.holding(NAME, {"LICENSE": b"mine"})
    command("push", "own", *PUSH, "--private", "true").refused("is there, and public")
    assert {*files_of(hub)} == {"LICENSE"}
    command("push", "own", "user/new", *PUSH[1:], "--private", "true").done()
    assert hub.private == {"user/new"}


@pytest.mark.parametrize(
    ("words", "token", "line"),
    [
        (PUSH[:1], WRITES, "--license says what others may do with the weights: mit, apache-2.0"),
        ((NAME, "--license", "GPL 3"), WRITES, "got 'GPL 3'"),
        ((NAME, "--license", "gpl"), WRITES, '"license" must be one of the list'),
        *(((name, *PUSH[1:]), WRITES, "on the hub is user/name") for name in ("name", "../x")),
        (PUSH, READS, "user/name is refused to you (403)"),
        (PUSH, "", "user/name is refused to you (401). Take a token that may write there. Log in"),
        ((), WRITES, "repo missing, expected for instance: lightning-gen push quickstart user/na"),
    ],
)
def test_what_cannot_be_pushed_is_one_line(words, token, line, hub, run, command, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", token)
    command("push", "own", *words).refused(line)
    assert not any(len(commits) > 1 for commits in hub.commits.values())


@pytest.mark.parametrize(
    ("place", "line"),
    [
        *((f"hf:user/{n}", f"hf:user/{n} is not on the hub, or private") for n in ("no", "secret")),
        ("hf:user/name@v2", "hf:user/name has no such revision"),
        *((p, "is user/name, of letters") for p in ("hf:name", "hf://user/name", "hf:a/../b")),
        ("hf:user/name", "holds no config.yaml and model.safetensors of a run"),
    ],
)
def test_what_is_not_there_is_one_line(place, line, hub, command, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    hub.holding(NAME, {"pytorch_model.bin": b"x"})
    hub.holding("user/secret", {})
    hub.private.add("user/secret")
    for verb in ("sample", "report", "test"):
        command(verb, place).refused(line)
    assert not Path("logs").exists()


def test_without_the_library_a_line_says_what_to_install(monkeypatch, run, command):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (("push", "own", *PUSH), ("sample", PLACE)):
        command(*words).refused('Install it: pip install "lightning-gen[hub]"')


@pytest.fixture(scope="session")
def heard():
    """What has been run, from when it is emptied on."""
    found = []

    def hear(event, arguments):
        if event in RUNNING and "json.dumps(sys.path)" not in str(arguments):  # jsonargparse's
            found.append((event, arguments))

    sys.addaudithook(hear)
    return found


@pytest.fixture
def attack(hub, run, command, tmp_path, heard, monkeypatch):
    """Exchanges files of a repository; ``load``, or verbs, then run nothing, and write in logs.

    Its ``files`` are those of a run that was pushed. A module that leaves a mark can be imported.
    """
    command("push", "own", *PUSH).done()
    evil = tmp_path / f"{EVIL.replace('.', '/')}.py"
    evil.parent.mkdir(parents=True)
    evil.write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    files = files_of(hub)

    def attack(line, *verbs, **content):
        hub.holding(NAME, files | content)
        heard.clear()
        if not verbs:
            assert_refused(line, lg.load, PLACE) if line else lg.load(PLACE)
        for verb in verbs:
            command(verb, PLACE).refused(line)
        assert heard == []
        assert EVIL not in sys.modules
        assert {path.name for path in tmp_path.iterdir()} == {"logs", "cache"}

    attack.files = files
    return attack


def with_header(content, change):
    """A .safetensors whose plain values are others, given as JSON."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"][KEY] = change(json.loads(header["__metadata__"][KEY]))
    return with_size(json.dumps(header).encode()) + content[8 + size :]


def with_size(header):
    return len(header).to_bytes(8, "little") + header


def test_pickles_are_not_even_downloaded(attack, hub, tmp_path):
    content = {"state_dict": Evil(tmp_path / "exploded")}
    torch.save(content, tmp_path / "evil.pt")
    evil = (tmp_path / "evil.pt").read_bytes()
    (tmp_path / "evil.pt").unlink()
    names = ("prior.pt", "checkpoints/best.ckpt", "best.ckpt", "pytorch_model.bin", "a/model.py")
    hub.asked.clear()
    attack("", **dict.fromkeys(names, evil))
    asked = {path.partition("/resolve/")[2].partition("/")[2] for _, path in hub.asked}
    assert "model.safetensors" in asked
    assert not asked & {*names}
    attack("nothing in it was run", "sample", "test", **{"model.safetensors": evil})
    attack("is broken, or no prior", **{"prior.safetensors": evil})


def test_a_header_names_classes_of_its_keys_alone(attack):
    def naming(key, part, about):
        return json.dumps(about | {"hyper_parameters": about["hyper_parameters"] | {key: part}})

    attacks = [(key, part) for key, parts in PARTS.items() for part in parts]
    for key, part in [*attacks, *(("_class_path", path) for path in (f"{EVIL}.f", "os.system"))]:
        changed = with_header(attack.files["model.safetensors"], partial(naming, key, part))
        attack("model.safetensors", **{"model.safetensors": changed})
    for path in (f"{EVIL}.f", "os.system", "torch.nn.Linear"):
        other = {"prior": {"class_path": path, "init_args": {}}}
        changed = with_header(
            attack.files["prior.safetensors"],
            lambda about, other=other: json.dumps(about | other),
        )
        attack("prior.safetensors cannot be used", **{"prior.safetensors": changed})


def test_broken_and_boasting_files_are_one_line(attack):
    weights = attack.files["model.safetensors"]
    boast = {"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    deep = ("[" * 100_000, "9" * 5000, "[]", "{}", '{"names": [["x"]]}')
    for content in (
        *(b"", weights[:-8], weights[:100], (2**62).to_bytes(8, "little") + weights[8:]),
        *(with_size(json.dumps(boast).encode()), save({"x": torch.ones(2)})),
        *(with_header(weights, lambda _, said=said: said) for said in deep),
    ):
        attack(
            "model.safetensors is broken, or holds something else", **{"model.safetensors": content}
        )


def test_names_that_climb_out_write_nothing_there(attack, hub, command, tmp_path):
    for name in ("images/../../../../../escaped.png", "images/x/../../../../y/escaped.png"):
        hub.holding(NAME, attack.files | {name: b"x"})
        command("sample", PLACE)
        assert not [*tmp_path.rglob("escaped.png")], name


def test_a_configuration_builds_nothing(attack, tmp_path):
    code = f"x: !!python/object/apply:os.mkdir ['{tmp_path / 'exploded'}']\n"
    for text in (code, f"data: {{class_path: {EVIL}.f}}", f"model: {{class_path: {EVIL}.f}}"):
        attack("", **{"config.yaml": text.encode()})  # which needs none
        attack(
            f"{EVIL}.f" if EVIL in text else "config.yaml", "test", **{"config.yaml": text.encode()}
        )
