"""``metrics.json``: what is kept of each score, and how it is said."""

import json
import math
from datetime import datetime

import pytest

from lightning_gen.callbacks.evaluation import Card
from lightning_gen.training.scores import (
    FILE,
    cards_in_words,
    read_scores,
    with_error,
    write_scores,
)
from support.refusals import assert_refused


def card(value=1.0, split="test", error=0.5, unit="dB", **details):
    return Card(value, error, unit, 100, split, 3, 1.5, details)


def strictly(folder):
    """The file as a strict reader sees it: nan and infinity are no JSON."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads((folder / FILE).read_text(), parse_constant=refuse)


def test_a_card_and_what_is_known_of_it(tmp_path):
    write_scores(tmp_path, {"fid": card(7.0, extractor="LeNet")}, {"checkpoint": "best.ckpt"})
    content = strictly(tmp_path)["test"]["fid"]
    assert datetime.fromisoformat(content.pop("date")).tzinfo is not None
    assert content == {
        "value": 7.0,
        "standard_error": 0.5,
        "unit": "dB",
        "num_images": 100,
        "split": "test",
        "seed": 3,
        "seconds": 1.5,
        "extractor": "LeNet",
        "checkpoint": "best.ckpt",
    }
    assert list(tmp_path.iterdir()) == [tmp_path / FILE]


def test_cards_stand_beside_others_and_replace_those_of_their_split_and_name(tmp_path):
    assert read_scores(tmp_path) == {}
    old = card(1.0, extractor={"name": "old", "sha256": "0"})
    write_scores(tmp_path, {"psnr": old, "ssim": card(2.0)}, {})
    write_scores(tmp_path, {"psnr": card(3.0, split="val")}, {})
    write_scores(tmp_path, {"psnr": card(9.0), "fid": card(4.0)}, {})
    kept = {
        (split, name): each["value"]
        for split, cards in strictly(tmp_path).items()
        for name, each in cards.items()
    }
    of_test = {("test", "psnr"): 9.0, ("test", "ssim"): 2.0, ("test", "fid"): 4.0}
    assert kept == of_test | {("val", "psnr"): 3.0}
    assert "extractor" not in strictly(tmp_path)["test"]["psnr"]
    assert read_scores(tmp_path) == strictly(tmp_path)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(number, tmp_path):
    write_scores(tmp_path, {"psnr": card(number, error=number)}, {})
    content = strictly(tmp_path)["test"]["psnr"]
    assert content["value"] is None
    assert content["standard_error"] is None


@pytest.mark.parametrize("broken", [b"", b'{"test": {', b"\xff\xfe"])
def test_a_broken_file_is_left_alone(broken, tmp_path):
    (tmp_path / FILE).write_bytes(broken)
    assert_refused(r"metrics\.json is no JSON \(", read_scores, tmp_path)
    assert_refused("Move it away, then test again", write_scores, tmp_path, {"psnr": card()}, {})
    assert (tmp_path / FILE).read_bytes() == broken


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        *((86.764, 0.123, "86.76 ± 0.12"), (-86.764, 0.123, "-86.76 ± 0.12")),
        *((0.95812, 0.0036, "0.9581 ± 0.0036"), (20.5, 3.21, "20.5 ± 3.2")),
        *((123456.7, 234.5, "123457 ± 234"), (1.5e9, 12.3, "1500000000 ± 12")),
        (0.0000123, 0.0000045, "0.0000123 ± 0.0000045"),
        *((86.764, nothing, "86.76") for nothing in (math.nan, math.inf, 0.0)),
        *((0.95812, 0.0, "0.9581"), (1234567.0, math.nan, "1,234,567")),
        *((18960.4, math.nan, "18,960"), (9.0, math.nan, "9")),
        (0.000012345, math.nan, "1.234e-05"),
        *((math.nan, math.nan, "nan"), (math.inf, 0.0, "inf")),
    ],
)
def test_as_many_digits_as_the_error_justifies(value, error, words):
    assert with_error(value, error) == words


def test_lines_for_the_screen():
    cards = {"psnr": card(20.0), "auroc": card(0.95812, error=0.0036, unit="none")}
    assert list(cards_in_words(cards)) == ["psnr   20.00 ± 0.50 dB", "auroc  0.9581 ± 0.0036"]
    assert list(cards_in_words({})) == []
