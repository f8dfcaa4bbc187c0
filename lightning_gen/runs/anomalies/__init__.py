"""How unusual images are to a model that was trained on normal ones."""
