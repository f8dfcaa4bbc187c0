import numpy as np


def arrays_of(path):
    """The arrays of a .npz by name; `np.load` alone leaves it open, which warns at some time."""
    with np.load(path) as file:
        return dict(file)
