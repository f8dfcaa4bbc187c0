"""What the numbers are that a VAE logs."""

from lightning_gen.quantities import NATS, Quantities, Quantity

KNOWN = Quantities(
    loss=Quantity(NATS, "lower", "loss", shown=True),
    reconstruction=Quantity(NATS, "lower", "likelihood", weight=1.0),
    kl=Quantity(NATS, weight=1.0),
    bits_per_dimension=Quantity("bits per dimension", "lower", "likelihood"),
)
