"""Merkle trees of RFC 9162 (Certificate Transparency 2.0): the root, and proofs of inclusion and consistency.

Leaves are bytes. SHA-256(0x00 || leaf) is the hash of a leaf, SHA-256(0x01 || left || right) that of a node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf: SHA-256(0x00 || leaf).

    Returns:
        32 bytes.
    """
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node: SHA-256(0x01 || left || right).

    Args:
        left: hash of the left child, 32 bytes.
        right: hash of the right child, 32 bytes.

    Returns:
        32 bytes.
    """
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """Root of a growing tree, in memory that grows with the logarithm of its size."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # of the complete subtrees, the largest first
        for item in hashes:
            self.add(item)

    def add(self, hash: bytes) -> None:
        """Append a leaf to the tree.

        Args:
            hash: of the leaf (`leaf_hash`).
        """
        size = self.size
        while size & 1:  # a complete subtree of the same size is to the left
            hash = node_hash(self._peaks.pop(), hash)
            size >>= 1
        self._peaks.append(hash)
        self.size += 1

    def root(self) -> bytes:
        """Compute the root hash of the tree (RFC 9162, section 2.1.1).

        Returns:
            32 bytes; for an empty tree the SHA-256 of no bytes.
        """
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        # join the peaks from the smallest subtree to the largest
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root(hashes: Iterable[bytes]) -> bytes:
    """Compute the root hash over hashes of leaves (RFC 9162, section 2.1.1).

    Args:
        hashes: of the leaves (`leaf_hash`), in order.

    Returns:
        32 bytes; for an empty tree the SHA-256 of no bytes.
    """
    return Frontier(hashes).root()


def _split(size: int) -> int:
    """Compute the largest power of two below `size` (k of RFC 9162, section 2.1.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Build the proof that leaf `index` is in the tree over `hashes` (RFC 9162, section 2.1.3.1).

    Args:
        index: of the leaf, from 0.
        hashes: hashes of all leaves.

    Returns:
        hashes of the siblings, from the leaf up
    """
    if len(hashes) <= 1:
        return []
    k = _split(len(hashes))
    # the path inside the half that holds the leaf, then the root of the other half
    if index < k:
        return [*inclusion(index, hashes[:k]), root(hashes[k:])]
    return [*inclusion(index - k, hashes[k:]), root(hashes[:k])]


def includes(leaf: bytes, index: int, *, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Verify a proof of inclusion (RFC 9162, section 2.1.3.2).

    Args:
        leaf: hash of the leaf.
        index: of the leaf, from 0.
        size: number of leaves.
        proof: what `inclusion` returned.
        root: the root hash.

    Returns:
        whether the leaf is at this place of that tree
    """
    if not 0 <= index < size:
        return False
    # fn, sn and r of the RFC: position of the node and of the last node in its row, and the hash so far
    at, last, hash = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            hash = node_hash(step, hash)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hash = node_hash(hash, step)
        at, last = at >> 1, last >> 1
    return last == 0 and hash == root


def consistency(first: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Build the proof that the tree over `hashes` begins with its first `first` leaves (RFC 9162, section
    2.1.4.1).

    Args:
        first: number of leaves of the earlier tree.
        hashes: hashes of all leaves of the later tree.

    Returns:
        the proof; [] where the earlier tree is empty or the same
    """

    def proof(m: int, part: Sequence[bytes], complete: bool) -> list[bytes]:
        if m == len(part):
            return [] if complete else [root(part)]
        k = _split(len(part))
        # SUBPROOF: inside the half that holds the boundary, then the root of the other half
        if m <= k:
            return [*proof(m, part[:k], complete), root(part[k:])]
        return [*proof(m - k, part[k:], False), root(part[:k])]

    return proof(first, hashes, True) if 0 < first < len(hashes) else []


def consistent(first: int, second: int, *, old: bytes, new: bytes, proof: Sequence[bytes]) -> bool:
    """Verify a proof of consistency between two roots (RFC 9162, section 2.1.4.2).

    Args:
        first: number of leaves of the earlier tree.
        second: number of leaves of the later tree.
        old: root hash of the earlier tree.
        new: root hash of the later tree.
        proof: what `consistency` returned.

    Returns:
        whether the later tree begins with the earlier one
    """
    if first == second:
        return not proof and old == new
    if not 0 < first < second or not proof:
        return first == 0 and not proof
    # an earlier tree of 2^n leaves is a subtree of the later one: its root starts the path
    path = list(proof) if first & (first - 1) else [old, *proof]
    at, last = first - 1, second - 1
    # fn and sn of the RFC: climb to the first node that both trees do not share
    while at & 1:
        at, last = at >> 1, last >> 1
    # fr and sr of the RFC: roots rebuilt for the earlier and the later tree
    earlier = later = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            earlier, later = node_hash(step, earlier), node_hash(step, later)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            later = node_hash(later, step)
        at, last = at >> 1, last >> 1
    return last == 0 and earlier == old and later == new
