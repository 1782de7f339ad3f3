"""JSON of nothing but brackets is refused before it is parsed; dense JSON of real data is read."""

import json
import tracemalloc
from pathlib import Path

import pytest

from medxiaohe.data.formats.records import parsed
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import chat_jsonl
from medxiaohe.data.readers.phenopackets import phenopackets
from medxiaohe.errors import DataError, Rejected
from medxiaohe.io import bounded_json, parse_row, read_json

BRACKETS = "[" + "[]," * 400_000 + "[]]"


def test_brackets_are_counted_and_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(BRACKETS)
    tracemalloc.start()
    try:
        for read in (parsed, parse_row):
            with pytest.raises(DataError, match="400,002 lists and objects"):
                read(BRACKETS)  # type: ignore[operator]
        with pytest.raises(DataError, match=r"a\.json.*400,002 lists and objects"):
            read_json(tmp_path / "a.json")
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "value",
    [[{"id": i, "box": [1, 2, 3]} for i in range(20_000)], [[i, i] for i in range(100_000)], "[" * 1000],
)
def test_dense_data_is_read(value: object) -> None:
    assert parsed(json.dumps(value)) == value


def test_the_number_grows_with_the_text_and_a_reply_has_a_number_of_its_own() -> None:
    bounded_json.check("[" * 250_000)
    bounded_json.check("[" * 300_000 + " " * 4_000_000)
    with pytest.raises(Rejected):
        bounded_json.check(b"{" * 300_000)
    with pytest.raises(Rejected):
        bounded_json.check("[" * 11, 10)


def test_a_row_of_too_many_messages_is_a_dead_letter_and_the_next_is_read(tmp_path: Path) -> None:
    turns = [{"role": ("user", "assistant")[i % 2], "content": "a"} for i in range(260_000)]
    rows = [{"messages": turns, "license": "CC0-1.0"}, {"text": "Words of a page.", "license": "CC0-1.0"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    letter, good = chat_jsonl(tmp_path, bad_rows="skip")
    assert isinstance(letter, DeadLetter) and letter.code == "bomb"
    assert not isinstance(good, DeadLetter) and good.messages[0].text == "Words of a page."


def test_a_phenopacket_that_is_a_bomb_or_too_large_is_a_dead_letter(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"phenotypicFeatures": ' + BRACKETS + "}")
    with open(tmp_path / "b.json", "wb") as file:
        file.truncate(2**30)  # without blocks on the disk
    letters = [row for row in phenopackets(tmp_path) if isinstance(row, DeadLetter)]
    assert [letter.code for letter in letters] == ["bomb", "too_large"]
