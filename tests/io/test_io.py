"""Files are whole or absent, rows come back as they went in, and what cannot be read is one sentence."""

from __future__ import annotations

import gzip
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError, StorageError
from medxiaohe.io import writing
from medxiaohe.types import Evidence, ImageRef, Message, Prompt, Sample, Step, ToolCall, ToolResult, Trace

SAMPLE = Sample(
    id="s1",
    messages=(
        Message("user", (ImageRef("a.png", sha256="0" * 64, box=(0, 0, 5, 5)), "What is it?")),
        Message("assistant", (ToolCall("1", "search", {"query": "μ-opioid", "k": 3}),)),
        Message(
            "tool",
            (
                ToolResult(
                    "1",
                    ("text", ImageRef("b.png", frame=2)),
                    (Evidence("e1", "passage", "pubmed", score=0.5),),
                ),
            ),
        ),
        Message("assistant", ("B",)),
    ),
    target="B",
    choices=("no", "yes"),
    entities=("MONDO:1",),
    source="test",
    split="train",
    meta={"nested": {"list": [1, 2.5, None]}},
)


def test_a_sample_survives_json() -> None:
    assert io.sample_from_json(json.loads(json.dumps(io.to_json(SAMPLE)))) == SAMPLE


def test_a_trace_survives_json() -> None:
    trace = Trace(
        Prompt("s1", SAMPLE.messages[:1], ("no", "yes")),
        SAMPLE.messages,
        steps=(Step(0, "use", "search", got=ToolResult("c", ("t",), (Evidence("e", "t", "s"),))),),
    )
    assert [e.id for e in trace.evidence] == ["e", "e1"]
    assert io.trace_from_json(json.loads(json.dumps(io.to_json(trace)))) == trace


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": 5}, "id must be text"),
        ({"id": None}, "id must be text"),
        ({"messages": "hello"}, "messages must be a list"),
        ({"messages": [{"role": "user", "parts": "hello"}]}, "parts must be a list"),
        ({"messages": [{"role": "doctor", "parts": ["hello"]}]}, "role must be one of"),
        ({"messages": [{"role": "user", "parts": [{"type": "ImageRef"}]}]}, "an image needs a uri"),
        ({"messages": [{"role": "user", "parts": [{"type": "Video", "uri": "x"}]}]}, "Video"),
        ({"choices": "ABCD"}, "choices must be a list"),
        ({"split": "dev"}, "split must be one of train, validation, test"),
        ({"meta": []}, "meta must be an object"),
    ],
)
def test_what_is_no_sample_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        io.sample_from_json({"id": "x", "messages": [], **change})


@pytest.mark.parametrize("missing", ["id", "messages"])
def test_a_sample_needs_an_id_and_messages(missing: str) -> None:
    with pytest.raises(DataError, match=missing):
        io.sample_from_json({k: v for k, v in {"id": "x", "messages": []}.items() if k != missing})


WRITER = """
import sys, time
from pathlib import Path
from medxiaohe import io
path, letter = Path(sys.argv[1]), sys.argv[2].encode()
for _ in range(40):
    io.write(path, lambda out: [(out.write(letter), out.flush(), time.sleep(0.0005)) for _ in range(20)])
    assert path.read_bytes() in (b"a" * 20, b"b" * 20), path.read_bytes()
"""


def test_two_processes_that_write_one_path_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "shared.bin"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert path.read_bytes() in (b"a" * 20, b"b" * 20)
    assert [p.name for p in tmp_path.iterdir()] == ["shared.bin"]


def test_a_draft_of_a_killed_process_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / ".rows.jsonl.draft").write_text("half of a longer row, cut")
    io.write_jsonl(tmp_path / "rows.jsonl", [{"a": 1}])
    assert (tmp_path / "rows.jsonl").read_text() == '{"a": 1}\n'


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    io.write_jsonl(path, [{"a": 1}])

    def rows():  # type: ignore[no-untyped-def]
        yield {"a": 2}
        raise RuntimeError("reader broke")

    with pytest.raises(RuntimeError):
        io.write_jsonl(path, rows())
    assert path.read_text() == '{"a": 1}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800"])
