"""Whatever is wrong with a configuration or a run, every verb ends with one line or its result."""

import json
import os
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from lightning_gen.allowed import VARIABLE
from support.mutations import mutants, observed
from support.spoilt import spoilt_copies


def refuse(*arguments, **options):
    raise OSError("the tests have no network")


@pytest.fixture
def faults(main, in_tmp, monkeypatch):
    """Runs a number of mutants of a seed; what the command did wrong."""
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv(VARIABLE, raising=False)

    def run(seed, number):
        before, path = os.getcwd(), in_tmp / "own.yaml"
        found, codes = [], set()
        for text, said, words in mutants(seed, number):
            path.write_text(text, encoding="utf-8")
            answer = observed(main, [str(path) if word == "FILE" else word for word in words])
            codes.add(answer.code)
            if answer.fault:
                found.append(f"{said}\n  {answer.fault}\n  {answer.line}")
        assert (os.getcwd(), os.environ.get(VARIABLE)) == (before, None)
        assert codes >= {0, 2}
        return found

    return run


def test_some_mistakes(faults):
    assert faults(6, 8) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_many_mistakes(seed, faults):
    assert faults(seed, 200) == []


VERBS = {
    "sample": ("--num_images", "4"),
    "reconstruct": ("--num_images", "4"),
    "encode": ("--num_images", "20", "--out", "codes.csv"),
    "decode": ("codes.npz",),
    "project": ("--num_images", "2", "--steps", "3"),
    "draw": ("LatentScatter", "--num_images", "50"),
    "interpolate": ("--num_pairs", "2"),
    "traverse": ("--num_images", "50"),
    "arithmetic": ("Pullover", "Bag", "Dress", "--num_images", "500"),
    "probe": ("--num_train", "60", "--labels", "20", "--repeats", "1"),
    "score": ("--num_images", "20", "--num_shown", "2"),
    "film": (),
    "export": ("--to", "safetensors"),
    "report": (),
    "compare": ("other", "--num_images", "4"),
    "validate": ("--trainer.limit_val_batches", "1", "--trainer.enable_progress_bar", "false"),
    "test": ("--trainer.limit_test_batches", "1", "--trainer.enable_progress_bar", "false"),
}


@pytest.fixture
def faults_of_runs(main, finished, in_tmp):
    """Runs verbs on a number of spoilt runs; what they did wrong."""
    whole = shutil.copytree(finished, in_tmp / "whole" / "version_0")
    for kind in ("samples", "interpolation"):
        (whole / "images" / kind).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(whole / "images" / kind / "00000002.png")
    card = {"value": 1.5, "standard_error": 0.1, "unit": "dB", "num_images": 100, "split": "test"}
    extractor = {"name": "inception", "sha256": "0" * 64}
    cards = {"test": {"psnr": card, "fid": card | {"extractor": extractor}}}
    (whole / "metrics.json").write_text(json.dumps(cards))
    shutil.copytree(finished, in_tmp / "logs" / "other" / "version_0")
    np.savez(in_tmp / "codes.npz", codes=np.zeros((2, 2), np.float32))

    def run(seed, number):
        found, codes = [], []
        for place, said, draw in spoilt_copies(whole, in_tmp / "run" / "version_0", seed, number):
            verb = draw.choice(("sample", "encode", *VERBS))  # the quick ones more often
            answer = observed(main, [verb, str(place), *VERBS[verb]])
            codes.append(answer.code)
            if answer.fault:
                found.append(f"{verb}, {said}\n  {answer.fault}\n  {answer.line}")
        assert set(codes) >= {0, 2}
        return found

    return run


def test_some_faults(faults_of_runs):
    assert faults_of_runs(0, 10) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 3))
def test_many_faults(seed, faults_of_runs):
    assert faults_of_runs(seed, 200) == []
