"""A package, since torch-fidelity installs one of the same name, which would hide it."""
