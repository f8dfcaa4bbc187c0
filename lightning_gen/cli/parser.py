"""The options of the training verbs, and what the data says to the model."""

from importlib import import_module
from typing import Any, Literal, NoReturn

from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser

import lightning_gen.data
import lightning_gen.models  # noqa: F401  (the parser knows by their short names what is imported)
from lightning_gen.allowed import registered
from lightning_gen.cli import VERBS
from lightning_gen.errors import BadArgumentsError
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.training.described import LINKS
from lightning_gen.training.trainer import DEFAULTS, RunTrainer


class Parser(LightningArgumentParser):
    """Lightning's parser, which raises where jsonargparse prints a page of usage and exits.

    The parsers of nested classes are of this class too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (jsonargparse's)
        super().__init__(*args, allow_abbrev=False, **kwargs)  # half a word is a misspelt word

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise BadArgumentsError with jsonargparse's own message."""
        raise BadArgumentsError(message) from ex


def classes_first(words: list[str]) -> list[str]:
    """The words with ``--model NAME`` and ``--data NAME`` before the options of that class.

    The parser takes the options of a class only where it knows the class.
    """
    words = [*words]
    for key in ("--model", "--data"):
        option = next((n for n, word in enumerate(words) if word.startswith(f"{key}.")), len(words))
        named = next((n for n, word in enumerate(words) if word.partition("=")[0] == key), 0)
        if option < named:
            end = named + 1 if "=" in words[named] else named + 2
            words[option:end] = words[named:end] + words[option:named]
    return words


def training_parser(verb: str) -> Parser:
    """The options of ``fit``, ``validate``, ``test`` or ``predict``.

    What of the data has the name of a model's argument becomes that argument.
    """
    for module in registered():  # their classes have short names, too
        import_module(module)
    about = f"{VERBS[verb].summary}: lightning-gen {VERBS[verb].example}"
    parser = Parser(prog=f"lightning-gen {verb}", description=about)
    add = parser.add_argument
    add("-c", "--config", action=ActionConfigFile, help="a YAML file; what comes after changes it")
    add("--seed_everything", type=bool | int, default=0,
        help="of weights, order and noise; true draws one, false sets none")  # fmt: skip
    parser.add_lightning_class_args(RunTrainer, "trainer")
    parser.set_defaults({f"trainer.{name}": value for name, value in DEFAULTS.items()})
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    add("--name", type=str | None, help="name of the run (default: the config file's)")
    add("--test_after_fit", type=bool, default=True,
        help="fit ends with one evaluation of the best checkpoint on the test split")  # fmt: skip
    add("--pictures", type=Picture | list[Picture] | None,
        help="what is drawn, beside or in place of the default pictures")  # fmt: skip
    add("--default_pictures", type=bool, default=True,
        help="fit draws what the model is able to show")  # fmt: skip
    add("--fit_prior", type=Prior | None,
        help="fit ends with this prior fitted to the codes of the training images")  # fmt: skip
    if verb != "fit":
        add("--prior", type=Literal["fitted", "none"], default="fitted",
            help="draw from the prior that was fitted, or from the model's own")  # fmt: skip
    add(
        "--init_from",
        type=str | None,
        help="fit begins with what fits of the weights of a run, checkpoint or .safetensors",
    )
    add("--init_strict", type=bool, default=False, help="... or ends where one does not fit")
    add("--freeze", type=list[str] | str | None,
        help="fit leaves these modules or parameters as they are, such as encoder")  # fmt: skip
    add("--ckpt_path", type=str | None,
        help="last, to go on with the latest run of this name, or a checkpoint")  # fmt: skip
    add("--weights_only", type=bool | None, help="load nothing but tensors and plain values")
    for argument, compute in LINKS.items():
        target = f"model.init_args.{argument}"
        parser.link_arguments("data", target, compute, apply_on="instantiate")
    return parser
