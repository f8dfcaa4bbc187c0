"""One experiment with many values of its parameters, run as a study of Optuna."""
