"""What was run, in a few lines."""

import shlex
from typing import Any, NamedTuple

from lightning_gen.runs.pages.logged import number
from lightning_gen.runs.pages.record import RunRecord, class_name


class Fact(NamedTuple):
    """One line of it; ``code`` is a command or an identifier."""

    name: str
    text: str
    code: bool = False


def facts(run: RunRecord) -> list[Fact]:
    """What the configuration and the environment say; what they do not say is left out."""
    found = [
        Fact("Model", _model(run)),
        Fact("Data", _data(run)),
        Fact("Training", _training(run)),
        Fact("Device", _device(run)),
        Fact("Time", _time(run)),
        Fact("Seed", _seed(run)),
        Fact("Versions", _versions(run)),
        Fact("Git commit", str(run.environment.get("git_commit") or ""), code=True),
        Fact("Started with", _command(run), code=True),
        Fact("Run it again", run.repeat, code=True),
    ]
    return [fact for fact in found if fact.text]


def _model(run: RunRecord) -> str:
    values = {
        name: value if isinstance(value, int | float | str) else class_name(value)
        for name, value in run.arguments.items()
        if name != "optimizer" and name != "lr_scheduler"
    }
    parts = [f"{n.replace('_', ' ')} {v}" for n, v in values.items() if v not in ("", None)]
    return ": ".join(filter(None, [run.part("model"), ", ".join(parts)]))


def _data(run: RunRecord) -> str:
    arguments = _init_args(run.config.get("data"))
    parts = []
    if "batch_size" in arguments:
        parts.append(f"batches of {arguments['batch_size']}")
    if arguments.get("val_fraction"):
        parts.append(f"{arguments['val_fraction']:.0%} of the training images for validation")
    if arguments.get("image_size"):
        parts.append(f"at {arguments['image_size']} pixels")
    if arguments.get("binarize"):
        parts.append(f"binarised ({arguments['binarize']})")
    return ", ".join(filter(None, [run.part("data"), *parts]))


def _training(run: RunRecord) -> str:
    trainer = run.config.get("trainer")
    asked = trainer.get("max_epochs") if isinstance(trainer, dict) else None
    parts = []
    if run.logged.rows:
        of = f" of {asked}" if isinstance(asked, int) and asked > 0 else ""
        parts.append(f"{run.logged.epochs}{of} epochs")
        parts.append(f"{max(row['step'] for row in run.logged.rows):,} steps")
    optimizer = run.arguments.get("optimizer")
    if class_name(optimizer):
        rate = _init_args(optimizer).get("lr")
        at = f" at {number(rate)}" if isinstance(rate, int | float) else ""
        parts.append(class_name(optimizer) + at)
    return ", ".join(parts)


def _device(run: RunRecord) -> str:
    devices = run.environment.get("devices") or []
    counts = {str(name): devices.count(name) for name in devices}
    names = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counts.items())
    world = run.environment.get("world_size", 1)
    return f"{names} on each node, {world} processes in all" if world != len(devices) else names


def _time(run: RunRecord) -> str:
    day = str(run.environment.get("started") or "")[:10]
    if run.duration is None:
        return day
    seconds = round(run.duration.total_seconds())
    hours, rest = divmod(seconds, 3600)
    long = f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
    text = long if seconds >= 60 else f"{seconds} s"
    return f"{text} from the start to the last checkpoint, {day}"


def _seed(run: RunRecord) -> str:
    seed = run.environment.get("seed", run.config.get("seed_everything"))
    return "" if seed is None else str(seed)


def _versions(run: RunRecord) -> str:
    packages = run.environment.get("packages") or {}
    shown = {"python": run.environment.get("python"), **packages}
    return ", ".join(f"{name} {version}" for name, version in shown.items() if version)


def _command(run: RunRecord) -> str:
    words = run.environment.get("command") or []
    return shlex.join(["lightning-gen", *map(str, words[1:])]) if words else ""


def _init_args(part: Any) -> dict[str, Any]:  # noqa: ANN401
    return (part.get("init_args") or {}) if isinstance(part, dict) else {}
