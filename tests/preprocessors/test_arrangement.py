"""Stations find their slots by where they stand: near ones together, in whatever order they were sent."""

import numpy as np
import pytest

from preprocessors.histories.arrangement import ABSENT, Tree, arranged, on_globe

RNG = np.random.default_rng(0)


def anywhere(count: int, seed: int = 0) -> tuple[list[float], list[float], list[str]]:
    rng = np.random.default_rng(seed)
    latitude, longitude = rng.uniform(-90, 90, count).tolist(), rng.uniform(-180, 180, count).tolist()
    return latitude, longitude, [f"s{i}" for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 11, 12, 13, 24, 25, 60, 200])
def test_every_station_has_one_slot_and_no_tree_is_larger_than_its_branches(count: int) -> None:
    tree = Tree(3, (2, 4))
    trees = arranged(tree, *anywhere(count))
    placed = np.concatenate(trees)
    assert sorted(placed[placed != ABSENT]) == list(range(count))
    assert len(trees) == -(-count // tree.capacity)
    for slots in trees:
        assert len(slots) % (tree.capacity // tree.branches[0]) == 0  # whole branches of the root, no empty one
        assert len(slots) <= tree.capacity
        assert (slots.reshape(-1, tree.capacity // tree.branches[0]) != ABSENT).any(axis=1).all()


def test_absent_slots_are_the_last_of_their_branch() -> None:
    for slots in arranged(Tree(4, (3, 3)), *anywhere(30)):
        for node in slots.reshape(-1, 4):
            empty = node == ABSENT
            assert not (empty[:-1] & ~empty[1:]).any()


def test_the_order_sent_does_not_matter() -> None:
    latitude, longitude, names = anywhere(50)
    latitude[7], longitude[7] = latitude[8], longitude[8]  # two at one place
    order = RNG.permutation(50)
    (plain,) = arranged(Tree(4, (4, 4)), latitude, longitude, names)
    shuffled = ([values[i] for i in order] for values in (latitude, longitude, names))
    (other,) = arranged(Tree(4, (4, 4)), *shuffled)
    assert [names[i] for i in plain if i != ABSENT] == [names[order[i]] for i in other if i != ABSENT]


def test_nodes_hold_neighbours() -> None:
    latitude, longitude, names = anywhere(196)
    places = on_globe(np.array(latitude), np.array(longitude))
    (slots,) = arranged(Tree(4, (7, 7)), latitude, longitude, names)

    def spread(groups: np.ndarray) -> float:
        return float(np.mean([np.ptp(places[group], axis=0).max() for group in groups]))

    assert spread(slots.reshape(49, 4)) < 0.3 * spread(RNG.permutation(196).reshape(49, 4))
    assert spread(slots.reshape(7, 28)) < 0.7 * spread(RNG.permutation(196).reshape(7, 28))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [((0, 0, 0, 0), (-179.9, 179.9, 0.1, -0.1)), ((89, 89, 60, 60), (0, 170, 0, 10))],
    ids=["date line", "pole"],
)
def test_neither_the_date_line_nor_a_pole_parts_neighbours(
    latitude: tuple[float, ...], longitude: tuple[float, ...]
) -> None:
    (slots,) = arranged(Tree(2, (2,)), latitude, longitude, list("abcd"))
    assert {frozenset(node) for node in slots.reshape(-1, 2).tolist()} == {frozenset((0, 1)), frozenset((2, 3))}


@pytest.mark.parametrize(("node", "branches"), [(0, (2,)), (2, ()), (2, (3, 0))])
def test_a_tree_without_room_is_refused(node: int, branches: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="holds no station"):
        Tree(node, branches)
