"""One clear line for what a user got wrong on the command line or in a YAML file.

jsonargparse explains a fault by the types it tried; here its message becomes the key, what was
given, and the nearest valid names.
"""

import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path

from lightning_gen.allowed import refusal
from lightning_gen.cli import known
from lightning_gen.errors import UserError


def nearest(word: str, known: Iterable[str]) -> str:
    """The names closest to a misspelt word, as a question; all of them where they are few.

    A word without dots is also compared with the last part of each name.
    """
    names = sorted(set(known))
    spellings = {name.lower(): name for name in names}
    if "." not in word:
        spellings |= {name.rpartition(".")[2].lower(): name for name in names}
    close = get_close_matches(word, names, n=3, cutoff=0.6)
    if not close:
        found = get_close_matches(word.lower(), spellings, n=3, cutoff=0.6)
        close = list(dict.fromkeys(spellings[spelling] for spelling in found))
    if close:
        return f". Did you mean {' or '.join(close)}?"
    return f". Choose among {', '.join(names)}." if 0 < len(names) <= 30 else "."


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError that ``error`` is, or that it was raised from."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def first_error(error: BaseException) -> BaseException:
    """The exception behind a message of jsonargparse that lists the types it tried."""
    while str(error).startswith("Does not validate against any of the Union") and error.__cause__:
        error = error.__cause__
    return error


def explain(message: str, error: BaseException | None = None) -> str:
    """A message of jsonargparse, and the exception behind it, as one line."""
    cause = user_error(error)
    if cause is not None:
        return str(cause)
    text = " ".join(message.split())
    for pattern, build in EXPLANATIONS:
        found = re.search(pattern, text)
        if found:
            return build(text, found)
    return text if len(text) < 400 else f"{text[:400]}..."


def _key(text: str, last: str = "") -> str:
    """The dotted key that the message speaks of."""
    parts = re.findall(r'Parser key "([^"]+)"', text)
    nested = re.search(r"NestedArg\(key='([^']+)'", text)
    if nested:
        parts = [*parts[:1], nested[1]]
    elif last:
        parts.append(last)
    return ".".join(parts)


def _unknown_key(text: str, found: re.Match[str]) -> str:
    word = found[1]
    return f"{_key(text, word)} is no option{nearest(word, known.argument_names())}"


def _unknown_top_key(text: str, found: re.Match[str]) -> str:
    key = found[1].split("=")[0].lstrip("-")
    if "NestedArg" in text:
        return f"{_key(text)} is no option{nearest(key.rpartition('.')[2], known.argument_names())}"
    first = key.partition(".")[0]
    keys = known.top_keys()
    groups = {name.partition(".")[0] for name in keys}
    hint = nearest(key, keys) if first in groups else nearest(first, groups)
    return f"{key} is no option{hint}"


def _unknown_class(text: str, found: re.Match[str]) -> str:
    word = found[1]
    if word.endswith((".yaml", ".yml", ".json")):
        return _missing_file(text, found)
    key = _key(text)
    return f"{key}: there is no class {word}{nearest(word, known.classes(key.rpartition('.')[2]))}"


def _unknown_attribute(text: str, found: re.Match[str]) -> str:
    module, word = found[1], found[2]
    names = [f"{module}.{name}" for name in dir(sys.modules.get(module))]
    return f"{_key(text)}: there is no {module}.{word}{nearest(f'{module}.{word}', names)}"


def _missing_file(text: str, found: re.Match[str]) -> str:
    path = Path(found[1])
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    beside = [str(other) for other in path.parent.glob("*")] if path.parent.is_dir() else []
    return f"{_key(text)}: there is no file {path}{nearest(str(path), beside)}"


def _wrong_type(text: str, found: re.Match[str]) -> str:
    value = re.search(r"(?:Got value|Given value): (\S+?)(?: - |$| Given)", text)
    given = re.search(r"val='([^']*)'", text) or value
    literals = re.findall(r"typing\.Literal\[([^\]]+)\]", text.partition("Errors:")[2] or text)
    kinds = re.findall(r"Expected an? <class '(?:\w+\.)*(\w+)'>", text)
    kinds = [kind for kind in kinds if kind != "NoneType"] or ["null"]
    wanted = ", ".join(dict.fromkeys(literals)) if literals else " or ".join(dict.fromkeys(kinds))
    return f"{_key(text)}: expected {wanted}, got {given[1] if given else 'something else'}."


def _required(text: str, found: re.Match[str]) -> str:
    key = found[1].rpartition(".")[2]
    names = nearest("", known.classes(key))
    return f"{key} is missing: pass --{key} NAME or a --config that has it{names}"


def _not_allowed(text: str, found: re.Match[str]) -> str:
    key, name = _key(text), found[1].rpartition(".")[2]
    same = [own for own in known.classes(key.rpartition(".")[2]) if own.rpartition(".")[2] == name]
    where = f"{key}: " if key else ""
    hint = f" Did you mean {same[0]}?" if same else ""
    return f"{where}{refusal(text)}{hint}"


def _no_device(text: str, found: re.Match[str]) -> str:
    return f"this machine has no {found[1]}. Pass --trainer.accelerator cpu, or auto."


def _no_module(text: str, found: re.Match[str]) -> str:
    where = f"{_key(text)}: " if _key(text) else ""
    return f"{where}there is no module {found[1]}. Install it, or run from the folder that has it."


def _no_tensorboard(text: str, found: re.Match[str]) -> str:
    return 'TensorBoard is not installed. Run: pip install "lightning-gen[tensorboard]".'


EXPLANATIONS: tuple[tuple[str, Callable[[str, re.Match[str]], str]], ...] = (
    (r"Importing '([^']+)' is not allowed", _not_allowed),
    (r"Option '([^']+)' is not accepted", _unknown_key),
    (r"does not accept option '([^']+)'", _unknown_top_key),
    (r"unrecognized arguments: (\S+)", _unknown_top_key),
    (r"arguments are required: ([\w.]+)", _required),
    (r"File does not exist: '([^']+)'", _missing_file),
    (r"module '([\w.]+)' has no attribute '(\w+)'", _unknown_attribute),
    (r"Unexpected import path format: (\S+)", _unknown_class),
    (r"Expected a dot import path string: (\S+)", _unknown_class),
    (r"No module named '([\w.]+)'", _no_module),
    (r"Expected an? (?:<class|typing)", _wrong_type),
    (r"Neither `tensorboard` nor `tensorboardX` is available", _no_tensorboard),
    (r"No supported (\w+) backend found", _no_device),
)
