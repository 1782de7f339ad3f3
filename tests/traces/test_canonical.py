"""Canonical JSON, Merkle trees and checkpoints agree with their standards and with other implementations."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.errors import DataError
from medxiaohe.traces import merkle
from medxiaohe.traces.canonical import dumps, loads, packed, unpacked
from medxiaohe.traces.checkpoint import Checkpoint, check_signature, new_key, parse, public_key, sign

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WHOLE = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS
VALUES = st.recursive(WHOLE, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)
TAGS = st.sampled_from(["$float", "$int", "$object"])
LOOSE = st.recursive(
    WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(TEXTS | st.sampled_from(["$float", "$int", "$object"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_bytes_are_those_of_another_implementation_and_are_read_back(value: Any) -> None:
    rfc8785 = pytest.importorskip("rfc8785")
    assert dumps(value) == rfc8785.dumps(value)
    assert loads(dumps(value)) == value


@settings(max_examples=200, deadline=None)
@given(LOOSE)
def test_numbers_that_are_no_integers_come_back_as_they_were(value: Any) -> None:
    assert unpacked(loads(dumps(packed(value)))) == value


def test_keys_are_sorted_by_utf_16_units_as_the_rfc_shows() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(dumps(value))) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, "\ud800", {"a": "\udfff"}, {1: 2}, {"a": {1, 2}}, b"x"], ids=repr
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(DataError):
        dumps(value)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":1}', b'{"b":1,"a":1}', b'{"a": 1}', b"1.0", b"1e2", b"NaN", b"-0", b'"\\u0041"',
     b'"\\ud800"', b"9007199254740993", b"\xff", b"{", b"[" * 100 + b"]" * 100, b"[" * 100_000, b"1" * 5000],
)  # fmt: skip
def test_what_is_not_canonical_is_not_read(data: bytes) -> None:
    with pytest.raises(DataError):
        loads(data)


def test_nothing_but_finite_numbers_is_packed() -> None:
    with pytest.raises(DataError, match="not a finite number"):
        packed([float("inf")])


# roots of the reference tree of certificate-transparency (leaves of merkle_tree_test)
LEAVES = [
    bytes.fromhex(one)
    for one in " 00 10 2021 3031 40414243 5051525354555657 606162636465666768696a6b6c6d6e6f".split(" ")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(map(merkle.leaf_hash, LEAVES[:size])).hex() == ROOTS[size]


def test_every_proof_of_trees_up_to_20_leaves_holds_and_no_other_does() -> None:
    hashes = [merkle.leaf_hash(bytes([n])) for n in range(20)]
    for size in range(1, 21):
        root = merkle.root(hashes[:size])
        for index in range(size):
            proof = merkle.inclusion(index, hashes[:size])
            assert merkle.includes(hashes[index], index, size=size, proof=proof, root=root)
            wrong = hashes[(index + 1) % 20]
            assert not merkle.includes(wrong, index, size=size, proof=proof, root=root)
            assert not merkle.includes(hashes[index], index, size=size, proof=[*proof, wrong], root=root)
        for first in range(1, size + 1):
            proof = merkle.consistency(first, hashes[:size])
            old = merkle.root(hashes[:first])
            assert merkle.consistent(first, size, old=old, new=root, proof=proof)
            assert not merkle.consistent(first, size, old=hashes[0][::-1], new=root, proof=proof)
            assert not merkle.consistent(first, size, old=old, new=old[::-1], proof=proof)


def test_a_signed_note_verifies_with_its_key_and_no_other() -> None:
    pytest.importorskip("cryptography")
    private, public = new_key("clinic.example/traces")
    assert public_key(private) == public
    note = sign(Checkpoint(2, bytes(32)), private)
    assert check_signature(note, public) == ""
    assert parse(note)[0] == Checkpoint(2, bytes(32))
    assert "wrong" in check_signature(note.replace("\n2\n", "\n3\n"), public)
    assert "no signature of other" in check_signature(note, new_key("other")[1])
    assert "nobody" in check_signature(sign(Checkpoint(2, bytes(32))), public)


def test_the_example_key_of_the_note_format_is_understood() -> None:
    """The key and note that the documentation of Go's golang.org/x/mod/sumdb/note shows."""
    pytest.importorskip("cryptography")
    skey = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    assert public_key(skey) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


@pytest.mark.parametrize(
    "note",
    ["", "a\nb\nc\n", "medxiaohe/traces\n01\n" + base64.b64encode(bytes(32)).decode() + "\n", "x\n1\nAA==\n"],
)
def test_what_is_no_checkpoint_is_one_sentence(note: str) -> None:
    with pytest.raises(DataError, match="not a checkpoint"):
        parse(note)
