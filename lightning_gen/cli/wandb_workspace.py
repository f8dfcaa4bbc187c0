"""The verb ``wandb-workspace``."""

from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.own_parsers import workspace_parser
from lightning_gen.errors import bad_arguments
from lightning_gen.runs.wandb_workspace import save_workspace


def run(words: list[str]) -> int:
    """Save the workspace of a project, and say where it is; the exit code."""
    return outcome(words[0], lambda: show_workspace(words[1:]))


def show_workspace(words: list[str]) -> None:
    """Save the workspace of a project, and say where it is."""
    with bad_arguments():
        place = workspace_parser().parse_args(words).project
    print(f"Workspace   {save_workspace(place)}")
