"""The tree against RFC 6962's own recursive definition, written out here a second time."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_of_custody.merkle import EMPTY_ROOT, Frontier, inclusion_path, is_included, tree_root


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1: MTH(D[n]) over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def some_leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(b"\x00%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("count", [*range(70), 127, 128, 129, 1000])
def test_the_root_is_that_of_the_rfcs_definition(count: int) -> None:
    assert tree_root(some_leaves(count)) == mth(some_leaves(count))


def test_the_known_root_of_the_empty_tree_and_of_one_empty_leaf() -> None:
    """Published in certificate-transparency's own test data: MTH({}) and the leaf hash of an empty entry."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert hashlib.sha256(b"\x00").hexdigest() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(st.integers(0, 200), st.integers(0, 60))
def test_a_frontier_made_again_from_its_hashes_goes_on_as_before(count: int, more: int) -> None:
    leaves = some_leaves(count + more)
    first = Frontier()
    for leaf in leaves[:count]:
        first.append(leaf)
    again = Frontier(first.size, first.hashes)
    for leaf in leaves[count:]:
        again.append(leaf)
    assert again.root() == mth(leaves)


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier(3, (b"x" * 32,))


@given(st.data(), st.integers(1, 80))
def test_an_audit_path_proves_its_leaf_and_no_other(data: st.DataObject, count: int) -> None:
    leaves = some_leaves(count)
    index = data.draw(st.integers(0, count - 1))
    path = inclusion_path(index, leaves)
    assert is_included(leaves[index], index, count, path, mth(leaves))
    assert not is_included(hashlib.sha256(b"other").digest(), index, count, path, mth(leaves))
    assert not is_included(leaves[index], index, count, (*path, b"x" * 32), mth(leaves))
    other = data.draw(st.integers(0, count - 1))
    assert other == index or not is_included(leaves[index], other, count, path, mth(leaves))
