"""What models share that are told the class of each image, or some of its attributes."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from lightning_gen.contracts import Codes, Images
from lightning_gen.errors import UserError
from lightning_gen.models.module import SamplesPrior
from lightning_gen.networks.condition import Condition, TrainingConditions


class SamplesConditions(SamplesPrior):
    """Draws images of a class, or with attributes: from codes [z, y], of which y is the condition.

    It is y as the networks see it, so that ``decode`` needs nothing else.
    """

    condition: Condition
    conditions: TrainingConditions

    def _condition_on(self, condition: Condition) -> None:
        """Set what is known of an image, when the networks are made."""
        self.condition = condition
        labels = torch.stack([*condition.examples().values()])
        self.conditions = TrainingConditions(condition.vectors(labels))

    def examples(self) -> dict[str, Tensor]:
        """The label of each class; or of no attribute, then of each alone."""
        return self.condition.examples()

    def sample_codes(
        self, n: int, labels: Shaped[Tensor, "n ..."] | None = None, *, temperature: float = 1.0
    ) -> Codes:
        """``n`` codes [z, y]: draws of the prior, and conditions.

        ``labels`` are the condition of each: class numbers [N], or attributes in [0, 1] [N, K];
        None draws from those of the latest training images.
        """
        if labels is not None and len(labels) != n:
            raise UserError(f"labels has one row an image, expected {n}, got {len(labels)}.")
        latents = super().sample_codes(n, temperature=temperature)
        asked = None if labels is None else self.condition.vectors(labels)
        vectors = self.conditions.draw(n, self.device) if asked is None else asked
        return torch.cat([latents, vectors.to(latents)], dim=1)

    def sample(
        self, n: int, labels: Shaped[Tensor, "n ..."] | None = None, *, temperature: float = 1.0
    ) -> Images:
        """``n`` images decoded from :meth:`sample_codes`."""
        return self.decode(self.sample_codes(n, labels, temperature=temperature))
