"""Where the loggers of a configuration write."""

from jsonargparse import Namespace

from lightning_gen.training.directory import RunDirectory


def point_logger(logger: Namespace, directory: RunDirectory) -> None:
    """Let a logger write into the run's directory unless its YAML names another place.

    The path is absolute: the process that W&B starts may stand in another folder.
    """
    arguments = logger.init_args
    if "save_dir" in arguments and arguments.save_dir in (None, "."):
        arguments.save_dir = str(directory.path.resolve())
    if logger.class_path.endswith("TensorBoardLogger"):
        arguments.default_hp_metric = False  # it would be -1, of no quantity
