"""Which class the words of a command, and the files that they name, choose for a key."""

from pathlib import Path

from lightning_gen.errors import UserError

ENDINGS = (".yaml", ".yml")


def chosen_class(words: list[str], key: str) -> str | None:
    """The name of the class at ``key``, such as ``VAE`` at ``model``; None where none is chosen.

    The last word counts. A file that cannot be read chooses nothing: the parser says why.
    """
    found = None
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.partition("=") if word.startswith("-") else (before, "", word)
        if option in ("-c", "--config") and value.endswith(ENDINGS):
            found = _of_file(Path(value), key) or found
        elif option == f"--{key}" and value:
            is_file = value.endswith(ENDINGS)
            found = (_of_file(Path(value), None) if is_file else value.rpartition(".")[2]) or found
    return found


def _of_file(path: Path, key: str | None) -> str | None:
    from lightning_gen.yaml_file import (
        read_yaml,  # imported here, for the command to answer at once
    )

    try:
        content = read_yaml(path)
    except UserError:
        return None
    part = content.get(key) if key and isinstance(content, dict) else content
    if isinstance(part, str) and part.endswith(ENDINGS):
        return _of_file(path.parent / part, None)
    name = part.get("class_path") if isinstance(part, dict) else part
    return name.rpartition(".")[2] if isinstance(name, str) else None
