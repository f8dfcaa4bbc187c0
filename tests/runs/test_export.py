"""Runs as files for other programs, compared with PyTorch in a process without torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import lightning_gen as lg
from lightning_gen import contracts
from lightning_gen.models import CVAE, VAE, VQVAE
from lightning_gen.priors import GaussianMixture, NormalizingFlow
from lightning_gen.runs.export import MOST_APART, Graph, export, graphs_of, write_graph
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training.warm_start import start_from
from support.models import KINDS, build, tiny
from support.refusals import assert_refused

pytest.importorskip("onnxruntime", reason="the extra export is not installed")
RUN_ONNX = """
import sys
import numpy as np
import onnxruntime
folder, *names = sys.argv[1:]
known = np.load(f"{folder}/known.npz")
for name in names:
    session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx")
    inputs = {each.name: known[f"{name}_{each.name}"] for each in session.get_inputs()}
    found, = session.run(None, inputs)
    print(name, np.abs(found - known[name]).max(), found.shape == known[name].shape)
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    "kind",
    [k if k in (CVAE, VQVAE) else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
@torch.no_grad()
def test_every_model_is_the_same_without_torch(kind, tmp_path):
    model = build(kind).eval()
    torch.manual_seed(0)
    graphs = {graph.name: graph for graph in graphs_of(model, torch.rand(3, 1, 28, 28))}
    wanted = {"encode": contracts.Encodes, "decode": contracts.Decodes}
    assert {name for name, need in wanted.items() if contracts.able(model, (need,))} <= {*graphs}
    known = {}
    for name, graph in graphs.items():
        told = write_graph(model, graph, tmp_path, "onnx")
        assert told["largest_difference"] <= MOST_APART
        inputs = {key: torch.cat([value, value])[:5] for key, value in graph.inputs.items()}
        known |= {f"{name}_{key}": value.numpy() for key, value in inputs.items()}
        known[name] = graph.call(*inputs.values()).numpy()
    np.savez(tmp_path / "known.npz", **known)
    call = [sys.executable, "-c", RUN_ONNX, tmp_path, *graphs]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == len(graphs)
    for line in said:
        _, apart, same_shape = line.split()
        assert float(apart) <= MOST_APART
        assert same_shape == "True"
    if kind is VAE:
        weights = 4 * sum(parameter.numel() for parameter in model.encoder.parameters())
        assert (tmp_path / "encode.onnx").stat().st_size <= 1.1 * weights + 20_000


@torch.no_grad()
def test_samples_of_a_mixture_are_draws_of_it(tmp_path):
    model, prior = tiny().eval(), GaussianMixture(3, "full")
    prior.build(4)
    torch.nn.init.normal_(prior.upper)
    model.prior = prior
    graph = {each.name: each for each in graphs_of(model, torch.rand(8, 1, 28, 28))}["sample"]
    write_graph(model, graph, tmp_path, "onnx")
    model.decode = lambda codes: codes
    torch.manual_seed(0)
    drawn = graph.call(torch.rand(20_000), torch.randn(20_000, 4))
    expected = prior.sample(20_000)
    torch.testing.assert_close(drawn.mean(dim=0), expected.mean(dim=0), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), expected.T.cov(), atol=0.3, rtol=0.1)


@torch.no_grad()
def test_what_is_no_graph_is_said(capsys):
    model = tiny(VAE, prior=NormalizingFlow(1, (8,))).eval()
    names = {graph.name for graph in graphs_of(model, torch.rand(2, 1, 28, 28))}
    assert names == {"encode", "reconstruct", "decode"}
    assert "sample      left out: NormalizingFlow does not draw" in capsys.readouterr().out
    graph = Graph("decode", lambda x: x * float(x.sum()), {"codes": torch.rand(2, 4)}, "images")
    assert_refused("decode of VAE cannot be exported", write_graph, model, graph, Path(), "onnx")


@torch.no_grad()
def test_other_numbers_are_refused(tmp_path, monkeypatch):
    graph = Graph("decode", lambda x: x + x.sin(), {"codes": torch.rand(2, 4)}, "images")
    monkeypatch.setattr("lightning_gen.runs.export.MOST_APART", -1.0)
    assert_refused("gives other numbers as pt2", write_graph, tiny(), graph, tmp_path, "pt2")
    assert not [*tmp_path.iterdir()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    data = lg.data.MiniFashionMNIST()
    options = {"max_steps": 2, "limit_val_batches": 1, "limit_test_batches": 1}
    options |= {"default_pictures": False, "enable_progress_bar": False, "accelerator": "cpu"}
    model = tiny(CVAE, class_names=data.info.class_names)
    return lg.fit(model, data, default_root_dir=tmp_path_factory.mktemp("run"), **options).path


def test_the_verb(place, command, monkeypatch):
    command("export", place, "--out", "made").done()
    about = json.loads(Path("made/model.json").read_text())
    shapes = {"images": ["n", 1, 28, 28], "condition": ["n", 10]}
    assert about["graphs"]["encode"]["inputs"] == shapes
    assert about["image_shape"] == [1, 28, 28]
    assert about["class_names"][0] == "T-shirt/top"
    assert len(about["codes"]["mean"]) == about["codes"]["length"] == 14
    monkeypatch.chdir("made")
    subprocess.run([sys.executable, "example.py"], check=True)
    with Image.open("new.png") as image:
        assert image.size == (16 * 28, 28)


def test_weights_alone(place, command):
    command("export", place, "--to", "safetensors", "--out", "made").done()
    weights = load_file("made/model.safetensors")
    run = FinishedRun.open(place)
    for name, value in weights.items():
        assert torch.equal(value, run.model.state_dict()[name])
    model = tiny(CVAE, class_names=run.class_names)
    start_from(model, "made/model.safetensors", strict=True)
    pairs = zip(model.parameters(), run.model.parameters(), strict=True)
    assert all(torch.equal(mine, its) for mine, its in pairs)


def test_a_run_whose_dataset_is_not_at_hand(place, command, tmp_path):
    copy = shutil.copytree(place, tmp_path / "copy" / "version_0")
    (copy / "config.yaml").write_text("data: lightning_gen.data.No")
    command("export", copy, "--to", "safetensors", "--out", "made").done()
    assert json.loads(Path("made/model.json").read_text())["class_names"] == []


def test_it_is_not_written_over_a_file(place, tmp_path):
    (tmp_path / "x").touch()
    assert_refused("is a file, expected a folder", export, FinishedRun.open(place), tmp_path / "x")
