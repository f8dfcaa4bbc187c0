"""The help of a verb, from the text of the package: nothing heavy is imported for it."""

import ast
import re
from functools import cache
from pathlib import Path

from docstring_parser import parse

from lightning_gen.cli.files import chosen_class
from lightning_gen.cli.own_parsers import OWN_PARSERS

RUN_HELP = "run directory, checkpoint, name of a run, hf:user/name, wandb:entity/project/name:best"
COMMON = (
    ("batch_size", 256, "images at once"),
    ("seed", 0, "of everything random"),
    ("device", "auto", "auto, cpu, cuda, cuda:1 or mps"),
    ("prior", "fitted", "draw from the prior that was fitted, or with none from the model's own"),
)
"""The options of every verb that loads a model: name, default and help."""
INPUTS = {
    "images": "an image file, or a folder of them",
    "split": "of the run's dataset, where there are no --images (default: test)",
}

PACKAGE = Path(__file__).parents[1]
LINKED = ("image_shape", "num_classes", "class_names", "factors")
"""Arguments that no command gives: the data says them to the model."""

FIT = """\
usage: lightning-gen fit [--config FILE] [--KEY VALUE] ...

{summary}: lightning-gen {example}

what is asked for most:
  --config FILE                      a YAML file; what comes after it on the line changes it
  --model NAME|FILE                  the model: its class, a recipe or a file
  --data NAME|FILE                   the dataset: its class, a recipe or a file
  --name NAME                        of the run (default: the configuration file's)
  --seed_everything N                of weights, order and noise (default: 0)
  --ckpt_path last                   go on with the latest run of this name
  --trainer.max_epochs N             (default: 20)
  --trainer.max_steps N              end after so many steps
  --model.optimizer.lr X             the learning rate; --model.optimizer NAME chooses another one
  --model.lr_scheduler NAME          a schedule, such as OneCycle
  --data.batch_size N                images a batch
  --trainer.accelerator cpu|gpu      --trainer.devices N, --trainer.precision bf16-mixed
  --trainer.gradient_clip_val X      greatest norm of a gradient
  --trainer.callbacks+ NAME          one more callback, such as EarlyStopping or SampleQuality
  --trainer.logger FILE              such as wandb or tensorboard
  --trainer.limit_train_batches N    fewer batches an epoch, to try things out
  --trainer.compile true             compile the networks
  --trainer.default_root_dir FOLDER  where runs stand (default: logs)
  --pictures NAME                    a picture in place of the default one of its kind
  --default_pictures false           draw nothing
  --test_after_fit false             test nothing
  --fit_prior NAME                   at the end fit a prior to the codes, such as GaussianMixture
"""
MORE = """
lightning-gen fit --help all lists every option of every part; --model.help VAE, --data.help MNIST
--trainer.callbacks.help SampleQuality and --pictures.help Traversal those of a class;
--print_config what a run would have.
"""


EVALUATION = """\
usage: lightning-gen {verb} RUN [--KEY VALUE] ...

{summary}: lightning-gen {example}

  RUN              {run}
  --prior none                       draw from the model's own prior, and not a fitted one
  --trainer.callbacks NAME           a score, such as SampleQuality or ReconstructionQuality
  --trainer.accelerator cpu|gpu      --trainer.devices N
  --data.KEY VALUE                   other data than that of the run
"""


def help_of(
    words: list[str], module: str, summary: str, example: str, _: str, picture: str, first: str
) -> str | None:
    """The help that a command asks for; None where the verb's own parser is to give it."""
    verb, *rest = words
    at = next((n for n, word in enumerate(rest) if word in ("-h", "--help")), None)
    if at is None:
        return None
    if verb in OWN_PARSERS:
        return OWN_PARSERS[verb](summary, example).format_help()
    if rest[at + 1 :] == ["all"]:
        return None
    if verb == "fit":
        return fit_help(rest, summary, example)
    if verb in ("validate", "test", "predict"):
        text = EVALUATION.format(verb=verb, summary=summary, example=example, run=RUN_HELP)
        return text + MORE.replace("fit", verb)
    if verb == "draw":
        picture = next((word for word in rest[:at] if word in picture_names()), "")
    return verb_help(verb, module, summary, example, picture, first)


def picture_names() -> list[str]:
    """The pictures of the package."""
    text = (PACKAGE / "pictures" / "__init__.py").read_text(encoding="utf-8")
    modules = re.findall(r"^from \S+pictures\.(?!picture|view)\w+ import (.+)", text, re.M)
    return ", ".join(modules).split(", ")


