"""Where images are held, and who says so. No GPU is needed: "cuda" is only a name here."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch

from lightning_gen.data import DSprites, MiniFashionMNIST
from lightning_gen.data.shapes import DrawnShapes
from lightning_gen.data.trainer import placed
from support.datasets import dsprites_arrays, write_dsprites
from support.refusals import assert_refused

CPU, CUDA, META = (torch.device(name) for name in ("cpu", "cuda", "meta"))
TAKEN = 8_000_000


@dataclass(frozen=True)
class Images:
    """A source of TAKEN bytes that can be anywhere."""

    device: torch.device = CPU
    num_bytes: int = TAKEN

    def __len__(self):
        return 1

    def __getitem__(self, indices):
        raise NotImplementedError

    def to(self, device):
        return replace(self, device=device)


@pytest.fixture
def free(monkeypatch):
    ask = "mem_get_info"
    return lambda number: monkeypatch.setattr(torch.cuda, ask, lambda _: (int(number), 10**12))


@pytest.mark.parametrize(
    ("images_on", "accelerator", "free_copies", "expected"),
    [
        ("auto", CUDA, 2.1, CUDA),
        ("auto", CUDA, 1.9, CPU),
        ("auto", CPU, 100, CPU),
        ("auto", META, 100, CPU),
        ("cpu", CUDA, 100, CPU),
        ("accelerator", CUDA, 1.1, CUDA),
        ("accelerator", META, 0, META),
        ("accelerator", CPU, 0, CPU),
    ],
)
def test_where_images_are_held(images_on, accelerator, free_copies, expected, free):
    free(free_copies * TAKEN)
    assert placed(Images(), accelerator, images_on, "train").device == expected


@pytest.mark.parametrize(("copies", "where"), [(10, "cuda"), (1.5, "the processor's side")])
def test_a_line_says_where_and_why(free, caplog, copies, where):
    free(copies * TAKEN)
    placed(Images(), CUDA, "auto", "val")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"The val images are held on {where}: they take 8 MB, and {8 * copies:.0f} MB are free on "
        "cuda."
    )


def test_images_that_do_not_fit_are_refused_with_both_numbers(free):
    free(0.5 * TAKEN)
    match = r"take 8 MB, and 4 MB are free on cuda\. Set"
    assert_refused(match, placed, Images(), CUDA, "accelerator", "train")


def test_images_that_are_made_as_they_are_asked_for_stay():
    drawn = DrawnShapes()
    assert placed(drawn, CUDA, "auto", "train") is drawn
    assert placed(drawn, CPU, "accelerator", "train") is drawn
    match = r"data\.images_on is accelerator, expected a test split"
    assert_refused(match, placed, drawn, CUDA, "accelerator", "test")


def on(data, accelerator):
    strategy = SimpleNamespace(root_device=accelerator, broadcast=lambda seed: seed)
    shard = {"global_rank": 0, "world_size": 1}
    data.trainer = SimpleNamespace(**shard, strategy=strategy, lightning_module=None)
    data.setup("fit")
    return data


def test_images_are_moved_once_and_all_their_splits_with_them():
    data = on(MiniFashionMNIST(images_on="accelerator"), META)
    loaders = [data.train_dataloader(), data.val_dataloader(), data.in_order("train")]
    assert {loader.dataset.source.device for loader in loaders} == {META}
    assert len({id(loader.dataset.source) for loader in loaders}) == 1
    assert len(next(iter(loaders[0])).images) == 128
    data.trainer = None
    assert on(MiniFashionMNIST(), META).train_dataloader().dataset.source.device == CPU


def test_images_follow_the_trainer(free, monkeypatch):
    free(10**12)
    asked = []
    monkeypatch.setattr("lightning_gen.data.base.placed", lambda *a: asked.append(a) or a[0])
    data = on(MiniFashionMNIST(images_on="cpu"), CUDA)
    for _ in range(3):
        data.train_dataloader()
        data.val_dataloader()
    data.trainer = None
    data.train_dataloader()
    assert [(accelerator, wish, name) for _, accelerator, wish, name in asked] == [
        (CUDA, "cpu", "train"),
        (CPU, "cpu", "train"),
    ]


@pytest.mark.parametrize(
    ("accelerator", "images_on", "pinned"),
    [(CUDA, "cpu", True), (CPU, "auto", False), (META, "accelerator", False)],
)
def test_batches_that_go_to_a_gpu_are_pinned(accelerator, images_on, pinned):
    data = on(MiniFashionMNIST(images_on=images_on, val_fraction=0.0), accelerator)
    assert data.in_order("train", 10).pin_memory == pinned


def test_a_part_of_a_source_follows_it(tmp_path):
    write_dsprites(tmp_path, dsprites_arrays(60, metadata=None))
    data = DSprites(str(tmp_path), download=False, images_on="accelerator")
    assert data.hparams["images_on"] == "accelerator"
    loader = on(data, META).train_dataloader()
    assert loader.dataset.source.bits.device == META
    assert next(iter(loader)).images.device == META
