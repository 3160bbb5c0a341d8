"""The tree is that of RFC 9162, as certificate transparency has it, and grows as it should."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign_events.tree import leaf_hash
from services.audit.domain.merkle import (
    EMPTY,
    Frontier,
    complete_nodes,
    consistency_path,
    folded,
    inclusion_path,
    kept_with,
    nodes_of,
)
from services.audit.domain.proofs import hashes
from tests.audit import independent

# The leaves and roots with which implementations of certificate transparency test themselves
# (RFC 6962, of which RFC 9162 has the same tree).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

PATHS = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]
"""Audit paths of the same test: the leaf's number from 1, the size of the tree, the path."""


class Tree:
    """A tree that keeps every node, as the ledger does."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.roots = [Frontier().root]
        self.nodes = {}
        frontier = Frontier()
        for index, leaf in enumerate(leaves):
            frontier, nodes = frontier.append(leaf_hash(leaf))
            self.roots.append(frontier.root)
            for level, node in enumerate(nodes):
                self.nodes[level, index >> level] = node


def test_the_roots_are_those_of_certificate_transparency() -> None:
    assert [root.hex() for root in Tree(LEAVES).roots[1:]] == ROOTS


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert Frontier().root == EMPTY == sha256(b"").digest()


@pytest.mark.parametrize(("number", "size", "path"), PATHS)
def test_audit_paths_are_those_of_certificate_transparency(
    number: int, size: int, path: list[str]
) -> None:
    wanted = inclusion_path(number - 1, size)

    assert [found.hex() for found in hashes(wanted, Tree(LEAVES).nodes)] == path


@given(leaves=st.lists(st.binary(max_size=4), min_size=1, max_size=70), data=st.data())
def test_every_leaf_can_be_shown_to_be_in_every_tree_that_has_it(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(leaves)
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size)

    proof = hashes(path, {node: tree.nodes[node] for node in nodes_of(path)})

    leaf = leaves[index]
    assert independent.is_included(leaf, index, size, list(proof), tree.roots[size])
    assert not independent.is_included(leaf + b"x", index, size, list(proof), tree.roots[size])


@given(leaves=st.lists(st.binary(max_size=4), min_size=1, max_size=70), data=st.data())
def test_every_tree_can_be_shown_to_begin_with_every_smaller_one(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(leaves)
    second = data.draw(st.integers(1, len(leaves)))
    first = data.draw(st.integers(1, second))
    path = consistency_path(first, second)

    proof = list(hashes(path, {node: tree.nodes[node] for node in nodes_of(path)}))

    roots = tree.roots[first], tree.roots[second]
    assert independent.is_consistent(first, second, proof, *roots)
    assert not independent.is_consistent(first, second, proof, leaf_hash(b"longer"), roots[1])


@given(leaves=st.lists(st.binary(max_size=4), max_size=70))
def test_a_tree_is_known_by_its_complete_subtrees(leaves: list[bytes]) -> None:
    tree, size = Tree(leaves), len(leaves)
    nodes = list(complete_nodes((0, size)))

    assert folded([tree.nodes[node] for node in nodes]) == tree.roots[size]
    assert all(kept_with(node) <= size for node in nodes)
    assert len(nodes) == size.bit_count()


def test_to_add_a_leaf_takes_no_more_than_the_height_of_the_tree() -> None:
    """However many there are: what is worked out anew is what the leaf completes."""
    frontier = Frontier(2**40 - 1, tuple(leaf_hash(bytes([n])) for n in range(40)))

    grown, nodes = frontier.append(leaf_hash(b""))

    assert (grown.size, len(grown.peaks), len(nodes)) == (2**40, 1, 41)
