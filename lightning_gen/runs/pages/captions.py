"""What the pictures of each callback show, and how to read them."""

from typing import NamedTuple


class Caption(NamedTuple):
    """The words beside a picture.

    Attributes:
        title: what it is.
        text: how to read it.
    """

    title: str
    text: str


CAPTIONS = {
    "reconstructions": Caption(
        "Reconstructions",
        "Images of the validation split over what the model gives back from their codes. What is "
        "lost from one row to the next is what the code does not hold.",
    ),
    "denoising": Caption(
        "Denoising",
        "Damaged images, what the model makes of them, and the clean images that it has not seen. "
        "The middle row should look like the lower one.",
    ),
    "samples": Caption(
        "Samples",
        "New images, of the same noise in each picture of this run. Look for two things: does each "
        "look real, and do they differ from each other?",
    ),
    "conditional_samples": Caption(
        "Samples of each condition",
        "A row for each class or attribute that was asked for, with the same noise down each "
        "column. Rows should show what they are named; columns share what the condition leaves "
        "open, such as style.",
    ),
    "interpolation": Caption(
        "Interpolation",
        "Each row goes from one image to another in even steps through the latent space. Where "
        "the images in between look real too, and change gradually, the latent space is "
        "continuous.",
    ),
    "latent_grid": Caption(
        "Latent grid",
        "Images decoded from a regular grid of codes. Neighbours should be alike and change "
        "gradually; blurred or broken places are often codes that no training image is near.",
    ),
    "latent_scatter": Caption(
        "Latent codes",
        "The code of each image as a point, coloured by class, of the validation split. Classes "
        "that lie apart can be told from the code; empty places between them are where decoding "
        "is likely to fail.",
    ),
    "latent_scatter_test": Caption(
        "Latent codes of the test split",
        "The code of each test image as a point, coloured by class: images that neither training "
        "nor the choice of the best checkpoint has seen.",
    ),
    "traversal": Caption(
        "Traversal",
        "A row for each latent dimension: it alone is changed from left to right, the others stay. "
        "A row that changes one thing is a disentangled dimension; a row that changes nothing is "
        "an unused one.",
    ),
    "arithmetic": Caption(
        "Latent arithmetic",
        "The mean code of the first class, less that of the second, plus that of the third: each "
        "of the terms decoded, then the sum. The sum should have what the formula says.",
    ),
    "collapse_monitor": Caption(
        "Use of the latent code",
        "The KL of each latent dimension, the largest first: how much it tells of an image. Grey "
        "bars are dimensions that carry nothing; all of them grey is a posterior collapse.",
    ),
    "codebook_use": Caption(
        "Use of the codebook",
        "The share of each code among all positions, the most used first. A flat curve is an even "
        "use; a long tail at zero is codes that lie idle.",
    ),
    "loss_curves": Caption(
        "Loss curves",
        "The losses and their parts against the training step. Validation that rises while "
        "training falls is overfitting.",
    ),
}
"""By the name of the folder; a page shows them in this order."""


def caption(kind: str) -> Caption:
    """The caption of a folder of pictures; its name in words where it is of an unknown callback."""
    return CAPTIONS.get(kind, Caption(kind.replace("_", " ").capitalize(), ""))


def place(kind: str) -> tuple[int, str]:
    """Where pictures of this kind stand on a page, as a key to sort by."""
    known = list(CAPTIONS)
    return (known.index(kind) if kind in known else len(known), kind)
