import numpy as np
import pytest
from sklearn.decomposition import PCA

from lightning_gen.runs.probe import (
    LabelledSplit,
    Representation,
    accuracies,
    drawn,
    feature_sets,
    scaled,
)


def test_labels_are_drawn_from_all_classes_alike():
    classes = np.repeat([0, 1, 2], [50, 40, 4])
    for chosen in drawn(classes, 12, repeats=3, seed=0):
        assert len(set(chosen)) == 12
        np.testing.assert_array_equal(np.bincount(classes[chosen]), [4, 4, 4])
    rare = next(drawn(classes, 24, repeats=1, seed=0))
    np.testing.assert_array_equal(np.bincount(classes[rare]), [10, 10, 4])


def test_repeats_differ_and_a_seed_repeats_them():
    classes = np.arange(100) % 10
    a, b = drawn(classes, 20, repeats=2, seed=0)
    assert set(a) != set(b)
    again, _ = drawn(classes, 20, repeats=2, seed=0)
    np.testing.assert_array_equal(a, again)
    assert len(list(drawn(classes, 100, repeats=5, seed=0))) == 1


def test_scaling_keeps_inactive_dimensions_inactive():
    train = np.random.default_rng(0).normal(size=(200, 3)) * [2, 1, 1e-3]
    features = scaled("codes", train, train[:5])
    assert np.square(features.train).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(
        features.train.std(axis=0)[2] / features.train.std(axis=0)[0], 5e-4, rtol=0.2
    )


def test_pca_has_the_dimension_of_the_codes_and_is_left_out_of_wide_ones():
    pixels = np.random.default_rng(0).normal(size=(30, 8))
    parts = [LabelledSplit(pixels[:, :3], pixels, np.zeros(30, int))] * 2
    *_, pca = feature_sets(*parts)
    assert (pca.name, pca.train.shape) == ("PCA", (30, 3))
    expected = PCA(3).fit_transform(pixels)
    ratio = np.abs(pca.train / expected)
    np.testing.assert_allclose(ratio, ratio[0, 0])
    wide = [LabelledSplit(pixels, pixels, np.zeros(30, int))] * 2
    assert [features.name for features in feature_sets(*wide)] == ["codes", "pixels"]


def test_separable_classes_are_found_and_noise_is_not():
    random = np.random.default_rng(0)
    classes = np.arange(400) % 4
    codes = np.eye(4)[classes] + 0.05 * random.normal(size=(400, 4))
    for values, low, high in ((codes, 0.99, 1), (random.normal(size=(400, 4)), 0.15, 0.4)):
        features = Representation("codes", values[:200], values[200:])
        for found in accuracies(features, classes[:200], classes[200:], 40, repeats=3, seed=0):
            assert low <= found.mean <= high
            assert (found.labels, found.repeats) == (40, 3)
