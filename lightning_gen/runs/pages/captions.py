"""What the pictures of each callback show, and how to read them."""

from typing import NamedTuple


class Caption(NamedTuple):
    """The title of a picture, and how to read it."""

    title: str
    text: str


CAPTIONS = {
    "reconstructions": Caption(
        "Reconstructions",
        "Validation images over what the model gives back from their codes. What is lost from one "
        "row to the next is what the code does not hold.",
    ),
    "denoising": Caption(
        "Denoising",
        "Damaged images, what the model makes of them, and the clean images that it has not seen.",
    ),
    "samples": Caption(
        "Samples",
        "New images, of the same noise in each picture of this run. Does each look real, and do "
        "they differ from each other?",
    ),
    "conditional_samples": Caption(
        "Samples of each condition",
        "A row for each class or attribute that was asked for, with the same noise down a column.",
    ),
    "interpolation": Caption(
        "Interpolation",
        "A row goes from one image to another in even steps through the latent space. Images in "
        "between that look real and change gradually speak for a continuous space.",
    ),
    "latent_grid": Caption(
        "Latent grid",
        "Images decoded from a regular grid of codes. Blurred or broken places are often codes "
        "that no training image is near.",
    ),
    "latent_scatter": Caption(
        "Latent codes",
        "The code of each validation image as a point, coloured by class. Classes that lie apart "
        "can be told from the code; in the empty places between them decoding is likely to fail.",
    ),
    "latent_scatter_test": Caption(
        "Latent codes of the test split",
        "The code of each test image as a point, coloured by class: images that neither training "
        "nor the choice of the best checkpoint has seen.",
    ),
    "traversal": Caption(
        "Traversal",
        "In each row one latent dimension is changed from left to right, the others stay. A row "
        "that changes nothing is an unused dimension.",
    ),
    "arithmetic": Caption(
        "Latent arithmetic",
        "The mean code of the first class, less that of the second, plus that of the third: each "
        "decoded, then the sum, which should have what the formula says.",
    ),
    "collapse_monitor": Caption(
        "Use of the latent code",
        "The KL of each latent dimension, the largest first: how much it tells of an image. All "
        "bars grey is a posterior collapse.",
    ),
    "codebook_use": Caption(
        "Use of the codebook",
        "The share of each code among all positions, the most used first. A long tail at zero is "
        "codes that lie idle.",
    ),
    "loss_curves": Caption("Loss curves", "The losses and their parts against the training step."),
}
"""By the name of the folder; a page shows them in this order."""


def caption(kind: str) -> Caption:
    """The caption of a folder of pictures; its name in words where it is of an unknown callback."""
    return CAPTIONS.get(kind, Caption(kind.replace("_", " ").capitalize(), ""))
