import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "lightning_gen"


def public_names(source):
    """The classes, functions and types of a module; not its constants, nor what begins with _."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            found = [name for name in names if not name.isupper()]
        else:
            found = []
        yield from (name for name in found if not name.startswith("_"))


def test_no_name_stands_for_two_things():
    places = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        for name in public_names(file.read_text(encoding="utf-8")):
            places[name].append(str(file.relative_to(PACKAGE)))
    assert len(places) > 800
    twice = {name: found for name, found in places.items() if len(found) > 1}
    verbs = twice.pop("run")  # what each module of a verb is called by
    assert {Path(place).parts[0] for place in verbs} == {"cli"}
    assert twice == {}
