"""``lightning-gen test RUN``: a run directory or a checkpoint in place of options."""

from pathlib import Path

from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import UserError
from lightning_gen.runs import RunDirectory

NO_RUN = (
    "a trained model is needed: pass its run directory, logs/<name>/version_<n>, or one of its "
    "checkpoints."
)


def expand_run(words: list[str]) -> list[str]:
    """``VERB RUN ...`` as ``VERB --config RUN/config.yaml --ckpt_path BEST ...``.

    The nodes that trained the run are not those of now: one, unless the words say otherwise.
    """
    verb, *rest = words
    if verb == "fit" or (rest and rest[0].startswith("-")):
        return words
    if not rest:
        raise BadArgumentsError(NO_RUN)
    place = Path(rest[0])
    try:
        directory = RunDirectory.of(place)
        checkpoint = place if place.suffix == ".ckpt" else directory.best
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    config = str(directory.path / "config.yaml")
    one = ["--trainer.num_nodes", "1"]
    return [verb, "--config", config, "--ckpt_path", str(checkpoint), *one, *rest[1:]]
