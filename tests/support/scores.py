"""The scores of disentanglement, with few draws."""

from lightning_gen.metrics.disentanglement import (
    DCI,
    MIG,
    SAP,
    BetaVAEScore,
    FactorVAEScore,
    GaussianTotalCorrelation,
    Modularity,
)


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
