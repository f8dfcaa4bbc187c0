"""How to draw: tensors and tables in, pixels or a matplotlib Figure out."""
