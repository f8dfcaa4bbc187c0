"""What BatchLoader promises: order from (seed, epoch), shards of ranks, going on at any batch."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lightning_gen.data.loader import BatchLoader, Split, images_of_an_epoch
from support.ordered import Decoding, Numbered
from support.refusals import assert_refused


def loader_of(count=50, batch_size=8, seed=0, source=None, indices=None, **arguments):
    source = Numbered(count).load("train") if source is None else source
    indices = torch.arange(len(source)) if indices is None else indices
    return BatchLoader(Split(source, indices), batch_size, seed, **arguments)


def epoch_of(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return [batch.labels.tolist() for batch in loader]


def flat(batches):
    return [label for batch in batches for label in batch]


counts, batch_sizes, worlds = st.integers(1, 60), st.integers(1, 20), st.integers(1, 5)


def test_order_depends_on_seed_and_epoch_alone():
    orders = {}
    for seed in (0, 1):
        for epoch in (0, 1, 7):
            torch.manual_seed(seed + epoch)  # the global random state plays no part
            orders[seed, epoch] = epoch_of(loader_of(seed=seed), epoch)
    assert len({str(order) for order in orders.values()}) == 6
    one = loader_of()
    for epoch in (7, 0, 1, 0):
        torch.rand(3)
        assert epoch_of(one, epoch) == orders[0, epoch]


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    epoch_of(loader_of())
    epoch_of(loader_of(source=Decoding(Numbered(20).load("train")), num_workers=1))
    assert torch.equal(torch.get_rng_state(), state)


def test_only_the_split_is_seen_and_evaluation_keeps_its_order():
    indices = torch.tensor([3, 17, 4, 40, 11])
    assert sorted(flat(epoch_of(loader_of(indices=indices)))) == [3, 4, 11, 17, 40]
    loader = loader_of(indices=indices, batch_size=2, seed=None)
    assert flat(epoch_of(loader)) == flat(epoch_of(loader, 3)) == indices.tolist()


@given(
    count=counts, batch_size=batch_sizes, world=worlds, epoch=counts, seed=st.integers(0, 2**63 - 1)
)
@example(count=2, batch_size=4, world=3, epoch=0, seed=0)
@example(count=60, batch_size=7, world=1, epoch=1, seed=2**63 - 1)
def test_training_shards_are_disjoint_and_equal(count, batch_size, world, epoch, seed):
    loaders = [loader_of(count, batch_size, seed, shard=(r, world)) for r in range(world)]
    batches = [epoch_of(loader, epoch) for loader in loaders]
    shards = [flat(b) for b in batches]
    seen = flat(shards)
    assert {*seen} <= {*range(count)}
    assert all(len(batch) == batch_size for b in batches for batch in b[:-1])
    assert len(seen) == len(set(seen)) == images_of_an_epoch(count, batch_size, world)
    assert {len(shard) for shard in shards} == {len(seen) // world}
    alone = batch_size > 1 and count // world > 1 and [1] in [[len(b)] for b in flat(batches)]
    assert not alone
    assert len(seen) >= count - count % world - world
    assert {len(loader) for loader in loaders} == {len(batches[0])}


def test_what_is_left_out_differs_between_epochs():
    left_out = set()
    for epoch in range(20):
        shards = [flat(epoch_of(loader_of(11, 4, shard=(r, 2)), epoch)) for r in range(2)]
        left_out |= {*range(11)} - {*flat(shards)}
    assert len(left_out) > 5


@given(batch_size=st.integers(1, 8), batches=st.integers(1, 5), world=worlds)
def test_ranks_together_see_the_batches_of_one_process(batch_size, batches, world):
    count = batch_size * world * batches
    single = epoch_of(loader_of(count, batch_size * world), 2)
    ranks = [epoch_of(loader_of(count, batch_size, shard=(r, world)), 2) for r in range(world)]
    together = [sorted(flat(parts)) for parts in zip(*ranks, strict=True)]
    assert together == [sorted(batch) for batch in single]


@given(count=counts, batch_size=batch_sizes, world=worlds)
@example(count=2, batch_size=4, world=3)  # a rank without an image has no batch, not an empty one
def test_evaluation_shards_lose_nothing(count, batch_size, world):
    loaders = [loader_of(count, batch_size, None, shard=(r, world)) for r in range(world)]
    batches = [epoch_of(loader) for loader in loaders]
    shards = [flat(b) for b in batches]
    assert sorted(flat(shards)) == [*range(count)]
    sizes = {len(shard) for shard in shards}
    assert max(sizes) - min(sizes) <= 1
    assert [len(loader) for loader in loaders] == [len(b) for b in batches]


@given(counts, batch_sizes, st.integers(1, 3), st.integers(0, 9), st.data())
def test_state_goes_on_at_any_batch(count, batch_size, world, epoch, data):
    arguments = {"shard": (world - 1, world)}
    whole = epoch_of(loader_of(count, batch_size, **arguments), epoch)
    following = epoch_of(loader_of(count, batch_size, **arguments), epoch + 1)
    stop = data.draw(st.integers(0, len(whole)))
    stopped = loader_of(count, batch_size, **arguments)
    stopped.sampler.set_epoch(epoch)
    iterator = iter(stopped)
    for _ in range(stop):
        next(iterator)
    state = stopped.state_dict()
    sizes = {"batches": len(whole), "batch_size": batch_size, "processes": world}
    assert state == {"epoch": epoch, "batch": stop, **sizes}
    resumed = loader_of(count, batch_size, **arguments)
    resumed.load_state_dict(state)
    if stop < len(whole):
        assert epoch_of(resumed, epoch) == whole[stop:]
    assert epoch_of(resumed, epoch + 1) == following


def test_a_left_iteration_starts_again():
    loader = loader_of()
    next(iter(loader))
    assert epoch_of(loader) == epoch_of(loader_of())


def test_workers_give_the_same_batches():
    source = Numbered(50).load("train")
    expected = epoch_of(loader_of(source=source), 2)
    loader, resumed = (loader_of(source=Decoding(source), num_workers=2) for _ in range(2))
    assert epoch_of(loader, 2) == expected
    loader.sampler.set_epoch(2)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    # Workers have fetched further; what counts is what was handed out.
    resumed.load_state_dict(loader.state_dict())
    assert epoch_of(resumed, 2) == expected[3:]


@pytest.mark.parametrize("sizes", [(4, (0, 1)), (8, (0, 2))])
def test_other_sizes_go_on_from_the_end_of_an_epoch_alone(sizes):
    batch_size, shard = sizes
    stopped = loader_of(64, 8)
    stopped.sampler.set_epoch(3)
    iterator = iter(stopped)
    next(iterator)
    other = loader_of(64, batch_size, shard=shard)
    other.load_state_dict(stopped.state_dict())
    other.sampler.set_epoch(3)
    assert_refused(r"at batch 1 of 8, of 8 images on each of 1 ", next, iter(other))
    for _ in iterator:
        pass
    other.load_state_dict(stopped.state_dict())
    assert epoch_of(other, 4) == epoch_of(loader_of(64, batch_size, shard=shard), 4)


def test_a_last_batch_of_one_image_is_left_out():
    assert [len(batch) for batch in epoch_of(loader_of(17, 8))] == [8, 8]
    assert [len(batch) for batch in epoch_of(loader_of(17, 8, seed=None))] == [8, 8, 1]
    assert [len(batch) for batch in epoch_of(loader_of(1, 8))] == [1]
    assert [len(batch) for batch in epoch_of(loader_of(3, 1))] == [1, 1, 1]
