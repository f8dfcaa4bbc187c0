"""The command ``lightning-gen VERB ...``.

This file imports nothing heavy: ``--help`` answers at once, and torch and Lightning are loaded only
when a verb needs them.
"""

import gc
import os
import sys
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from lightning_gen import allowed
from lightning_gen.cli.help import help_of
from lightning_gen.cli.recipes import with_recipes
from lightning_gen.errors import UserError, nearest


class Verb(NamedTuple):
    """One thing that the command does.

    Its function is in a module of ``lightning_gen.runs``; where the verb has no ``out``, a file of
    the run's directory, ``run`` of a module of ``lightning_gen.cli`` takes the words. ``picture``
    is the class of ``lightning_gen.pictures`` that it draws, ``words`` an option without a name.
    """

    module: str
    summary: str
    example: str
    out: str = ""
    picture: str = ""
    words: str = ""


VERBS = {
    "fit": Verb("training", "train a model, then evaluate it on the test split",
        "fit --config quickstart"),
    "validate": Verb("training", "evaluate a checkpoint on the validation split",
        "validate logs/quickstart/version_0"),
    "test": Verb("training", "evaluate a checkpoint on the test split",
        "test logs/quickstart/version_0"),
    "predict": Verb("training", "write the codes of the test split to a file",
        "predict logs/quickstart/version_0/checkpoints/last.ckpt"),
    "sample": Verb("sampling", "make new images",
        "sample quickstart --num_images 25 --out new.png", "sample.png"),
    "fit-prior": Verb("priors", "fit a prior to the codes of a finished run",
        "fit-prior quickstart --prior GaussianMixture --prior.components 50", "prior.pt"),
    "reconstruct": Verb("coding", "give images back through their codes",
        "reconstruct quickstart --images photos --out reconstructions", "reconstruct.png"),
    "encode": Verb("coding", "write the codes of images to an .npz or .csv",
        "encode quickstart --images photos --out codes.csv", "codes.npz"),
    "decode": Verb("coding", "make images of codes",
        "decode quickstart codes.csv --out images", "decode.png"),
    "project": Verb("project", "find codes of images by optimisation, with or without an encoder",
        "project fashion_mnist_dcgan --images photos --out projected", "projection"),
    "draw": Verb("pictures", "draw any picture of a finished run",
        "draw quickstart LatentScatter --projection TSNE", "draw.png"),
    "interpolate": Verb("pictures", "show the way from one image to another",
        "interpolate quickstart --images photos --path spherical", "interpolate.png",
        "Interpolation"),
    "traverse": Verb("pictures", "show what each latent dimension does",
        "traverse quickstart --steps 11 --span 2", "traverse.png", "Traversal"),
    "arithmetic": Verb("pictures", "show mean(A) - mean(B) + mean(C) of classes or attributes",
        'arithmetic quickstart "Ankle boot" Sandal T-shirt/top', "arithmetic.png", "Arithmetic",
        "terms"),
    "probe": Verb("probe", "classify images by their codes, with few labels",
        "probe quickstart --repeats 3", "probe.csv"),
    "score": Verb("anomalies.score", "rank images by how unusual they are to a model",
        "score my_parts --images new_parts --masks masks", "score.html"),
    "export": Verb("export", "write the networks of a run as ONNX, or its weights",
        "export quickstart --to onnx --out decoder", "export"),
    "push": Verb("hub", "publish a run on the Hugging Face hub",
        "push quickstart user/name --license mit", "hub"),
    "report": Verb("pages.report", "write one HTML file about a run",
        "report quickstart --out quickstart.html", "report.html"),
    "film": Verb("film", "show how a picture of a run changed over its training",
        "film quickstart --kind latent_scatter --out codes.gif", "film.gif"),
    "compare": Verb("pages.compare", "lay runs side by side in one HTML file",
        "compare fashion_mnist_ae_2d fashion_mnist_vae_2d --out ae_vae.html", "compare.html"),
    "explore": Verb("explore.explore", "look at the codes of a model in the browser",
        "explore quickstart --projection TSNE --out codes.html", "explore.html"),
    "sweep": Verb("sweep",
        "train with many values of some parameters, and compare them",
        "sweep mnist_vae_latent_dim --jobs 2"),
    "reproduce": Verb("reproduce", "measure published results again",
        "reproduce binarized_mnist_vae"),
    "recipes": Verb("recipes", "list the configurations that come with the package",
        "recipes fashion_mnist_vae --copy mine.yaml"),
    "wandb-workspace": Verb("wandb_workspace",
        "lay out the runs of a project in Weights & Biases",
        "wandb-workspace me/lightning_gen"),
}  # fmt: skip

