"""An Inception network of no training: the published weights are too large to be in a test."""

import pytest
import torch
from torch import nn


def untrained():
    """torch-fidelity's own module with random weights that keep the signal's scale."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, weights):
            assert not weights

    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        torch.manual_seed(0)
        network = Untrained("untrained", ["2048"])
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
    return network


def write_weights(path):
    """The file of such a network, 96 MB."""
    torch.save(untrained().state_dict(), path)
    return path
