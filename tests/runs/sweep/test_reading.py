"""A sweep file: what it says, and what can be wrong in it."""

import os

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.space import trial_name, word
from support.refusals import assert_refused
from support.sweeps import GRID, RANDOM, write_sweep

KEY = "model.latent_dim"


def test_a_grid(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path, overrides={"trainer.max_epochs": 2}))
    assert sweep.config.samefile(tmp_path / "base.yaml")
    assert (sweep.metric, sweep.direction, sweep.grid) == (("val/loss",), "minimize", True)
    assert sweep.overrides == {"trainer.max_epochs": 2}
    assert sweep.trials == 6


def test_values_of_every_kind(tmp_path):
    values = [[150, 100], {"class_path": "Conv"}, None, True, 0.5, "Dense"]
    sweep = read_sweep(write_sweep(tmp_path, parameters={"model.x": values}))
    words = [word(value) for value in sweep.parameters["model.x"].choices]
    assert words == ["[150, 100]", '{"class_path": "Conv"}', "null", "true", "0.5", "Dense"]


def test_ranges_and_numbers_without_a_point(tmp_path):
    path = write_sweep(tmp_path, RANDOM)
    path.write_text(
        "config: base.yaml\nmetric: val/reconstruction + val/kl\nsampler: RandomSampler\n"
        "trials: 3\nparameters:\n  model.optimizer.lr: {low: 1e-4, high: 1E-2, log: true}\n"
        "  model.latent_dim: {low: 2, high: 10, step: 4}\n  model.x: [1e-3, -2e5]\n"
    )
    sweep = read_sweep(path)
    assert sweep.metric == ("val/reconstruction", "val/kl")
    assert sweep.parameters == {
        "model.optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "model.latent_dim": IntDistribution(2, 10, step=4),
        "model.x": CategoricalDistribution((1e-3, -2e5)),
    }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"metrics": "val/loss"}, r"metrics is no key of a sweep\. Did you mean metric\?"),
        ({"parameters": {}}, "parameters is missing"),
        ({"parameters": [KEY]}, r"parameters: expected keys and their values"),
        ({"config": "bsae.yaml"}, r"config: there is no file .*bsae\.yaml"),
        ({"metric": ""}, "metric is missing"),
        ({"metric": ["val/loss"]}, "metric: expected a column"),
        ({"trials": True}, "trials: expected a whole number of at least 1, got True"),
        ({"direction": "down"}, "expected minimize or maximize, got 'down'"),
        ({"parameters": {KEY: 3}}, rf"{KEY}: expected a list of values or a range"),
        ({"parameters": {KEY: [2, 4, 2]}}, rf"{KEY}: 2 stands twice"),
        ({"parameters": {KEY: {"low": 1, "high": 3}}}, r"a grid takes lists.*TPESampler"),
        ({"parameters": {"name": ["a"]}}, "name cannot be set here: the sweep itself gives it"),
        ({"overrides": {"trainer.default_root_dir": "x"}}, "the sweep itself gives it"),
        ({"overrides": {"model.init_args.latent_dim": 3}}, "stands among the parameters too"),
        ({"trials": 3}, "a grid runs each of its 6 combinations"),
        ({"sampler": "TPESamplr", "trials": 3}, r"got TPESamplr\. Did you mean TPESampler\?"),
        ({"sampler": "GridSampler"}, r"sampler: expected grid"),
        (
            {"sampler": {"class_path": "TPESampler", "init_args": {"sede": 3}}, "trials": 3},
            r"TPESampler does not take these init_args.*sede",
        ),
        ({"sampler": "TPESampler"}, "trials: expected a whole number of at least 1, got None"),
    ],
)
def test_a_mistake_is_one_line(changes, match, tmp_path):
    path = write_sweep(tmp_path, **changes)
    assert_refused(rf"\A{path}: .*{match}", read_sweep, path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"low": 4, "high": 3}, "low=4, high=3"),
        ({"lo": 1, "high": 3}, "unexpected keyword argument 'lo'"),
        ({"low": 0, "high": 3, "log": True}, "low=0"),
        ({"low": 1, "high": 3.5, "log": True, "step": 1}, "`step` is not supported"),
        ({"low": 1, "high": 3, "log": "yes"}, "log is true or false"),
        ({"low": 1, "high": 3, "step": 0}, "step=0"),
        ({"low": "a", "high": 3}, "low, high and step are numbers"),
        ({"low": 1, "high": float("inf")}, "low, high and step are numbers"),
    ],
)
def test_a_wrong_range(content, match, tmp_path):
    path = write_sweep(tmp_path, RANDOM, parameters={KEY: content})
    assert_refused(rf"{KEY}: .*{match}", read_sweep, path)


@pytest.mark.parametrize(
    ("text", "match"),
    [("- a", "holds no key: value"), ("", "holds no key: value"), (f"a: {200 * '['}", "x.yaml")],
)
def test_a_file_that_is_no_sweep(text, match, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    assert_refused(match, read_sweep, tmp_path / "x.yaml")


def test_a_missing_file(tmp_path):
    path = write_sweep(tmp_path).with_name("owm.yaml")
    assert_refused(r"no file .*owm\.yaml\. Did you mean .*own\.yaml", read_sweep, path)


def test_the_config_is_named_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "sweep").mkdir()
    write_sweep(tmp_path)
    path = write_sweep(tmp_path / "sweep", GRID, config="../base.yaml")
    monkeypatch.chdir(tmp_path)
    assert str(read_sweep(path).config) == "base.yaml"
    assert os.path.isfile(read_sweep(path).config)


def test_the_config_may_be_a_recipe(tmp_path):
    path = write_sweep(tmp_path, config="mnist_vae")
    assert_refused("no file .*mnist_vae .*and no experiment's recipe mnist_vae", read_sweep, path)
    recipe = tmp_path / "elsewhere" / "mnist_vae.yaml"
    assert read_sweep(path, {"mnist_vae": recipe}).config == recipe


def test_a_trial_is_named_after_its_values():
    values = {"model.lr": 1e5, "data.lr": -0.5, "model.widths": "[400, 8]", "b": "x/../y *é"}
    name = trial_name(7, values)
    assert name == "trial_0007_model.lr=1e05_data.lr=-0.5_widths=400-8_b=x-..-y"
    assert len(trial_name(7, {"model.x": 1000 * "a"})) == 100
