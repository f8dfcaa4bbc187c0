"""The virtual environment that pythae lives in, for ``against_pythae.py``."""

import os
import subprocess
import sysconfig
import venv
from contextlib import suppress
from pathlib import Path

PYTHAE = "pythae==0.1.2"
CHECK = f"""
import importlib.metadata, pythae.pipelines
assert importlib.metadata.version("pythae") == "{PYTHAE.partition("==")[2]}"
"""


def pythae_python(folder: Path) -> Path:
    """The Python of an environment with pythae; it is made where there is none yet."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    check_ours(folder)
    asked = [python, "-c", CHECK]
    with suppress(OSError):
        if subprocess.run(asked, capture_output=True, env=variables()).returncode == 0:
            return python
    print(f"... making an environment with {PYTHAE} in {folder}", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=os.name != "nt").create(folder)
    places = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (Path(places.stdout.strip()) / "shared.pth").write_text("\n".join(ours) + "\n")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHAE]
    answer = subprocess.run(pip, capture_output=True, text=True, env=variables())
    if answer.returncode:
        raise SystemExit(f"pip cannot install {PYTHAE}:\n{answer.stderr}")
    return python


def check_ours(folder: Path) -> None:
    """Refuse to run what somebody else made, and to empty a folder that is no environment."""
    if not folder.exists():
        return
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise SystemExit(f"{folder} belongs to somebody else. Pass --venv with a folder of yours.")
    if any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise SystemExit(f"{folder} holds other things. Pass --venv with a new folder.")


def variables() -> dict[str, str]:
    """Of pythae's processes: nothing of ours is on its path."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
