"""What was run, in a few lines."""

import shlex
from typing import NamedTuple

from lightning_gen.runs.pages.record import RunRecord, class_name, init_args
from lightning_gen.runs.scores import number


class Fact(NamedTuple):
    """One line of it; ``code`` is a command or an identifier."""

    name: str
    text: str
    code: bool = False


def facts(run: RunRecord) -> list[Fact]:
    """What the configuration and the environment say; what they do not say is left out."""
    environment = run.environment
    seed = environment.get("seed", run.config.get("seed_everything"))
    versions = {"python": environment.get("python")} | environment.get("packages", {})
    words = [str(word) for word in environment.get("command", ())]
    found = [
        Fact("Model", _model(run)),
        Fact("Data", _data(run)),
        Fact("Training", _training(run)),
        Fact("Device", _device(run)),
        Fact("Time", _time(run)),
        Fact("Seed", "" if seed is None else str(seed)),
        Fact("Versions", ", ".join(f"{name} {v}" for name, v in versions.items() if v)),
        Fact("Git commit", environment.get("git_commit", ""), code=True),
        Fact("Started with", shlex.join(["lightning-gen", *words[1:]]) if words else "", code=True),
        Fact("Run it again", run.repeat, code=True),
    ]
    return [fact for fact in found if fact.text]


def _model(run: RunRecord) -> str:
    values = {
        name.replace("_", " "): value if isinstance(value, int | float | str) else class_name(value)
        for name, value in run.arguments.items()
        if name not in ("optimizer", "lr_scheduler")
    }
    parts = [f"{name} {value}" for name, value in values.items() if value not in ("", None)]
    return ": ".join(filter(None, [run.part("model"), ", ".join(parts)]))


def _data(run: RunRecord) -> str:
    arguments = init_args(run.config.get("data"))
    share = arguments.get("val_fraction")
    parts = {
        "batches of {}": arguments.get("batch_size"),
        "{:.0%} of the training images for validation": isinstance(share, int | float) and share,
        "at {} pixels": arguments.get("image_size"),
        "binarised ({})": arguments.get("binarize"),
    }
    return ", ".join([run.part("data"), *(k.format(v) for k, v in parts.items() if v)])


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
        rate = init_args(optimizer).get("lr")
        at = f" at {number(rate)}" if isinstance(rate, int | float) else ""
        parts.append(class_name(optimizer) + at)
    return ", ".join(parts)


def _device(run: RunRecord) -> str:
    devices = [str(name) for name in run.environment.get("devices", ())]
    counts = {name: devices.count(name) for name in devices}
    names = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counts.items())
    world = run.environment.get("world_size", 1)
    return f"{names} on each node, {world} processes in all" if world != len(devices) else names


def _time(run: RunRecord) -> str:
    day = str(run.environment.get("started", ""))[:10]
    if run.duration is None:
        return day
    seconds = round(run.duration.total_seconds())
    hours, rest = divmod(seconds, 3600)
    long = f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
    text = long if seconds >= 60 else f"{seconds} s"
    return f"{text} from the start to the last checkpoint, {day}"
