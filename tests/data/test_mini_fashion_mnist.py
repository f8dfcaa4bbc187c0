"""The dataset that the package ships."""

import torch

from lightning_gen.data import FashionMNIST, MiniFashionMNIST


def first_of_each_class(source, count):
    """In the order of the source."""
    chosen = [torch.nonzero(source.labels == label)[:count, 0] for label in range(10)]
    return source.subset(torch.cat(chosen).sort().values)


def test_shapes_and_classes():
    data = MiniFashionMNIST()
    assert data.image_shape == (1, 28, 28)
    assert data.class_names == FashionMNIST.class_names
    assert data.num_classes == 10
    for source, count in ((data.load_train(), 10_000), (data.load_test(), 2_000)):
        assert source.images.shape == (count, 1, 28, 28)
        assert source.images.dtype == torch.uint8
        assert source.labels.bincount().tolist() == [count // 10] * 10
        assert source.factors.shape == (count, 0)


def test_it_needs_neither_folder_nor_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = MiniFashionMNIST(batch_size=500)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    counts = [
        sum(len(batch.labels) for batch in loader)
        for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    ]
    assert counts == [9_000, 1_000, 2_000]
    assert not any(tmp_path.iterdir())


def test_it_is_the_first_of_each_class_of_the_whole(shared_data):
    whole = FashionMNIST(root=str(shared_data), download=False)
    mini = MiniFashionMNIST()
    for source, mine, count in (
        (whole.load_train(), mini.load_train(), 1000),
        (whole.load_test(), mini.load_test(), 200),
    ):
        expected = first_of_each_class(source, count)
        assert torch.equal(mine.images, expected.images)
        assert torch.equal(mine.labels, expected.labels)
