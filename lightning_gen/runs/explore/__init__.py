"""A page in the browser on the codes of a trained model."""
