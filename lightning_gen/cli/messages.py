"""One clear line for what a user got wrong on the command line or in a YAML file.

jsonargparse explains a fault by the types it tried; here its message becomes the key, what was
given, and the nearest valid names.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from lightning_gen.allowed import refusal
from lightning_gen.cli import known
from lightning_gen.cli.chosen import chosen_class
from lightning_gen.cli.fault import Fault, owners, short
from lightning_gen.cli.files import ENDINGS
from lightning_gen.errors import user_error


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


def first_error(error: BaseException) -> BaseException:
    """The exception behind a message of jsonargparse that lists the types it tried."""
    found = re.search(r"Problem with given class_path '\S+':\s+(.+?)\n\s*- Expected", str(error))
    if found:  # what another type said of the same value comes after it, and is its cause
        return ValueError(found[1])
    while str(error).startswith("Does not validate against any of the Union") and error.__cause__:
        error = error.__cause__
    return error


def explain(message: str, error: BaseException | None = None, words: Sequence[str] = ()) -> str:
    """A message of jsonargparse, and the exception behind it, as one line.

    Args:
        message: jsonargparse's.
        error: the exception with it.
        words: of the command, which choose the class whose option is meant.
    """
    cause = user_error(error)
    if cause is not None:
        return str(cause)
    fault = Fault.of(message, error)._replace(words=tuple(words))
    if refused := re.search(NOT_ALLOWED, fault.text):  # wherever it stands among the types tried
        return _not_allowed(fault, refused)
    inner = "" if fault.inner.startswith("Expected a <class 'list'>") else fault.inner
    for text in (inner, fault.local, fault.text):  # what is no list may be a wrong item of one
        for pattern, build in EXPLANATIONS:
            found = re.search(pattern, text)
            if found:
                return build(fault, found)
    return short(fault.text, 400)


def _unknown_key(fault: Fault, found: re.Match[str]) -> str:
    word = found[1]
    key = fault.key(word)
    owner = next(owners(fault.given(), word), "").rpartition(".")[2]
    return f"{key} is no option{f' of {owner}' if owner else ''}{_hint(fault, key, owner)}"


def _unknown_top_key(fault: Fault, found: re.Match[str]) -> str:
    key = found[1].split("=")[0].lstrip("-")
    if "NestedArg" in fault.text:
        return f"{fault.key()} is no option{_hint(fault, fault.key())}"
    return f"{key} is no option{_hint(fault, key)}"


def _hint(fault: Fault, key: str, owner: str = "") -> str:
    """Options that exist and are like a key that does not; where none is, where to look.

    Args:
        fault: its words choose the model and the data.
        key: dotted.
        owner: the class that the last word of the key was given to, where that is known.
    """
    first, _, rest = key.partition(".")
    word = key.rpartition(".")[2]
    if owner:
        before = key.removesuffix(word)
        names = {f"{before}{name}" for name in known.options(owner)}
    else:
        names = set(known.top_keys())
        for part in ("model", "data"):
            chosen = chosen_class([*fault.words], part)
            names |= {f"{part}.{path}" for path in known.paths(chosen)} if chosen else set()
    same = sorted(name for name in names if name.rpartition(".")[2] == word and name != key)
    close = same or ([] if owner else get_close_matches(key, names, n=3, cutoff=0.75))
    if not close:  # the last word alone
        last = {name.rpartition(".")[2]: name for name in sorted(names, reverse=True)}
        close = [last[like] for like in get_close_matches(word, last, n=3, cutoff=0.7)]
    if close:
        return f". Did you mean {' or '.join(close[:3])}?"
    kind = owner or (rest and chosen_class([*fault.words], first))
    direct = known.options(kind) if kind else []
    if 0 < len(direct) <= 15:
        return f". Choose among {', '.join(direct)}."
    if first in ("model", "data") and kind:
        return f". Its options: lightning-gen fit --{first}.help {kind}."
    return ". The options: lightning-gen fit --help."


def _unknown_class(fault: Fault, found: re.Match[str]) -> str:
    word = found[1]
    if word.endswith(ENDINGS):
        return _missing_file(fault, found)
    key = fault.key()
    names = known.classes(key.rpartition(".")[2])
    return f"{key}: there is no class {short(word)}{nearest(word, names)}"


def _no_mapping(fault: Fault, found: re.Match[str]) -> str:
    if not Path(found[1]).is_file():
        return (
            f"{fault.key()}: expected a YAML file or key: value, and there is no file {found[1]}."
        )
    return f"{fault.key()}: {found[1]} holds no key: value."


def _wrong_class(fault: Fault, found: re.Match[str]) -> str:
    key = fault.key()
    wanted = re.sub(r"(\w+\.)+", "", found["wanted"])
    names = known.classes(key.rpartition(".")[2])
    article = "an" if wanted[0] in "AEIOU" else "a"
    return f"{key}: expected {article} {wanted}, got {found['given']}{nearest('', names)}"


def _abstract(fault: Fault, found: re.Match[str]) -> str:
    key = fault.key()
    names = known.classes(key.rpartition(".")[2])
    return f"{key}: {found[1]} is only what others derive from{nearest('', names)}"


def _no_class(fault: Fault, found: re.Match[str]) -> str:
    key = fault.key()
    names = known.classes(key.rpartition(".")[2])
    return (
        f"{key}: expected a class, or class_path and init_args, got {fault.got}{nearest('', names)}"
    )


def _no_class_path(fault: Fault, found: re.Match[str]) -> str:
    key = fault.key()
    return f"{key}: class_path is missing{nearest('', known.classes(key.rpartition('.')[2]))}"


def _unknown_attribute(fault: Fault, found: re.Match[str]) -> str:
    module, word = found[1], found[2]
    names = [f"{module}.{name}" for name in dir(sys.modules.get(module))]
    return f"{fault.key()}: there is no {module}.{word}{nearest(f'{module}.{word}', names)}"


def _missing_file(fault: Fault, found: re.Match[str]) -> str:
    path = Path(found[1])
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    beside = [str(other) for other in path.parent.glob("*")] if path.parent.is_dir() else []
    return f"{fault.key()}: there is no file {path}{nearest(str(path), beside)}"


def _wrong_type(fault: Fault, found: re.Match[str]) -> str:
    text = fault.local.partition("Given value: ")[0]
    literals = re.findall(r"typing\.Literal\[([^\]]+)\]", text.partition("Errors:")[2] or text)
    kinds = re.findall(r"Expected an? <class '(?:\w+\.)*(\w+)'>", text)
    kinds = [kind for kind in kinds if kind != "NoneType"]
    if not kinds and not literals:  # null would do too, but what else came to nothing says more
        return f"{fault.key()}: {short(fault.inner, 200)}"
    wanted = " or ".join(dict.fromkeys([*kinds, *literals]))
    return f"{fault.key()}: expected {wanted}, got {fault.got}."


def _required(fault: Fault, found: re.Match[str]) -> str:
    key = re.sub(r"\A(fit|validate|test|predict)\.", "", fault.key(found[1]))
    names = nearest("", known.classes(key.rpartition(".")[2]))
    return f"{key} is missing: pass --{key} VALUE or a --config that has it{names}"


def _not_allowed(fault: Fault, found: re.Match[str]) -> str:
    if found[1] in ("lightning.LightningModule", "lightning.LightningDataModule"):
        return _no_class_path(fault, found)  # the parser's own guess
    if found[1].endswith(ENDINGS):
        return _missing_file(fault, found)
    key, name = fault.key(), found[1].rpartition(".")[2]
    same = [own for own in known.classes(key.rpartition(".")[2]) if own.rpartition(".")[2] == name]
    where = f"{key}: " if key else ""
    hint = f" Did you mean {same[0]}?" if same else ""
    return f"{where}{refusal(found.string)}{hint}"


def _no_device(fault: Fault, found: re.Match[str]) -> str:
    return f"this machine has no {found[1]}. Pass --trainer.accelerator cpu, or auto."


def _no_module(fault: Fault, found: re.Match[str]) -> str:
    where = f"{fault.key()}: " if fault.key() else ""
    return f"{where}there is no module {found[1]}. Install it, or run from the folder that has it."


def _odd_path(fault: Fault, found: re.Match[str]) -> str:
    return f"{fault.key()}: a file name is UTF-8 text here, got other bytes in it. Rename it."


def _no_tensorboard(fault: Fault, found: re.Match[str]) -> str:
    return 'TensorBoard is not installed. Run: pip install "lightning-gen[tensorboard]".'


NOT_ALLOWED = r"Importing '([^']+)' is not allowed"
EXPLANATIONS: tuple[tuple[str, Callable[[Fault, re.Match[str]], str]], ...] = (
    (r"surrogates not allowed", _odd_path),
    (r"Option '(.+?)' is not accepted", _unknown_key),
    (r"does not accept option '([^']+)'", _unknown_top_key),
    (r"unrecognized arguments: (\S+)", _unknown_top_key),
    (r"arguments are required: ([\w.]+)", _required),
    (r"File does not exist: '([^']+)'", _missing_file),
    (
        r"Import path (?P<given>\S+) does not correspond to a subclass of (?P<wanted>\w+)",
        _wrong_class,
    ),
    (r"Expected '(?P<given>\S+)' to be a subclass of <class '(?P<wanted>[\w.]+)'>", _wrong_class),
    (r"Expected '(?P<given>\S+)' to be a subclass of (?P<wanted>[\w. |]+)", _wrong_class),
    (r"corresponding to a type\[(?P<wanted>[\w.]+)\]. Got value: (?P<given>\S+)", _wrong_class),
    (
        r"Subclasses are disabled for (?P<wanted>\w+), thus '(?P<given>[^']+)'",
        _wrong_class,
    ),
    (r"Expected an instantiatable class, but (\S+) is", _abstract),
    (r"Dict must include a class_path", _no_class_path),
    (r"Unable to load config [\"']([^\"']*)", _no_mapping),
    (r"Not a valid subclass of", _no_class),
    (r"Expected an import path or a subclass spec", _no_class),
    (r"module '([\w.]+)' has no attribute '(\w+)'", _unknown_attribute),
    (r"Unexpected import path format: (.+?)(?: - |\. Got | Given |$)", _unknown_class),
    (r"Expected a dot import path string: (.+?)(?: - |\. Got | Given |$)", _unknown_class),
    (r"No module named '([\w.]+)'", _no_module),
    (r"Expected an? (?:<class|typing)", _wrong_type),
    (r"Neither `tensorboard` nor `tensorboardX` is available", _no_tensorboard),
    (r"No supported (\w+) backend found", _no_device),
)