def verb_help(
    verb: str, module: str, summary: str, example: str, picture: str = "", first: str = ""
) -> str | None:
    """The options of a verb for finished runs: the arguments of its function and its picture."""
    function = "draw" if module == "pictures" else verb.replace("-", "_")
    found = _definition([PACKAGE / "runs" / f"{module.replace('.', '/')}.py"], function)
    if not isinstance(found, ast.FunctionDef):
        return None
    options = {row[0]: row for row in arguments(found, descriptions(found))}
    if picture:
        own = class_options("pictures", picture)
        options = {row[0]: row for row in own if row[0] != "every_n_epochs"} | options
    names = f"one of {', '.join(picture_names())}; draw RUN PICTURE --help lists its options"
    options["picture"] = ("picture", "", picture or names)
    asked = ("run", "runs", "codes", "repo", first, *(["picture"] if verb == "draw" else []))
    before = [name for name in asked if name in options]
    rows = [options[name] for name in options if name not in (*before, "inputs", "picture")]
    if "inputs" in options:
        rows += [(name, "", about) for name, about in INPUTS.items()]
    kinds = [ast.unparse(each.annotation) for each in found.args.args if each.annotation]
    if "FinishedRun" in kinds:
        rows += [(key, str(value), about) for key, value, about in COMMON if key not in options]
    places = "".join(f"  {name.upper():<36} {options[name][2] or RUN_HELP}\n" for name in before)
    usage = f"usage: lightning-gen {verb} {' '.join(before).upper()} [--OPTION VALUE] ..."
    return f"{usage}\n\n{summary}: lightning-gen {example}\n\n{places}{lines(rows, '--')}"


def fit_help(words: list[str], summary: str, example: str) -> str:
    """The options of ``fit`` that most people want, and those of the chosen model and data."""
    text = FIT.format(summary=summary, example=example)
    for key, room, usual in (("model", "models", "VAE"), ("data", "data", "MiniFashionMNIST")):
        name = chosen_class(words, key) or usual
        if options := class_options(room, name):
            text += f"\n{key} {name}:\n" + lines(options, f"--{key}.")
    return text + MORE


def lines(options: list[tuple[str, str, str]], before: str) -> str:
    """A line for each option: its name, what it is, and its default."""
    return "".join(
        f"  {before + name:<34} {about}{f' (default: {default})' if default else ''}\n"
        for name, default, about in options
    )


def class_options(room: str, name: str) -> list[tuple[str, str, str]]:
    """The arguments of a class of the package: name, default and the first sentence about it.

    Those that its constructor passes on to the next one by ``**`` are among them. What a class does
    not say of an argument, the next one says, as for the parser.
    """
    options: dict[str, tuple[str, str, str]] = {}
    decided: set[str | None] = {*LINKED}
    given = 0
    kinds = _lineage(room, name).__mro__[:-1]
    definitions = [found for kind in kinds if (found := vars(kind)["definition"])]
    helps: dict[str, str] = {}
    for found in reversed(definitions):
        helps |= descriptions(found)
    for found in definitions:
        for option in fields(found, helps):
            options.setdefault(option[0], option)
        construct = next((n for n in found.body if getattr(n, "name", "") == "__init__"), None)
        if not isinstance(construct, ast.FunctionDef):
            continue
        for option in arguments(construct, helps)[given:]:
            if option[0] not in decided:
                options.setdefault(option[0], option)
        calls = [node for node in ast.walk(construct) if isinstance(node, ast.Call)]
        passing = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
        if not any(keyword.arg is None for call in passing for keyword in call.keywords):
            break
        decided |= {keyword.arg for keyword in passing[0].keywords}
        given = len(passing[0].args)
    return [*options.values()]


def fields(definition: ast.ClassDef, helps: dict[str, str]) -> list[tuple[str, str, str]]:
    """The options of a dataclass: name, default and what is said of them."""
    if not any("dataclass" in ast.unparse(each) for each in definition.decorator_list):
        return []
    nodes = [node for node in definition.body if isinstance(node, ast.AnnAssign)]
    own = [node for node in nodes if "ClassVar" not in ast.unparse(node.annotation)]
    found = {ast.unparse(node.target): node.value for node in own}
    return [(k, ast.unparse(v) if v else "", helps.get(k, "")) for k, v in found.items()]


@cache
def _lineage(room: str, name: str) -> type:
    """An empty class with the bases of one of the package, which orders them as Python does."""
    found = _definition(sorted((PACKAGE / room).rglob("*.py")), name)
    found = found if isinstance(found, ast.ClassDef) else None
    bases = [base.id for base in found.bases if isinstance(base, ast.Name)] if found else []
    return type(name, tuple(_lineage(room, base) for base in bases), {"definition": found})


def arguments(function: ast.FunctionDef, helps: dict[str, str]) -> list[tuple[str, str, str]]:
    """The arguments of a function: name, default and what is said of them."""
    given = function.args
    names = [a.arg for a in (*given.args, *given.kwonlyargs)]
    defaults = [None] * (len(given.args) - len(given.defaults)) + [*given.defaults]
    defaults += given.kw_defaults
    return [
        (name, ast.unparse(default) if default else "", helps.get(name, ""))
        for name, default in zip(names, defaults, strict=True)
        if name != "self"
    ]


def descriptions(definition: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """What a docstring says of each argument that it describes."""
    params = parse(ast.get_docstring(definition) or "").params
    return {p.arg_name: p.description for p in params if p.description}


def _definition(paths: list[Path], name: str) -> ast.FunctionDef | ast.ClassDef | None:
    """The class or function of this name in one of the files."""
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if f"def {name}(" in text or f"class {name}" in text:
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                    return node
    return None
