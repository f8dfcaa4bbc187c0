"""Where the trials of a sweep are kept: a database that several machines may share."""

import json

import optuna
from optuna.storages import RDBStorage

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep.sweep_file import SweepFile

SECONDS_FOR_A_LOCK = 60
"""How long a process waits while others write into a study in SQLite."""


def open_study(url: str, name: str, sweep: SweepFile) -> optuna.Study:
    """The study of a name in a storage, new or as it was left."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    arguments = {"timeout": SECONDS_FOR_A_LOCK} if url.startswith("sqlite") else {}
    try:
        storage = RDBStorage(url, engine_kwargs={"connect_args": arguments})
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction="minimize" if sweep.minimize else "maximize",
            load_if_exists=True,
        )
    except Exception as error:  # SQLAlchemy's, the database driver's, the operating system's
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise UserError(
            f"storage: expected an SQLAlchemy URL such as sqlite:///sweeps.db or "
            f"postgresql://user@host/database, and {url} cannot be opened: {reason}."
        ) from error


def check_identity(study: optuna.Study, sweep: SweepFile, name: str, url: str) -> None:
    """Raise a UserError where the study was begun with another sweep file."""
    asked = json.loads(json.dumps(sweep.identity))
    kept = study.user_attrs.get("identity")
    if kept is None:
        study.set_user_attr("identity", asked)
        return
    for key in [*kept, *asked]:
        old, new = kept.get(key), asked.get(key)
        if old != new:
            raise UserError(
                f"the sweep {name} was begun with {key} {json.dumps(old)}, and {sweep.path} now "
                f"says {json.dumps(new)}. Pass another --name, or delete {url}."
            )
