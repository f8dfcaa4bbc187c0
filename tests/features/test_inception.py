"""Inception with weights of no training: the published ones are too large to be in a test."""

import hashlib
import pickle
import shutil
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.features import Inception, inception
from support.bombs import Evil
from support.inception import untrained
from support.refusals import assert_refused


@pytest.fixture(scope="module")
def reference():
    return untrained()


@pytest.fixture(scope="module")
def file(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(reference.state_dict(), path)
    yield path
    path.unlink()  # 96 MB


@pytest.fixture(scope="module")
def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def accepted(sha256, monkeypatch):
    """The hash of the file is taken for that of the published weights."""
    monkeypatch.setattr(inception, "SHA256", sha256)


@pytest.fixture(scope="module")
def extractor(file, sha256):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "SHA256", sha256)
        return Inception(str(file))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub"


def refused(weights=None):
    """The message, which is one line."""
    with pytest.raises(UserError) as caught:
        Inception(weights and str(weights))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestFeatures:
    pixels = torch.randint(256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()

    def test_they_are_those_of_torch_fidelity(self, extractor, reference):
        features = extractor(self.pixels / 255)
        (expected,) = reference(self.pixels)
        assert torch.equal(features, expected)
        assert features.shape == (2, extractor.feature_dim) == (2, 2048)
        assert features.dtype == torch.float32
        assert (features[0] - features[1]).abs().max() > 0.01 * features.abs().max()
        assert not features.requires_grad

    def test_grey_images_are_three_equal_channels(self, extractor, reference):
        grey = self.pixels[:, :1]
        (expected,) = reference(grey.repeat(1, 3, 1, 1))
        assert torch.equal(extractor(grey / 255), expected)

    def test_values_between_two_levels_are_rounded(self, extractor):
        levels = self.pixels[:1].clamp(1, 254)
        images = levels / 255
        expected = extractor(images)
        assert torch.equal(extractor(images + 0.4 / 255), expected)
        assert torch.equal(extractor(images - 0.4 / 255), expected)

    @pytest.mark.parametrize("channels", [2, 4])
    def test_other_channels_are_refused(self, extractor, channels):
        match = f"images of 1 or 3 channels, got {channels}\\. Use"
        assert_refused(match, extractor, torch.rand(2, channels, 32, 32))


def test_the_extractor_is_described(extractor, sha256):
    assert extractor.name == "inception"
    assert extractor.sha256 == sha256
    assert "299x299" in extractor.resize
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    names = {"frechet_distance": "fid", "kernel_distance": "kid", "recall": "recall[inception]"}
    assert {score: extractor.score_name(score) for score in names} == names


class TestWeights:
    def test_a_pickle_is_refused_by_its_hash_and_not_unpickled_with_the_right_one(
        self, tmp_path, monkeypatch
    ):
        path = tmp_path / "evil.pth"
        torch.save(Evil(tmp_path / "evil"), path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        message = refused(path)
        assert f"is {inception.SHA256}, got {path} with {found}. Fetch it from" in message
        assert not (tmp_path / "evil").exists()
        monkeypatch.setattr(inception, "SHA256", found)
        with pytest.raises(pickle.UnpicklingError):
            Inception(str(path))
        assert not (tmp_path / "evil").exists()
        torch.load(path, weights_only=False)
        assert (tmp_path / "evil").exists()  # it would have run

    def test_the_whole_hash_counts(self, tmp_path, monkeypatch):
        path = tmp_path / "weights.pth"
        path.write_bytes(b"published")
        sha256 = hashlib.sha256(b"published").hexdigest()
        monkeypatch.setattr(inception, "SHA256", sha256)
        assert inception.published(path) == b"published"
        monkeypatch.setattr(inception, "SHA256", sha256[:-1] + "x")
        assert_refused("whose sha256 is", inception.published, path)

    @pytest.mark.parametrize("name", ["missing.pth", "."])
    def test_no_file_is_refused(self, name, tmp_path):
        assert f"got {tmp_path / name}, which is not there" in refused(tmp_path / name)

    @pytest.mark.parametrize(
        "error",
        [URLError("no network"), TimeoutError("no network"), RuntimeError("no network")],
        ids=lambda error: type(error).__name__,
    )
    def test_without_network_the_place_for_the_file_is_named(self, error, hub, monkeypatch):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
        message = refused()
        assert f"cannot be fetched from {inception.URL}" in message
        assert "no network" in message
        assert f"Put the file at {hub / 'checkpoints' / inception.FILE}" in message

    def test_a_hub_folder_that_cannot_be_made_is_one_line(self, hub):
        hub.write_text("a file, not a folder")
        assert str(hub) in refused()

    @pytest.mark.usefixtures("accepted")
    def test_they_are_fetched_once_into_the_hub_folder(self, hub, file, sha256, monkeypatch):
        calls = []

        def fetch(url, target, hash_prefix):
            calls.append((url, Path(target), hash_prefix))
            shutil.copyfile(file, target)

        monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
        place = hub / "checkpoints" / inception.FILE
        assert [inception.fetched(), inception.fetched()] == [place, place]
        assert calls == [(inception.URL, place, sha256)]
        assert Inception().sha256 == sha256
        place.unlink()  # 96 MB


def test_without_torch_fidelity_it_says_what_to_install(monkeypatch):
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'lightning-gen[inception]'" in refused("any.pth")
