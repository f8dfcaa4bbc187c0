"""The scores of disentanglement, with few draws, and how metrics are shown images."""

from lightning_gen.metrics import disentanglement as d


def updated(metric, *tensors, batch_size=64):
    """The metric after these rows, in batches."""
    for batch in zip(*(tensor.split(batch_size) for tensor in tensors), strict=True):
        metric.update(*batch)
    return metric


def shown(metric, real, generated, batch_size=64):
    """The metric after these features, in batches."""
    for features, is_real in ((real, True), (generated, False)):
        for part in features.split(batch_size):
            metric.update(part, real=is_real)
    return metric


def metrics():
    return {
        "mig": d.MIG(),
        "dci": d.DCI(trees=2),
        "factor_vae": d.FactorVAEScore(train_votes=300, test_votes=200),
        "beta_vae": d.BetaVAEScore(num_train=300, num_test=200),
        "sap": d.SAP(),
        "modularity": d.Modularity(shuffles=5),
        "total_correlation": d.GaussianTotalCorrelation(),
    }