HELP = """\
usage: lightning-gen VERB ...      (or: python -m lightning_gen VERB ...)

Experiments with generative image models on PyTorch Lightning.

verbs:
{verbs}

examples:
  lightning-gen fit --config quickstart
  lightning-gen fit --model vae --data mnist --trainer.max_epochs 5
  lightning-gen test logs/quickstart/version_0

lightning-gen VERB --help lists all options of a verb; lightning-gen --version tells the version.
A class of your own in a file beside you: VERB ... --allow my_file --model my_file.MyModel
(every verb takes --allow, for what a configuration or a checkpoint names and you trust;
without it nothing is imported from the working directory).
Set LIGHTNING_GEN_TRACEBACK=1 to see the traceback of an error.
"""


OWN_PROGRAMS = ("lightning-gen", "__main__")
"""Names of the program where it is this command, and nobody's script that calls :func:`main`."""


def main(arguments: list[str] | None = None) -> int:
    """Run a verb: the words after ``lightning-gen``, by default those of the process.

    Gives back the exit code: 0, 1 (failed), 2 (bad arguments), or 128 and the number of a signal.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in {"-h", "--help", "help"}:
        print(help_text(), end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"lightning-gen {version('lightning-gen')}")
        return 0
    verb = VERBS.get(words[0])
    if verb is None:
        hint = nearest(words[0], VERBS)
        print(f"lightning-gen: there is no verb {words[0]}{hint}", file=sys.stderr)
        return 2
    if text := help_of(words, *verb):
        print(text, end="")
        return 0
    if isinstance(sys.stdout, TextIOWrapper):  # names of files and classes may be of any kind
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        words, names = allowed.split(words)
        words = with_recipes(words)
    except UserError as error:
        print(f"lightning-gen {words[0]}: {error}", file=sys.stderr)
        return 2
    os.environ["MPLBACKEND"] = "agg"  # a notebook's is known to its kernel alone
    if Path(sys.argv[0]).stem in OWN_PROGRAMS:  # and not somebody's script, beside its modules
        os.environ["PYTHONSAFEPATH"] = "1"  # Python started here imports nothing from the folder
    try:
        with allowed.granted(names):
            module = "verbs" if verb.out else verb.module
            return int(loaded(f"lightning_gen.cli.{module}").run(words))
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:  # a training hears it itself, and saves
        print(f"lightning-gen {words[0]}: ended by Ctrl-C.", file=sys.stderr)
        return 130


def loaded(name: str) -> ModuleType:
    """A module, imported without looking for garbage.

    Importing torch and Lightning makes 800,000 objects that live as long as the process. The
    collector would go through them again and again meanwhile, 1.7 of 5.9 seconds, and once more at
    each of its full rounds after that, at the end of the process among them.
    """
    if name not in sys.modules and gc.isenabled():
        gc.disable()
        try:
            import_module(name)
            gc.freeze()
        finally:
            gc.enable()
    return import_module(name)


def help_text() -> str:
    """What ``lightning-gen --help`` prints."""
    verbs = "\n".join(f"  {name:<15} {verb.summary}" for name, verb in VERBS.items())
    return HELP.format(verbs=verbs)
