"""What a NumPy archive holds."""

import numpy as np


def arrays_of(path):
    """The arrays of the .npz at `path` by name, the file closed again.

    `np.load` keeps the file open until its result is collected, which warns in whatever test runs
    at that moment.
    """
    with np.load(path) as file:
        return dict(file)
