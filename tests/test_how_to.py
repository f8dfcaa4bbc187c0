import re
import shlex
import sys
from pathlib import Path

import pytest

from lightning_gen.training.scores import read_scores
from support.command import NO_PICTURES, SMALL, TWO_BATCHES, only_run

DOCS = Path(__file__).parents[1] / "docs" / "how-to"
CONF = DOCS.parents[1] / "conf"
PAGES = sorted(DOCS.glob("*.md"))


def test_each_is_short():
    assert len(PAGES) == 5
    assert max(len(page.read_text().splitlines()) for page in PAGES) < 40


@pytest.fixture
def modules():
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_command_does_what_it_says(page, command, in_tmp, modules):
    text = page.read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [name] = re.findall(r"\A# (\w+\.py): ", code)
    Path(name).write_text(code)
    [line] = re.findall(r"```bash\nlightning-gen (.*)\n```", text)
    words = shlex.split(line.replace("conf/", f"{CONF}/"))
    if words[0] == "test":
        command("fit", *SMALL, "--name", "quickstart").done()
        command(*words, "--trainer.enable_progress_bar", "false").done()
        assert "darkness" in read_scores(only_run("logs"))["test"]
        return
    pictures = () if "Extremes" in line else NO_PICTURES
    command(*words, *TWO_BATCHES, *pictures).done()
    run = only_run("logs")
    assert page.stem != "picture" or list(run.glob("images/extremes/*.png"))
    allow = ("--allow", name.removesuffix(".py"))
    command("sample", run, *allow).done()
    if page.stem == "picture":
        [words] = re.findall(r"`lightning-gen draw quickstart (.*)`", text)
        command("draw", run, *words.split()).done()
        assert (run / "extremes.png").is_file()
