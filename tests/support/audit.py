"""Attacks by what a file names, under an audit hook; run in a process of its own, in a folder.

``python -m support.audit keys FOLDER`` puts every public callable of every allowed module at
every key where a class or a function may stand; ``verbs FOLDER`` lets every verb use the run
``stranger`` of that folder. Both print what was tried and what was heard.
"""

import importlib
import inspect
import json
import os
import pkgutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning_gen.errors import UserError
from support.attacks import EVIL, PARTS, TRAINER

BUILT = ("lightning_gen.", "lightning.", "torch.nn", "torch.optim")
"""Where the classes are that a configuration can build."""

PROJECT = Path(__file__).parents[2]
CODE = (str(PROJECT / "lightning_gen"), *{*sysconfig.get_paths().values()}, "<frozen", "<__array")
PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen")
OTHERS = ("pickle.find_class", "socket.connect", "socket.getaddrinfo", "ctypes.dlopen")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
ASKING = (
    *("_postponed_annotations.py", "_parameter_resolvers.py", "_stubs_resolver.py"),
    *("typing.py", "typing_objects.py", "dataclasses.py", "__init__.py"),
)
"""Where jsonargparse and Python evaluate annotations and write the methods of data classes: texts
from the source of installed modules."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Audit:
    """What happens in this process, from Python's audit events; files may be written inside."""

    def __init__(self, *inside: Path) -> None:
        self.inside = [str(folder.resolve()) for folder in inside]
        self.usual: set[str] = set()
        self.learning = True
        self.attack: object = None
        self.found: list[list[str]] = []
        self.on = False
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Keep an event that a clean run does not have."""
        if not self.on:
            return
        self.on = False  # what this method does itself
        try:
            said = self.about(event, arguments)
            if said is not None and self.learning:
                self.usual.add(said)
            elif said is not None and said not in self.usual:
                self.found.append([str(self.attack), said])
        finally:
            self.on = True

    def about(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """The event in a line where it may be a stranger's doing."""
        if event == "subprocess.Popen" and "json.dumps(sys.path)" in arguments[1][-1]:
            safe = os.environ.get("PYTHONSAFEPATH")  # typeshed-client asks Python for its path
            return None if safe else f"{event} {arguments[:2]}"
        if event in PROGRAMS or event in OTHERS:
            return f"{event} {arguments[:2]}"
        if event == "exec":
            code = arguments[0]
            file, names = getattr(code, "co_filename", "?"), getattr(code, "co_names", ())
            ours = file.startswith(CODE) or (file in ("<string>", "<ast>") and caller() in ASKING)
            strangers = {"logs", "stranger", "evil"} & {*names}
            return None if ours and not strangers else f"exec {file} {names} by {caller()}"
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & WRITES
            return f"open {path}" if writes and self.is_outside(path) else None
        if event in CHANGES and arguments[-1] not in (None, -1):
            return None  # relative to a folder that shutil is at, whose own event is asked
        if (event in CHANGES or event.startswith("shutil.")) and any(
            map(self.is_outside, arguments[:2])
        ):
            return f"{event} {arguments[:2]}"
        return None

    def is_outside(self, path: object) -> bool:
        """Whether a file lies where nothing may be written."""
        if not isinstance(path, str | bytes | os.PathLike) or os.fspath(path) in ("/dev/null", ""):
            return False
        full = os.path.realpath(os.fsdecode(path))
        return not any(full == root or full.startswith(root + os.sep) for root in self.inside)

    @contextmanager
    def listening(self, attack: object) -> Iterator[None]:
        """What happens inside is this attack's."""
        self.attack, self.on = attack, True
        try:
            yield
        finally:
            self.on = False


def elsewhere() -> list[str]:
    """The modules that were imported from outside the installation."""
    inside = (str(PROJECT), *CODE)
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    return [n for n, file in files.items() if not file.startswith(inside) and Path(file).is_file()]


def caller() -> str:
    """The file that executes a text."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename in (__file__, "<string>"):
        frame = frame.f_back
    return "nobody" if frame is None else Path(frame.f_code.co_filename).name


def public_callables() -> dict[str, Any]:
    """Every callable with a public name in a module of the rooms, once, by a dotted name."""
    from lightning_gen.allowed import TRUSTED_MODULES

    found: dict[int, tuple[str, Any]] = {}
    for room in TRUSTED_MODULES:
        try:
            module = importlib.import_module(room)
        except ImportError:  # a class, such as a logger
            continue
        below = pkgutil.walk_packages(getattr(module, "__path__", []), f"{room}.")
        for name in [room, *(info.name for info in below)]:
            try:
                members = vars(importlib.import_module(name))
            except Exception:  # a package that is not installed, or another system's
                continue
            for member, value in members.items():
                if callable(value) and not member.startswith("_"):
                    found.setdefault(id(value), (f"{name}.{member}", value))
    return dict(found.values())


def keys(roots: list[type]) -> dict[str, Any]:
    """The types of arguments where a class or a function may stand, by a key of these or below."""
    from lightning_gen.parts import built, is_callable, members, parameters

    found: dict[str, tuple[str, Any]] = {}
    left, seen = list(roots), set()
    while left:
        kind = left.pop()
        if kind in seen:
            continue
        seen.add(kind)
        for name, parameter in parameters(kind).items():
            annotation = parameter.annotation
            if isinstance(annotation, str) or annotation is inspect.Parameter.empty:
                continue  # the parser takes no value there
            parts = [part for part in built(annotation) if part.__module__.startswith(BUILT)]
            if parts or any(map(is_callable, members(annotation))):
                found.setdefault(str(annotation), (f"{kind.__name__}.{name}", annotation))
                left += [part for part in parts if part.__module__.startswith("lightning_gen")]
    return dict(found.values())


def roots(callables: dict[str, Any]) -> list[type]:
    """The classes that a configuration can begin with: trainers, models, datasets, their parts."""
    from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
    from lightning.pytorch import Callback, LightningDataModule, LightningModule
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins import LayerSync, Precision
    from lightning.pytorch.profilers import Profiler
    from lightning.pytorch.strategies import Strategy
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from lightning_gen.training.trainer import RunTrainer

    kinds = (
        *(LightningModule, LightningDataModule, Callback, Logger, Profiler, Strategy, Precision),
        *(ClusterEnvironment, CheckpointIO, LayerSync, Optimizer, LRScheduler),
    )
    classes = [found for found in callables.values() if inspect.isclass(found)]
    return [RunTrainer, *(found for found in classes if issubclass(found, kinds))]


def arguments(value: object) -> dict[str, Any]:
    """For each argument of a callable, what would run a stranger's module if it were imported."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        parameter.name: f"{EVIL}.f" if "Callable" in str(parameter.annotation) else EVIL
        for parameter in parameters
        if parameter.kind in named
        and (parameter.default is parameter.empty or "str" in str(parameter.annotation))
    }


