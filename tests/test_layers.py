import ast
import inspect
import re
from pathlib import Path

import pytest

from support.models import KINDS

PACKAGE = Path(__file__).parents[1] / "lightning_gen"
FILES = sorted(PACKAGE.rglob("*.py"))
LIGHTNING = {"lightning", "lightning_fabric", "lightning_utilities", "pytorch_lightning"}

FREE = {"atomic", "contracts", "errors", "noise", "quantities"}
LEAVES = {"networks", "objectives", "priors", "metrics", "figures", "latent"}
PICTURES = FREE | {"latent", "figures", "priors"}
MODELS = FREE | {"_compat", "hyperparameters", "networks", "objectives", "priors"}
DATA = FREE | {"hyperparameters", "progress"}
CALLBACKS = PICTURES | {"_compat", "pictures", "metrics", "features", "objectives", "progress"}
PARTS = {"allowed", "parts", "yaml_file", "models", "data", "callbacks"}
TRAINING = MODELS | DATA | CALLBACKS | PARTS
ALLOWED = {
    "__init__": {"callbacks", "data", "models", "networks", "objectives"}
    | {"pictures", "priors", "runs", "training"},
    "_compat": set(),
    "parts": {"allowed", "errors"},
    "yaml_file": {"errors"},
    "errors": set(),
    "allowed": {"_compat", "errors"},
    "atomic": {"errors"},
    "progress": set(),
    "noise": set(),
    "quantities": set(),
    "contracts": {"errors"},
    "hyperparameters": {"errors"},
    **dict.fromkeys(LEAVES, FREE),
    "metrics": FREE | {"objectives"},
    "objectives": FREE | {"priors"},
    "features": FREE | {"networks"},
    "pictures": PICTURES,
    "models": MODELS,
    "data": DATA,
    "callbacks": CALLBACKS,
    "training": TRAINING,
    "runs": TRAINING | {"training"},
    "cli": TRAINING | {"training", "runs"},
    "__main__": {"cli"},
}
WITHOUT_LIGHTNING = LEAVES | FREE | {"pictures", "features"}


def layer_of(file):
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(source):
    """Dotted names of all modules that the source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            # `from lightning_gen import data` names a module in its second half.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(layer, source):
    found = []
    for module in imported_modules(source):
        top, *rest = module.split(".")
        if top in LIGHTNING and layer in WITHOUT_LIGHTNING:
            found.append(module)
        if top == "lightning_gen" and not {*rest[:1]} <= ALLOWED[layer] | {layer, "__version__"}:
            found.append(module)
    return found


def test_imports_point_one_way():
    assert {layer_of(file) for file in FILES} == {*ALLOWED}
    wrong = {str(file): faults(layer_of(file), file.read_text()) for file in FILES}
    assert {file: found for file, found in wrong.items() if found} == {}


def test_private_attributes_of_others_are_used_in_one_file_only():
    owners = "parser|cli|trainer|loop|study|storage|torch|nn|optimizer|logger|strategy"
    private = re.compile(
        rf"\b({owners})\._[a-z]|^\s*from (?!lightning_gen)\S+ import _[a-zA-Z]", re.M
    )
    found = {path for path in PACKAGE.rglob("*.py") if private.search(path.read_text())}
    assert found == {PACKAGE / "_compat.py"}


def depth(kind):
    """Of our own inheritance, from Module on."""
    bases = [base for base in kind.__bases__ if base.__module__.startswith("lightning_gen.models")]
    return 1 + max(map(depth, bases), default=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_derives_from_a_family_and_names_few_arguments(kind):
    assert depth(kind) <= 3
    named = [p for p in inspect.signature(kind).parameters.values() if p.kind is not p.VAR_KEYWORD]
    assert len(named) <= 7
