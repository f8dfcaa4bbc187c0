"""What the explorer's page is told, and what its server answers, and whom."""

import base64
import io
import json
import re
import signal
import socket
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.contracts import Encodes, able
from lightning_gen.models import AE, CAE, CVAE, DCGAN, VAE, Classifier
from lightning_gen.priors import GaussianMixture
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.outputs import to_bytes
from support.models import KINDS, batch_of, build, tiny
from support.refusals import assert_refused

pytest.importorskip("uvicorn", reason="the extra explore is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
testclient = pytest.importorskip(
    "starlette.testclient", reason="the extra explore is not installed"
)

from lightning_gen.runs.explore.explore import explore  # noqa: E402
from lightning_gen.runs.explore.gather import check_beside  # noqa: E402
from lightning_gen.runs.explore.server import app_of  # noqa: E402
from support.explorer import explored  # noqa: E402

ATTRIBUTES = partial(build, CVAE, attributes=("size", "hat"))


def client_of(*runs):
    return testclient.TestClient(app_of(runs), base_url="http://127.0.0.1:80")


def numbers(packed):
    return torch.frombuffer(bytearray(base64.b64decode(packed)), dtype=torch.float32)


def codes_of(told):
    return numbers(told["codes"]).view(told["count"], told["length"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Classifier])
@torch.no_grad()
def test_every_model_is_decoded_as_by_itself(kind):
    shown = explored(build(kind))
    told, model = shown.about, shown.run.model
    client = client_of(shown)
    codes = codes_of(told)[:2]
    answer = client.post("/decode", content=codes.numpy().tobytes())
    np.testing.assert_array_equal(
        np.frombuffer(answer.content, np.uint8), to_bytes(model.decode(codes)).ravel()
    )
    assert told["encodes"] == able(model, (Encodes,))
    assert client.get("/").text.count("data:image/webp") == 1
    if told["draws"]:
        drawn = client.post("/draw?temperature=0.5").content
        assert np.isfinite(np.frombuffer(drawn, np.float32)).all()
        assert len(drawn) == 4 * told["free"]


def test_a_model_without_codes_is_refused():
    assert_refused(
        "explore needs a model that decodes, and Classifier", explored, build(Classifier)
    )


def test_sliders_rebuild_a_code():
    """Along dimensions, or along enough principal components, each code is found again."""
    for model, order in (
        (tiny(), "ordered by KL"),
        (tiny(latent_dim=2), "ordered by KL"),
        (tiny(AE), "Principal components"),
        (tiny(VAE, prior=GaussianMixture(2)), "Principal components"),
        (build(DCGAN), "in their own order"),
    ):
        told = explored(model).about
        assert order in told["sliders"]["order"]
        codes, origin = codes_of(told), numbers(told["sliders"]["origin"])
        axes = numbers(told["sliders"]["vectors"]).view(-1, told["free"])
        along = (codes - origin) @ axes.T
        torch.testing.assert_close(origin + along @ axes, codes, atol=1e-4, rtol=1e-4)
        if "Principal" in order:
            assert along.mean(dim=0).abs().max() < 1e-3
        low, high = torch.tensor(told["sliders"]["ranges"]).T
        assert ((low <= along + 1e-4) & (along <= high + 1e-4)).all()


def test_the_map_is_a_plane_where_there_is_one():
    told = explored(tiny(AE)).about
    plane = told["map"]["straight"]
    axes = numbers(plane["vectors"]).view(2, 4)
    points = (codes_of(told) - numbers(plane["origin"])) @ axes.T
    torch.testing.assert_close(points.ravel(), numbers(told["map"]["points"]), atol=1e-4, rtol=0)
    bent = explored(tiny(AE), "TSNE").about["map"]
    assert bent["straight"] is None
    assert bent["axes"] == ("t-SNE 1", "t-SNE 2")


def test_long_codes_are_fewer():
    told = explored(build(CAE, image_shape=(1, 28, 28))).about
    assert len(told["sliders"]["names"]) <= 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightning_gen.runs.explore.gather.MOST_NUMBERS", 5 * told["length"])
        assert explored(build(CAE)).about["count"] == 5


def test_conditions_are_ends_of_codes():
    told = explored(build(CVAE)).about["conditions"]
    assert told["one_of"]
    np.testing.assert_array_equal(told["vectors"], np.eye(10))
    told = explored(ATTRIBUTES()).about["conditions"]
    assert not told["one_of"]
    assert told["names"] == ["size", "hat"]


@torch.no_grad()
def test_a_photograph_goes_through_the_data_path_of_the_house():
    shown = explored(build(CVAE))
    client, model = client_of(shown), shown.run.model
    file = io.BytesIO()
    Image.fromarray(np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1))).save(file, "PNG")
    third = ",".join("1" if n == 3 else "0" for n in range(10))
    found = client.post(f"/encode?condition={third}", content=file.getvalue()).content
    length = shown.about["length"]
    code = torch.frombuffer(bytearray(found[: 4 * length]), dtype=torch.float32)
    pixels = torch.frombuffer(bytearray(found[4 * length :]), dtype=torch.uint8)
    assert (pixels.view(28, 28) == torch.arange(28) * 9).all()
    image = pixels.view(1, 1, 28, 28) / 255
    batch = batch_of(image)._replace(labels=torch.tensor([3]))
    expected = model.condition_on(batch).encode(image)
    torch.testing.assert_close(code, expected[0])
    broken = client.post(f"/encode?condition={third}", content=b"no picture")
    assert re.fullmatch(r"1 of 1 images cannot be read: 'photo' \(Unid[^<>\n]*\)", broken.text)


