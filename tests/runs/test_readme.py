"""The README's example in Python, as a script and in a notebook."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
SHORTER = {"max_epochs=20": "max_epochs=1", "max_epochs=40": "max_epochs=2"}
EXAMPLE = re.search(r"## In Python\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)[1]


@pytest.fixture
def example():
    """The example, with fewer epochs."""
    text = EXAMPLE
    for before, now in SHORTER.items():
        assert before in text
        text = text.replace(before, now)
    return text


@pytest.mark.slow
def test_a_script(example, command, in_tmp):
    """Its run goes through the verbs."""
    Path("script.py").write_text(example)
    answer = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=300, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "Traceback" not in answer.stderr
    for verb in ("report", "sample", "test"):
        assert command(verb, "my_vae").code == 0
    assert command("compare", "my_vae", "my_vae/version_0/checkpoints/last.ckpt").code in (0, 2)


@pytest.mark.slow
def test_a_notebook(example, in_tmp, monkeypatch):
    """Progress is one line, which is written over, and a run shows its pictures."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    cells = [nbformat.v4.new_code_cell(text) for text in (example, "run", 'run.images["samples"]')]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    first, shown, picture = (cell.outputs for cell in notebook.cells)
    said = "".join(each.text for each in first if each.get("name") == "stdout")
    assert "\repoch 1" in said
    assert not any("Traceback" in each.get("text", "") for each in first)
    assert 'src="data:image/png' in shown[0].data["text/html"]
    assert "image/png" in picture[0].data


@pytest.mark.slow
def test_an_editor_knows_its_types(in_tmp):
    """What a type checker sees: the example passes, and a wrong argument does not."""
    from mypy import api

    for text, fault in (
        (EXAMPLE, None),
        ('import lightning_gen as lg\nlg.load("a").sample("two")', "arg-type"),
    ):
        Path("script.py").write_text(text)
        out, err, code = api.run(["--strict", "script.py"])
        assert (code == 0) == (fault is None), out + err
        assert not fault or fault in out
