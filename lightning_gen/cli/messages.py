"""One line for what a user got wrong on the command line or in a YAML file.

jsonargparse explains a fault by all types that it tried. Here its message becomes the key, what is
wrong there, and the nearest valid names; where it is of a kind that is not known, its own words.
The patterns are of jsonargparse 4.53; the tests of bad input ask the installed version.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lightning_gen.allowed import refusal
from lightning_gen.cli import known
from lightning_gen.cli.files import chosen_class, options_of
from lightning_gen.errors import causes, nearest, user_error

KEY = re.compile(r'Parser key "([^"]+)":?')
NESTED = re.compile(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)$")
OPTION = re.compile(
    r"(?:Option |accept option |unrecognized arguments: )'?(-*)([^'\s=]+)(?:'|=| |$)"
)
CLASS = re.compile(r"Expected a dot import path string: (.*)|Unexpected import path format: (.*)")
TYPE = re.compile(r"Expected an? (?:<class '(?:\w+\.)*(\w+)'>|typing\.Literal\[(.+?)\])")
REQUIRED = re.compile(r"arguments are required: (?:.*, )?([\w.]+)")
VALUE = re.compile(r"\.* Got value: (.*)")
GUESSED = re.compile(
    r"Importing 'lightning\.([A-Z]|pytorch\.loggers\.Logger')|init_args, but got NestedArg"
    r"|instantiatable class, but lightning_gen\S+ is abstract"
)
"""Of a class that the parser takes where none is named: the abstract one."""
CALLABLE = re.compile(r"Type .* expects a function or a callable class: ")
FRAME = (
    *("Does not validate", "Subtypes: ", "Errors:", "Given value", "Expected a path but "),
    *("Subclass types expect", "a class path (", "a dict with", "element "),
)
"""How the lines begin in which jsonargparse says what it tried."""


class Fault(NamedTuple):
    """What jsonargparse says of a mistake, taken apart.

    The keys from the outermost on, a reason for each type that was tried, the value that was
    refused, and the part of the configuration around it; the last two where they are quoted.
    """

    keys: list[str]
    reasons: list[str]
    value: str
    tree: object

    @classmethod
    def of(cls, message: str) -> "Fault":
        """The fault that a message tells of."""
        body, _, rest = message.partition("Given value: ")
        quoted = rest.rpartition("Given value: ")[2]
        keys = list(dict.fromkeys(KEY.findall(message.removesuffix(quoted))))
        nested = NESTED.search(quoted)
        keys = [*keys[:1], nested[1]] if nested else keys
        lines = [KEY.sub("", line).strip(" -\t") for line in message.splitlines()]
        reasons = dict.fromkeys(line for line in lines if line and not line.startswith(FRAME))
        given = VALUE.search(body)
        value = nested[2] if nested else given[1] if given else rest.partition("\n")[0]
        if value.startswith("Namespace") or (value == quoted and len(keys) > 1):
            value = ""  # the parser's own form, or that of a part around it
        try:
            tree = ast.literal_eval(quoted)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            tree = None
        return cls(keys, [VALUE.sub("", reason) for reason in reasons], value.strip(), tree)

    def key(self, last: str = "") -> str:
        """The dotted key that it speaks of, or one below it."""
        keys = [*self.keys]
        if last and not (keys and f".{keys[-1]}".endswith(f".{last}")):
            keys.append(last)
        found = {place for place, _ in places(self.tree, keys[-1])} if keys else set()
        if len(found) == 1:  # jsonargparse leaves out what lies between
            keys = [*keys[:1], *found]
        if keys[1:] and (keys[1] + ".").startswith(f"{keys[0]}."):
            del keys[0]
        return ".".join(keys)


def places(tree: object, word: str, key: str = "", kind: str = "") -> Iterator[tuple[str, str]]:
    """The dotted keys that end with ``word`` in a configuration, and the classes given them."""
    if isinstance(tree, list):
        for part in tree:
            yield from places(part, word, key)
    elif isinstance(tree, dict):
        kind = str(tree.get("class_path", kind))
        for name, part in tree.items():
            here = key if name == "init_args" else f"{key}.{name}".lstrip(".")
            if name == word:
                yield here, kind.rpartition(".")[2]
            yield from places(part, word, here, kind if name == "init_args" else "")


def explain(message: str, error: BaseException | None = None, words: Sequence[str] = ()) -> str:
    """A message of jsonargparse, and the exception behind it, as one line.

    The words of the command choose the class whose option is meant.
    """
    if cause := user_error(error):
        return str(cause)
    fault = Fault.of(message)
    key, text = fault.key(), "\n".join(fault.reasons)
    if any(isinstance(each, UnicodeEncodeError) for each in causes(error)):
        return f"{key}: a file name is UTF-8 text here, got other bytes in it. Rename it."
    classes = known.classes(key.rpartition(".")[2])
    if GUESSED.search(message):
        return guessed(fault, list(words))
    if refused := refusal(message):
        same = [name for name in classes if f".{name.rpartition('.')[2]}, whose" in refused]
        return f"{key}: {refused}{f' Did you mean {same[0]}?' if same else ''}"
    if found := OPTION.search(text):
        return unknown_option(fault, found[2], list(words))
    if found := REQUIRED.search(text):
        key = fault.key(found[1])
        names = nearest("", known.classes(found[1]))
        return f"{key} is missing: pass --{key} VALUE or a --config that has it{names}"
    reasons = [reason for reason in fault.reasons if classes or not CLASS.search(reason)]
    if all(map(TYPE.match, reasons)):
        kinds = [kind or literals for kind, literals in TYPE.findall(text)]
        wanted = " or ".join(kind for kind in dict.fromkeys(kinds) if kind != "NoneType")
        return f"{key}: expected {wanted or 'null'}, got {short(fault.value)}."
    if found := CLASS.search(text):
        word = short(found[1] or found[2])
        return unknown_class(key, word, classes)
    said = "; ".join(reason for reason in reasons if not TYPE.match(reason))
    said = " ".join(CALLABLE.sub("", said).replace(":;", ":").split()).rstrip(".")
    if fault.value and fault.value not in said:
        said += f", got {short(fault.value)}"
    word = fault.value.rpartition(".")[2] if classes else ""
    return f"{key}: ".removeprefix(": ") + short(said, 400) + nearest(short(word), classes)


def unknown_class(key: str, word: str, classes: list[str]) -> str:
    """A class that does not exist, and those like it, or where it stands."""
    if word in classes:  # at this key of another class
        others = [name for name in classes if name != word]
        return f"{key}: {word} does not stand here{nearest('', others)}"
    if other := known.place_of(word, but=key):
        return f"{key}: {word} does not stand here. Give it to --{other}."
    return f"{key}: there is no class {word}{nearest(word, classes)}"


def guessed(fault: Fault, words: list[str]) -> str:
    """An option that the class at its place does not have, or a place where no class is named."""
    key, names = fault.key(), known.options(words)
    for option, _ in options_of(words):
        place, _, word = option.rpartition(".")
        taken = any(name.startswith(f"{place}.") for name in names)
        if f"{option}.".startswith(f"{key}.") and taken and option not in names:
            return unknown_option(fault, word, words)
    place, _, word = key.rpartition(".")
    place = key if known.classes(word) or not place else place
    return f"{key}: its class is missing. {class_first(place)}"


def class_first(place: str) -> str:
    """What to do where an option of a class is given and no class."""
    options = nearest("", known.classes(place.rpartition(".")[2]))
    return f"Name the class first, --{place} CLASS{options}"


def unknown_option(fault: Fault, word: str, words: list[str]) -> str:
    """An option that does not exist, or its last ``word``, and those like it."""
    key, names = fault.key(word), known.options(words)
    place, _, word = key.rpartition(".")
    owner = next((kind for _, kind in places(fault.tree, word) if kind), "")
    owner = owner or chosen_class(words, place) or ""
    said = f"{key} is no option{f' of {owner}' if owner else ''}"
    if owner and place not in ("model", "data"):
        return said + nearest(word, known.options_of_class(owner))
    taken = any(name.startswith(f"{place}.") for name in names)
    if not taken and known.classes(place.rpartition(".")[2]):
        return f"{said}. {class_first(place)}"
    same = sorted(name for name in names - {key} if name.rpartition(".")[2] == word)
    others = {name for name in names if not name.startswith(f"{key}.")}
    hint = f". Did you mean {same[0]}?" if same else nearest(key, others - {place})
    helped = f"--{place}.help {owner}" if owner else "--help all"
    return said + (hint if hint != "." else f". See lightning-gen fit {helped}.")


def short(value: str, most: int = 80) -> str:
    """A text, cut off where it is long."""
    return value if len(value) <= most else f"{value[:most]}..."