def test_a_model_without_encoder_encodes_nothing():
    shown = explored(build(DCGAN))
    assert client_of(shown).post("/encode?condition=", content=b"").status_code == 404
    assert shown.about["what"] == "draws"


def test_others_are_refused():
    shown = explored(tiny())
    client, code = client_of(shown), np.zeros(4, np.float32).tobytes()
    assert client.post("/decode", content=code).status_code == 200
    own = {"origin": "http://127.0.0.1:80"}
    assert client.post("/decode", content=code, headers={"host": "127.0.0.1:80"} | own).is_success
    for origin in ("http://evil.example", "null", "http://127.0.0.1:81"):
        answer = client.post("/decode", content=code, headers={"origin": origin})
        assert answer.status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost:80"}).status_code == 200
    for content in (b"", code[:-1], code * 65, np.full(4, np.nan, np.float32).tobytes()):
        assert client.post("/decode", content=content).status_code in (400, 413)
    assert client.post("/draw?temperature=x").status_code == 400
    assert client.post("/draw?temperature=-1").status_code == 400
    assert client.post("/draw").status_code == 400
    photo = io.BytesIO()
    Image.new("L", (28, 28)).save(photo, format="PNG")
    for condition in ("1", "nan", "x"):
        asked = f"/encode?condition={condition}"
        assert client.post(asked, content=photo.getvalue()).status_code == 400, condition


@torch.no_grad()
def test_two_runs_decode_the_same_code():
    both = explored(tiny()), explored(tiny())
    check_beside(*both)
    client, code = client_of(*both), torch.randn(1, 4)
    for number, each in enumerate(both):
        found = client.post(f"/decode?run={number}", content=code.numpy().tobytes()).content
        assert found == to_bytes(each.run.model.decode(code)).tobytes()
    assert_refused("Choose a run of the same", check_beside, both[0], explored(tiny(latent_dim=3)))


def test_names_are_text(monkeypatch):
    name = "</script><script>alert(1)</script>"
    monkeypatch.setattr(FinishedRun, "name", name)
    page = client_of(explored(tiny())).get("/").text
    assert page.count("<script") == page.count("</script>") == 2
    told = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page)[1])
    assert told["run"] == name


def test_what_a_user_gets_wrong_is_one_line(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = FinishedRun.open(finished)
    assert_refused("npm install onnxruntime-web", explore, run, tmp_path / "page.html")
    assert_refused("takes an .html file", explore, run, tmp_path / "page.png")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert_refused("is taken. Pass another --port", explore, run, num_images=10, port=port)


@pytest.fixture
def _hears_ctrl_c():
    """A process that is started hears it, as it does not in a background job of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_the_command_serves_until_ctrl_c(finished):
    words = ("explore", finished, "--num_images", "20", "--projection", "PCA", "--beside", finished)
    call = [sys.executable, "-m", "lightning_gen", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(call, **pipes) as process:
        address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        page = httpx.get(address, trust_env=False).text
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
    assert "20 training images" in page
    assert said == "lightning-gen explore: ended by Ctrl-C.\n"
    assert process.returncode == 130