def attack_keys(audit: Audit) -> dict[str, Any]:
    """Every callable at every key: parsed, checked, and built where the check lets it pass."""
    from jsonargparse import ArgumentParser

    from lightning_gen.allowed import enforced
    from lightning_gen.parts import check_part, is_callable, members

    callables = public_callables()
    types = keys(roots(callables))
    audit.learning = False
    evil = {path: arguments(value) for path, value in callables.items()}
    tried, strange = 0, list[tuple[str, str]]()
    with enforced():
        for key, annotation in types.items():
            parser = ArgumentParser(exit_on_error=False)
            try:
                parser.add_argument("--part", type=annotation)
            except ValueError:  # a type that no configuration can give
                continue
            callable_key = any(map(is_callable, members(annotation)))
            for path, value in callables.items():
                given = evil[path]
                named = {"class_path": path, "init_args": {**given}}
                for form in [path, named] if given and callable_key else [named]:
                    tried += 1
                    with audit.listening((key, path)):
                        try:
                            parsed = parser.parse_object({"part": form})
                            check_part(parsed.part, annotation, key)
                        except Exception:
                            continue
                        if inspect.isroutine(parsed.part) or not inspect.isclass(value):
                            strange += [] if isinstance(parsed.part, str) else [(key, path)]
                        with suppress(Exception):
                            parser.instantiate(parsed)
    return {"keys": len(types), "callables": len(callables), "tried": tried, "strange": strange}


VERBS = {
    "sample": ("--num_images", "2"),
    "encode": ("--num_images", "20"),
    "reconstruct": ("--num_images", "2"),
    "decode": ("codes.csv",),
    "project": ("--num_images", "2", "--steps", "3"),
    "draw": ("LatentGrid", "--num_images", "20", "--steps", "3"),
    "interpolate": ("--num_pairs", "1", "--steps", "3"),
    "traverse": ("--num_images", "20", "--steps", "3"),
    "arithmetic": ("Pullover", "T-shirt/top", "Dress", "--num_images", "500"),
    "probe": ("--labels", "10", "--repeats", "1", "--num_train", "50"),
    "report": (),
    "compare": ("own", "--num_images", "8"),
    "test": (),
    "validate": (),
    "predict": (),
}


def use(run: Path) -> list[str]:
    """Everything that can be done with a run that one was sent; the attempts that succeed."""
    import lightning_gen
    from lightning_gen.cli import main

    done = []
    with suppress(UserError):
        lightning_gen.load(run)
        done.append("load")
    commands = {verb: ["stranger", *words] for verb, words in VERBS.items()}
    short = ("--name", "mine", "--trainer.max_steps", "1")
    commands["fit"] = ["--config", str(run / "config.yaml"), *short]
    return done + [verb for verb, words in commands.items() if main([verb, *words]) == 0]


def attack_verbs(audit: Audit) -> dict[str, Any]:
    """Each attack in a run's checkpoint or configuration, by every verb, ``load`` and ``fit``."""
    import torch
    import yaml

    run = Path("logs/stranger/version_0")
    config, checkpoint = run / "config.yaml", run / "checkpoints" / "best.ckpt"
    clean = yaml.safe_load(config.read_text()), torch.load(checkpoint)
    with audit.listening("a clean run"):
        done = use(run)
    audit.learning = False
    tried = 0
    for key, parts in PARTS.items():
        for part in parts:
            content = clean[1] | {"hyper_parameters": clean[1]["hyper_parameters"] | {key: part}}
            torch.save(content, checkpoint)
            with audit.listening((key, part)):
                tried += len(use(run))
    torch.save(clean[1], checkpoint)
    for name, options in TRAINER.items():
        content = clean[0] | {"trainer": clean[0]["trainer"] | options}
        config.write_text(yaml.safe_dump(content).replace("{folder}", os.getcwd()))
        with audit.listening(name):
            tried += len(use(run))
    attacks = len(TRAINER) + sum(map(len, PARTS.values()))
    failed = sorted({"load", "fit", *VERBS} - set(done))
    return {"attacks": attacks, "failed": failed, "succeeded": tried}


def main(what: str, folder: str) -> None:
    """Attack in a folder, and print what happened."""
    os.chdir(folder)
    audit = Audit(Path("logs"), Path(tempfile.gettempdir()) / "nothing")
    with audit.listening("an import"):
        import wandb  # noqa: F401  (which makes folders for its media when it is imported)
    result = attack_keys(audit) if what == "keys" else attack_verbs(audit)
    print(json.dumps(result | {"found": audit.found, "elsewhere": elsewhere()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
