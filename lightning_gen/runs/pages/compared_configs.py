"""Where the configurations of several runs differ."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

UNTOLD = ("name",)
"""Keys that differ by nature."""


class Setting(NamedTuple):
    """A key of the configuration and its value in each run; None where a run has none."""

    key: str
    values: list[str | None]

    @property
    def same(self) -> bool:
        """All runs have it alike."""
        return len(set(self.values)) == 1


def compared_settings(configs: Sequence[dict[str, Any]]) -> list[Setting]:
    """All settings, by their keys as the command line writes them."""
    flat = [dict(_flatten(config, "")) for config in configs]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    return [
        Setting(key, [settings.get(key) for settings in flat]) for key in keys if key not in UNTOLD
    ]


def _flatten(value: Any, key: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """``{class_path: VAE, init_args: {beta: 1}}`` at "model" is ``model: VAE, model.beta: 1``."""
    if not isinstance(value, dict) or not value:
        yield key, _text(value)
        return
    for name, part in value.items():
        if name == "class_path":
            yield key, _text(part)
        elif name == "init_args" and isinstance(part, dict):
            yield from _parts(part, key)
        else:
            yield from _flatten(part, f"{key}.{name}" if key else str(name))


def _parts(arguments: dict[Any, Any], key: str) -> Iterator[tuple[str, str]]:
    for name, part in arguments.items():
        yield from _flatten(part, f"{key}.{name}")


def _text(value: Any) -> str:  # noqa: ANN401
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return text.removesuffix("...").strip()
