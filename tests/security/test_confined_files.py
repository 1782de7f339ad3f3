"""Files that rows name are opened inside the data's own folder, and devices, FIFOs and sockets never are."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe import images, io, plugins
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError, Rejected
from medxiaohe.tasks import make
from medxiaohe.types import ImageRef, Sample

NAMES: dict[str, Callable[[Path], str]] = {
    "a step up": lambda root: "../secret/x.png",
    "a step up in the middle": lambda root: "sub/../../secret/x.png",
    "an absolute path": lambda root: str(root / "secret" / "x.png"),
    "a file address": lambda root: f"file://{root}/secret/x.png",
    "a link to a file": lambda root: "link.png",
    "a link to a folder": lambda root: "away/x.png",
    "a link in a circle": lambda root: "circle.png",
    "an endless device": lambda root: "/dev/zero",
    "a link to a device": lambda root: "zero.png",
    "a FIFO": lambda root: "fifo.png",
    "a socket": lambda root: "socket.png",
    "a zero byte": lambda root: "a\0.png",
}
GOOD = ("a.png", "sub/b.png", "./sub/../a.png", "inner.png")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder of data beside a folder of secrets, with links, a FIFO and a socket among the images."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.png").write_bytes(png(8, 8, 3))
    (folder / "a.png").write_bytes(png(8, 8))
    (folder / "sub" / "b.png").write_bytes(png(8, 8, 1))
    (folder / "inner.png").symlink_to(folder / "sub" / "b.png")
    (folder / "link.png").symlink_to(tmp_path / "secret" / "x.png")
    (folder / "away").symlink_to(tmp_path / "secret")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.png")
    here = os.getcwd()
    os.chdir(folder)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        os.chdir(here)
        yield folder


def row(name: str, **more: Any) -> str:
    turns = [{"role": "user", "content": "<image> What is it?"}, {"role": "assistant", "content": "A chest."}]
    return json.dumps({"messages": turns, "images": [name], **more}) + "\n"


def conversation(name: str) -> str:
    turns = [{"from": "human", "value": "<image> What is it?"}, {"from": "gpt", "value": "A chest."}]
    return json.dumps([{"conversations": turns, "image": name}])


ROWS: dict[str, tuple[str, Callable[[str], str]]] = {
    "chat_jsonl": ("rows.jsonl", row),
    "llava": ("rows.json", conversation),
    "sharegpt": ("rows.json", conversation),
    "table": (
        "rows.json",
        lambda name: json.dumps([{"question": "What is it?", "answer": "A chest.", "image": name}]),
    ),
}


def one(reader: str, folder: Path, **options: Any) -> Sample | DeadLetter:
    more = {"bad_rows": "skip"} if reader != "table" else {}
    (found,) = plugins.load("readers", reader)(folder / ROWS[reader][0], **more, **options)
    assert isinstance(found, (Sample, DeadLetter))
    return found


@pytest.mark.parametrize("reader", ROWS)
@pytest.mark.parametrize("kind", NAMES)
def test_a_row_may_not_name_a_file_outside_of_its_folder(reader: str, kind: str, data: Path) -> None:
    name, write = ROWS[reader]
    (data / name).write_text(write(NAMES[kind](data.parent)))
    found = one(reader, data)
    assert isinstance(found, DeadLetter) and found.code == "unsafe_path"


@pytest.mark.parametrize("reader", ROWS)
def test_files_inside_open_by_any_spelling_and_a_named_folder_opens_more(reader: str, data: Path) -> None:
    name, write = ROWS[reader]
    for inside in (*GOOD, str(data / "a.png"), f"file://{data}/a.png"):
        (data / name).write_text(write(inside))
        found = one(reader, data)
        assert isinstance(found, Sample) and images.open_image(found.images[0]).size == (8, 8)
    for kind in ("a step up", "an absolute path", "a file address", "a link to a file", "a link to a folder"):
        (data / name).write_text(write(NAMES[kind](data.parent)))
        found = one(reader, data, allow_outside=[str(data.parent / "secret")])
        assert isinstance(found, Sample) and images.open_image(found.images[0]).size == (8, 8)
    (data / name).write_text(write("/dev/zero"))
    assert isinstance(one(reader, data, allow_outside=["/"]), DeadLetter), "a device is no image anywhere"


def test_a_row_in_a_folder_of_data_may_name_what_lies_elsewhere_in_it(data: Path) -> None:
    (data / "sub" / "rows.jsonl").write_text(row("../a.png"))
    read = plugins.load("readers", "chat_jsonl")
    (found,) = read(data)
    assert isinstance(found, Sample) and images.open_image(found.images[0]).size == (8, 8)
    (alone,) = read(data / "sub" / "rows.jsonl")
    assert isinstance(alone, DeadLetter) and "leads out of sub" in alone.reason


@pytest.mark.parametrize("kind", NAMES)
def test_a_yaml_task_opens_images_of_its_data_only(kind: str, data: Path) -> None:
    name = NAMES[kind](data.parent)
    example = {"question": "Is it a chest?", "image": "a.png", "answer": "yes"}
    for file, image in (("test", name), ("train", "a.png")):
        (data / f"{file}.jsonl").write_text(json.dumps({**example, "image": image}) + "\n")
    about = {
        "dataset_path": "data", "training_split": "train", "test_split": "test", "doc_to_text": "question",
        "doc_to_target": "answer", "doc_to_visual": "image", "prompt": "yes_no", "metric_list": ["yes_no"],
        "license": "CC0-1.0", "example": example,
    }  # fmt: skip
    task = data.parent / "mine.yaml"
    task.write_text(yaml.safe_dump(about))
    assert list(make(str(task), None, {}).samples("train"))
    with pytest.raises(DataError):
        list(make(str(task), None, {}).samples("test"))
    if "secret" in name or name.startswith(("link", "away")):
        task.write_text(yaml.safe_dump({**about, "allow_outside": ["secret"]}))
        assert list(make(str(task), None, {}).samples("test"))
        task.write_text(yaml.safe_dump(about))
        opened = make(str(task), None, {"allow_outside": [str(data.parent / "secret")]})
        assert list(opened.samples("test"))


def test_captions_beside_images_are_not_read_through_links_that_lead_out(data: Path) -> None:
    (data.parent / "secret" / "x.txt").write_text("A secret.")
    (data / "a.txt").symlink_to(data.parent / "secret" / "x.txt")
    found = list(plugins.load("readers", "image_folder")(data))
    letters = {item.where: item.code for item in found if isinstance(item, DeadLetter)}
    assert letters["a.png"] == "unsafe_path" and not any("secret" in getattr(f, "text", "") for f in found)


def test_passages_of_a_library_name_images_beside_them(data: Path) -> None:
    from medxiaohe.retrieval import passages

    (data / "p.jsonl").write_text(json.dumps({"id": "1", "text": "A chest.", "image": "a.png"}) + "\n")
    assert passages.read(data / "p.jsonl")
    (data / "p.jsonl").write_text(json.dumps({"id": "1", "text": "A", "image": "../secret/x.png"}) + "\n")
    with pytest.raises(Rejected, match="leads out of data"):
        passages.read(data / "p.jsonl")


@pytest.mark.parametrize("name", ["/dev/zero", "fifo.png", "socket.png", "zero.png"])
def test_no_reference_opens_what_is_no_file(name: str, data: Path) -> None:
    with pytest.raises(DataError):
        images.open_image(ImageRef(str(data / name)))
    with pytest.raises(DataError):
        images.ref(data / name)


def test_a_reader_pointed_at_a_device_or_a_fifo_says_so(data: Path) -> None:
    for name in ("/dev/zero", "fifo.png"):
        with pytest.raises(DataError, match="not a file"):
            list(plugins.load("readers", "chat_jsonl")(data / name))


def test_a_file_is_measured_before_it_is_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(data / "long.png", "wb") as out:
        out.truncate(images.MAX_BYTES + 1)  # a hole: no bytes on the disk
    with pytest.raises(DataError, match="larger than 256 MiB"):
        images.ref(data / "long.png")


def test_the_names_of_folders_may_be_links_themselves(data: Path) -> None:
    (data.parent / "again").symlink_to(data)
    assert io.confined(data.parent / "again").path("a.png", data.parent / "again").is_file()
