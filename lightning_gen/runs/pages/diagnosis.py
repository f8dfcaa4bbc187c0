"""What the numbers of a run say about its training, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning_gen.runs.pages.code_findings import codebook, collapse, diversity
from lightning_gen.runs.pages.finding import Finding
from lightning_gen.runs.pages.logged import Logged
from lightning_gen.runs.pages.loss_findings import finite, overfitting, progress

LOOKS = (finite, overfitting, progress, collapse, codebook, diversity)


def diagnose(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """All that the rows of a ``metrics.csv`` allow to say; what was not logged is not mentioned."""
    logged = Logged(rows)
    found = [finding for look in LOOKS if (finding := look(logged)) is not None]
    return sorted(found, key=lambda finding: finding.fine)