def test_what_json_cannot_hold_is_refused_not_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match=r"x\.json"):
        io.write_json(tmp_path / "x.json", {"value": value})
    assert not list(tmp_path.iterdir())


BAD_ROWS = {
    "too large": '{"a": 1e999}',
    "nan": '{"a": NaN}',
    "infinity": '{"a": Infinity}',
    "surrogate": '{"a": "\\ud800"}',
    "digits": '{"a": ' + "9" * 5000 + "}",
    "deep": "[" * 100_000,
    "list": "[1]",
    "text": '"text"',
    "cut": '{"a": 1',
    "nonsense": "nonsense",
}


@pytest.mark.parametrize("line", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_names_its_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n' + line + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:3"):
        list(io.read_jsonl(path))


def test_lines_drop_the_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\nfour")
    assert list(io.lines(tmp_path / "a.txt")) == [(1, "one"), (2, "two"), (3, ""), (4, "four")]


def test_lines_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not UTF-8"):
        list(io.lines(tmp_path / "a.txt"))


def test_a_line_that_never_ends_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medxiaohe.io.reading.MAX_LINE_BYTES", 2**20)
    with gzip.open(tmp_path / "a.txt.gz", "wb") as file:
        for _ in range(8):
            file.write(b" " * 2**20)
    with pytest.raises(DataError, match=r"a\.txt\.gz:1: line longer"):
        list(io.lines(tmp_path / "a.txt.gz"))


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_damaged_gzip_is_one_sentence(tmp_path: Path, damage: str) -> None:
    data = bytearray(gzip.compress(b"some text\n" * 1000))
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[20] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(b"plain" if damage == "plain" else bytes(data))
    with pytest.raises(DataError, match="truncated or not gzip"):
        list(io.lines(tmp_path / "a.gz"))


@pytest.mark.parametrize(
    "read", [io.read_json, lambda path: list(io.lines(path)), lambda path: list(io.read_jsonl(path))]
)
def test_missing_files_and_folders_in_place_of_files_are_data_errors(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path)


def test_a_published_folder_lists_its_files_and_verifies(tmp_path: Path) -> None:
    with io.publish(tmp_path / "x", record=lambda: {"summary": {}}) as draft:
        io.write_text(draft / "deep" / "a.txt", "a")
    assert list(io.read_json(tmp_path / "x" / io.MANIFEST)["files"]) == ["deep/a.txt"]
    io.verify(tmp_path / "x")


def published(folder: Path, text: str = "a") -> Path:
    with io.publish(folder, record=lambda: {"settings": {"rate": 0.1}, "summary": {"n": 1}}) as draft:
        io.write_text(draft / "a.txt", text)
    return folder


@pytest.mark.parametrize("name", ["a.txt", io.MANIFEST, io.RECORD])
def test_one_flipped_byte_anywhere_is_found(tmp_path: Path, name: str) -> None:
    whole = (published(tmp_path / "x") / name).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / "x" / name).write_bytes(damaged)
        if name != "a.txt" and json_or_none(bytes(damaged)) == json.loads(whole) and name == io.RECORD:
            continue  # only the white space around the values changed
        with pytest.raises(DataError):
            io.verify(tmp_path / "x")


def json_or_none(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_a_missing_file_of_a_published_folder_is_named(tmp_path: Path) -> None:
    (published(tmp_path / "x") / "a.txt").unlink()
    with pytest.raises(DataError, match=r"a\.txt is missing"):
        io.verify(tmp_path / "x")


def test_publishing_again_replaces_the_folder(tmp_path: Path) -> None:
    published(tmp_path / "x", "one")
    published(tmp_path / "x", "two")
    assert (tmp_path / "x" / "a.txt").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_failed_publish_keeps_the_old_folder(tmp_path: Path) -> None:
    published(tmp_path / "x", "one")
    with pytest.raises(RuntimeError), io.publish(tmp_path / "x") as draft:
        io.write_text(draft / "a.txt", "two")
        raise RuntimeError
    assert (tmp_path / "x" / "a.txt").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_medxiaohe_did_not_make_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="not made by medxiaohe"):
        published(tmp_path / "x")
    assert (tmp_path / "x" / "thesis.txt").read_text() == "years of work"


