"""The compiled index finds what the linker finds, for any names and letters; its file is whole or refused."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from entities_for_tests import disease, tree_of
from test_linker import NAMES, TEXT, naive

from medxiaohe import io
from medxiaohe.entity.linking.finder import finder
from medxiaohe.entity.linking.index import Index, _letters, kernels
from medxiaohe.entity.linking.link import TOKEN, Linker, Mention, plain
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError, MissingExtra, UsageError
from medxiaohe.types import Entity

LETTERS = st.text(
    st.sampled_from("aAbLsS01_-'\u2019.,( \n\t\x00\x1c\x85\u00a0\u2010éÉ\u0301ßẞσςΣİıKﬁµΩж肺炎癌ア々가\u3000٣²😀𝐀𐐀\ud800"),  # noqa: E501
    max_size=12,
)  # fmt: skip
KNOWN = [
    "lung",
    "Lung",
    "LUNG",
    "all",
    "ALL",
    "mRNA",
    "MRNA",
    "Alzheimer's",
    "immunohistochemistry",
    "a" * 24,
    "肺癌",
]
PIECES = st.one_of(LETTERS, st.sampled_from(KNOWN))
PHRASES = st.lists(PIECES, min_size=1, max_size=4).map(" ".join)
SLOW_TO_DRAW = settings(deadline=None, max_examples=200)


def spans(index: Index, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    found = index.find_batch(texts)
    pairs = list(zip(found.start.tolist(), found.end.tolist(), strict=True))
    return [pairs[begin:end] for begin, end in zip(found.rows[:-1], found.rows[1:], strict=True)]


@SLOW_TO_DRAW
@given(
    st.lists(st.lists(PHRASES, min_size=1, max_size=3), max_size=8),
    st.lists(PHRASES, max_size=6),
    st.integers(0, 200),
)
def test_it_finds_the_mentions_that_the_linker_finds(
    synonyms: list[list[str]], phrases: list[str], repeats: int
) -> None:
    tree = tree_of(*(disease(str(number), *names) for number, names in enumerate(synonyms)))
    texts = [
        *phrases,
        *(name for names in synonyms for name in names),
        " ".join(phrases),
        f"{'; '.join(phrases)} lung " * repeats,
    ]
    index, linker = Index.of(tree), Linker(tree)
    for text in texts:
        assert index.find(text) == linker.find(text)


@SLOW_TO_DRAW
@given(NAMES, st.lists(TEXT, max_size=4), st.sampled_from([0x9E3779B97F4A7C15, 0, 1]))
def test_it_finds_what_a_regular_expression_finds_even_where_all_hashes_are_equal(
    names: list, texts: list, multiplier: int
) -> None:
    spelled = [" ".join(words) for words in names if len("".join(words)) > 1]
    written = ["".join(word + gap for word, gap in pieces) for pieces in texts]
    assert spans(Index.build(spelled, multiplier=multiplier), written) == [
        naive(spelled, text) for text in written
    ]


@SLOW_TO_DRAW
@given(
    st.lists(PHRASES, max_size=12), st.lists(PHRASES, max_size=8), st.sampled_from([0x9E3779B97F4A7C15, 0])
)
def test_plain_names_match_when_their_tokens_are_equal_in_lower_case(
    names: list[str], phrases: list[str], multiplier: int
) -> None:
    keys = {tuple(tokens(name)) for name in names} - {()}
    texts = [*phrases, *names, " ".join(phrases)]
    assert spans(Index.build(names, multiplier=multiplier), texts) == [
        by_tokens(keys, text) for text in texts
    ]


def tokens(text: str) -> list[str]:
    return [token.lower() for token in TOKEN.findall(plain(text))]


def by_tokens(keys: set[tuple[str, ...]], text: str) -> list[tuple[int, int]]:
    marks = list(TOKEN.finditer(plain(text)))
    words, found, i = tokens(text), [], 0
    while i < len(words):
        length = next((n for n in range(len(words) - i, 0, -1) if tuple(words[i : i + n]) in keys), 0)
        if length:
            found.append((marks[i].start(), marks[i + length - 1].end()))
        i += length or 1
    return found


def test_every_character_is_the_token_and_the_lower_case_that_the_linker_sees() -> None:
    every = "".join(map(chr, range(0x110000)))
    single = {mark.start() for mark in TOKEN.finditer(" ".join(every))}
    table = _letters()
    letters = [
        int(table["letters"][int(table["pages"][point >> 8]) << 8 | point & 255])
        for point in range(len(every))
    ]
    for point, (found, character) in enumerate(zip(letters, every, strict=True)):
        lower = plain(character).lower()
        assert (found >> 24 > 0) == (2 * point in single) and (found + point) & 0xFFFFFF == ord(lower)
        assert letters[ord(lower)] >> 24 == found >> 24


def test_values_are_those_given_and_the_first_of_equal_names_stays() -> None:
    index = Index.build(["ALL", "lung cancer", "Lung-Cancer", "all"], [7, 8, 9, 10], num_exact=1)
    found = index.find_batch(["", "all ALL", "Lung  cancer"])
    assert found.value.tolist() == [10, 7, 8] and found.document.tolist() == [1, 1, 2] and len(found) == 3
    assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == [(0, 3), (4, 7), (0, 12)]


def test_an_index_of_plain_names_has_no_entities_to_mention() -> None:
    with pytest.raises(UsageError, match="find_batch"):
        Index.build(["lung"]).find("lung")


def test_bytes_are_counted_in_bytes_and_texts_in_characters() -> None:
    index, text = Index.build(["fever"]), "é İ 肺 Fever 肺 fever"
    assert [text[a:b] for a, b in spans(index, [text])[0]] == ["Fever", "fever"]
    data = text.encode()
    found = index.find_bytes(data, [0, len(data)])
    assert [data[a:b] for a, b in zip(found.start, found.end, strict=True)] == [b"Fever", b"fever"]
    assert index.find_bytes(b"\xff fever \xe8", [0, 9]).start.tolist() == [2]
    with pytest.raises(DataError, match="must rise from 0 to 5"):
        index.find_bytes(b"fever", [0, 6])


def test_more_mentions_than_expected_make_the_output_grow() -> None:
    texts = ["a b " * 5000, "", "b"]
    assert [len(found) for found in spans(Index.build(["a", "b"]), texts)] == [10_000, 0, 1]


def test_a_saved_index_is_mapped_and_finds_the_same_in_threads_and_in_another_process(tmp_path: Path) -> None:
    tree = tree_of(disease("a", "acute lymphoblastic leukemia", "ALL"), disease("b", "小细胞肺癌"))
    text = "all ALL: acute lymphoblastic leukemias; 患小细胞肺癌"
    Index.of(tree).save(tmp_path / "names.index")
    index = Index.load(tmp_path / "names.index")
    expected = [
        Mention(4, 7, "a", "ALL", True),
        Mention(9, 38, "a", "acute lymphoblastic leukemias", False),
        Mention(41, 46, "b", "小细胞肺癌", False),
    ]
    results = []
    threads = [threading.Thread(target=lambda: results.append(index.find(text))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    program = """if True:
        import pathlib, sys
        from medxiaohe.entity.linking.index import Index
        print(Index.load(pathlib.Path(sys.argv[1])).find(sys.argv[2]))"""
    arguments = [sys.executable, "-X", "utf8", "-c", program, tmp_path / "names.index", text]
    child = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=True)
    assert results == [expected] * 4 and child.stdout.strip() == str(expected)


@pytest.mark.parametrize("at", [0, 3, 20, 60, 400, -1])
def test_a_damaged_index_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "names.index"
    Index.build(["lung", "lung cancer"]).save(path)
    whole = path.read_bytes()
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + (whole[at + 1 :] if at >= 0 else b"")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"names\.index: .*build it again") as error:
            Index.load(path)
        assert not re.search(r"\n", str(error.value))


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Index.load(tmp_path / "absent.index")


def test_without_numba_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numba", "medxiaohe.entity.linking._kernels"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("medxiaohe.entity.linking._kernels", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'medxiaohe\[fast\]'"):
        kernels.__wrapped__()


def test_the_index_of_a_tree_is_built_once_kept_and_built_again_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    root = Entity("MET:disease", "disease", "disease")
    io.write_jsonl(
        tmp_path / "tree" / "entities.jsonl", [root, Entity("1", "asthma", "disease", parents=(root.id,))]
    )
    text = "Acute asthma, no pneumonia."
    first = finder(tmp_path / "tree").find(text)
    assert first == Linker(Tree.load(tmp_path / "tree")).find(text)
    (kept,) = (tmp_path / "cache" / "indexes").glob("*.index")
    made = kept.stat().st_ino
    assert finder(tmp_path / "tree").find(text) == first and kept.stat().st_ino == made
    kept.write_bytes(kept.read_bytes()[:-1])
    assert finder(tmp_path / "tree").find(text) == first
    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", [root])
    assert finder(tmp_path / "tree").find(text) == []
    with pytest.raises(DataError, match=r"not the folder of a tree \(no entities.jsonl\)"):
        finder(tmp_path)


def test_several_who_need_the_same_index_at_once_build_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", [Entity("MET:disease", "disease", "disease")])
    built, real, found = list[int](), Index.of, list[object]()

    def slowly(tree: Tree) -> Index:
        built.append(1)
        time.sleep(0.3)
        return real(tree)

    monkeypatch.setattr(Index, "of", slowly)
    waiting = [threading.Thread(target=lambda: found.append(finder(tmp_path / "tree"))) for _ in range(4)]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join()
    assert len(built) == 1 and len(found) == 4
