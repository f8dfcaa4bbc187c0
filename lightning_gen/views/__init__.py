"""What a model shows: a model and codes in, images with their labels out."""