def test_a_copy_that_was_being_replaced_is_put_back(tmp_path: Path) -> None:
    published(tmp_path / "x").rename(tmp_path / ".x.old")  # where a kill between two renames leaves it
    (tmp_path / ".x.draft").mkdir()
    io.recover(tmp_path / "x")
    io.verify(tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_an_unreadable_input_is_not_reported_as_an_unwritable_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"file/input\.txt: not a directory"),
        io.publish(tmp_path / "out" / "x"),
    ):
        open(tmp_path / "file" / "input.txt")


def test_numpy_scalars_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert io.to_json({"a": numpy.float32(0.5), "b": numpy.int64(3)}) == {"a": 0.5, "b": 3}


def test_fingerprints_and_splits_do_not_change_between_releases() -> None:
    assert (
        io.fingerprint({"b": 1, "a": [1, 2]}) == io.fingerprint({"a": (1, 2), "b": 1}) == "3813f9409eb0095b"
    )
    assert io.unit_interval("seed", "sample-1") == pytest.approx(0.246961, abs=1e-6)


def test_error_messages_do_not_hold_what_a_row_says(tmp_path: Path) -> None:
    with pytest.raises(DataError) as written:
        io.write_jsonl(tmp_path / "x.jsonl", [{"id": "r7", "text": "Jane Doe", "value": math.nan}])
    with pytest.raises(DataError) as read:
        io.sample_from_json({"id": "r7", "messages": "Jane Doe"})
    for said in (str(written.value), str(read.value)):
        assert "r7" in said and "Jane" not in said


def test_unfinished_work_survives_a_kill_and_goes_when_the_stage_is_published(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    with pytest.raises(Killed), io.publish(tmp_path / "x") as draft:
        io.write_text(io.scratch(draft, {"rate": 1}) / "part", "one")
        raise Killed
    with io.publish(tmp_path / "x") as draft:
        assert (io.scratch(draft, {"rate": 1}) / "part").read_text() == "one"
        assert not list(io.scratch(draft, {"rate": 2}).iterdir()), "work under other settings is deleted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x"]


def test_the_hash_of_a_published_file_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with io.publish(tmp_path / "done", record=lambda: {"summary": {}}) as draft:
        io.write_text(draft / "a.txt", "a")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.txt").write_text("a")
    value = io.sha256(tmp_path / "done" / "a.txt")
    assert io.content(tmp_path / "loose", "a.txt") == value and io.digest(tmp_path / "loose") == ""
    monkeypatch.setattr("medxiaohe.io.folders.sha256", lambda path: pytest.fail(f"{path} was read"))
    assert io.content(tmp_path / "done", "a.txt") == value


def test_a_library_in_rust_that_finds_the_disk_full_is_one_sentence(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    save_file = pytest.importorskip("safetensors.numpy").save_file
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with (
            pytest.raises(StorageError, match="the file would pass the size limit"),
            io.publish(tmp_path / "a"),
        ):
            save_file({"x": numpy.zeros(2**16)}, tmp_path / ".a.draft" / "x.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "a").exists() and not (tmp_path / ".a.draft").exists()


def test_only_what_a_write_alone_can_say_is_believed_of_a_library_in_rust(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="os error 2"), io.storage(tmp_path):
        raise RuntimeError("No such file or directory (os error 2)")
    with pytest.raises(StorageError, match="the disk is full: free some space"), io.storage(tmp_path / "x"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_every_new_folder_is_synced_into_the_one_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(writing, "fsync_folder", synced.append)
    io.write_text(tmp_path / "runs" / "mine" / "words" / "a.txt", "x")
    made = [tmp_path, tmp_path / "runs", tmp_path / "runs" / "mine", tmp_path / "runs" / "mine" / "words"]
    assert synced == made
    io.write_text(tmp_path / "runs" / "mine" / "words" / "b.txt", "x")
    assert synced == [*made, made[-1]], "what is there already is not synced again"
