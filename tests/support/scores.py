"""The scores of disentanglement, with few draws, and how metrics are shown images."""

from lightning_gen.metrics.disentanglement import (
    DCI,
    MIG,
    SAP,
    BetaVAEScore,
    FactorVAEScore,
    GaussianTotalCorrelation,
    Modularity,
)


def updated(metric, *tensors, batch_size=64):
    """The metric after these rows, in batches."""
    for batch in zip(*(tensor.split(batch_size) for tensor in tensors), strict=True):
        metric.update(*batch)
    return metric


def shown(metric, real, generated, batch_size=64):
    """The metric after these features, in batches."""
    for part in real.split(batch_size):
        metric.update(part, real=True)
    for part in generated.split(batch_size):
        metric.update(part, real=False)
    return metric


def metrics():
    return {
        "mig": MIG(),
        "dci": DCI(trees=2),
        "factor_vae": FactorVAEScore(train_votes=300, test_votes=200),
        "beta_vae": BetaVAEScore(num_train=300, num_test=200),
        "sap": SAP(),
        "modularity": Modularity(shuffles=5),
        "total_correlation": GaussianTotalCorrelation(),
    }
