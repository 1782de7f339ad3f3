"""data.curate over shards: the same bytes whatever the workers, after any kill, and whatever fits in memory;
each row accounted for."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import engine
import pytest
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.data.curate import Against, CurateSettings, curate
from medxiaohe.data.duplicates import near_text
from medxiaohe.types import ImageRef, Message, Sample

pytest.importorskip("numpy")
pytest.importorskip("PIL")
FILES = ("samples.jsonl", "dropped.jsonl", "contamination.json", "coverage.json")


def prose(seed: object, length: int = 40) -> str:
    dice = random.Random(str(seed))
    return " ".join(
        "".join(dice.choice("abcdefghij") for _ in range(dice.randint(3, 9))) for _ in range(length)
    )


def document(id: str, text: str, **fields: Any) -> Sample:
    return Sample(
        id,
        (Message("document", (text,)),),
        **{"source": "own", "license": "CC0-1.0", "entities": ("E:1",), **fields},
    )


def question(id: str, *asked: str | ImageRef, **fields: Any) -> Sample:
    return Sample(
        id,
        (Message("user", asked), Message("assistant", ("Yes.",))),
        **{"source": "own", "license": "CC0-1.0", **fields},
    )


def picture(path: Path, seed: int, side: int = 96) -> ImageRef:
    import numpy as np
    from PIL import Image

    from medxiaohe import images

    rough = np.random.default_rng(seed).integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC).save(path)
    return images.ref(path)


def corpus(folder: Path, *, texts: int = 30, pictures: bool = True) -> Path:
    """Of every kind that goes for a reason of its own, and rows that stay, in an order that mixes them."""
    rows = [document(f"own/{n}", prose(n)) for n in range(texts)]
    rows += [document(f"own/copy{n}", prose(n)) for n in range(0, texts, 3)]
    rows += [document(f"own/near{n}", f"{prose(n, 39)} changed") for n in range(0, texts, 5)]
    rows += [document(f"own/short{n}", f"Short {n}.") for n in range(4)]
    rows += [
        question(f"own/test{n}", prose(f"t{n}", 20), split="test", patient_id=f"patient{n}") for n in range(4)
    ]
    rows += [document(f"own/leak{n}", f"{prose(f'x{n}', 30)} {prose(f't{n}', 20)}") for n in range(3)]
    rows += [document("own/same", prose("same"), patient_id="patient1")]
    if pictures:
        for n in range(6):
            rows += [
                question(
                    f"own/image{n}",
                    picture(folder / f"{n}.png", n),
                    prose("what is seen in this picture", 20),
                )
            ]
            rows += [
                question(
                    f"own/again{n}",
                    picture(folder / f"{n}b.png", n, side=70),
                    prose("what is seen in this picture", 20),
                )
            ]
            rows += [
                question(
                    f"own/other{n}",
                    picture(folder / f"{n}c.png", n, side=80),
                    prose(f"another question {n}", 20),
                )
            ]
    random.Random(1).shuffle(rows)
    io.write_jsonl(folder / "corpus" / "samples.jsonl", rows)
    return folder / "corpus"


def curated(folder: Path, name: str, data: Path, **settings: Any) -> dict[str, Any]:
    (folder / name).mkdir()
    given = CurateSettings(against=(Against("held_out"),), filters=("too_short",), **settings)
    return curate(given, folder / name, corpus=data)


def same(folder: Path, *names: str) -> bool:
    return all(
        (folder / names[0] / file).read_bytes() == (folder / name / file).read_bytes()
        for file in FILES
        for name in names[1:]
    )


def test_each_row_is_kept_or_dropped_for_one_reason_whatever_the_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = corpus(tmp_path)
    one = curated(tmp_path, "one", data)
    assert curated(tmp_path, "two", data, workers=2, shard_mb=0.004) == one and same(tmp_path, "one", "two")
    wanted = {
        "too_short": 4,
        "held_out_split": 4,
        "held_out_patient": 1,
        "test_text": 3,
        "near_duplicate_image": 6,
    }
    assert {reason: one["dropped"][reason] for reason in wanted} == wanted
    copies = one["dropped"]["exact_duplicate"], one["dropped"]["near_duplicate_text"]
    assert sum(copies) == 16 and copies[0] >= 8, "copies of copies go for either reason"
    assert (
        one["read"]
        == one["kept"] + sum(one["dropped"].values())
        == sum(1 for _ in io.read_jsonl(data / "samples.jsonl"))
    )
    gone = [row["id"] for row in io.read_jsonl(tmp_path / "one" / "dropped.jsonl")]
    kept = [sample.id for sample in io.read_samples(tmp_path / "one" / "samples.jsonl")]
    order = [row["id"] for row in io.read_jsonl(data / "samples.jsonl")]
    assert sorted(gone + kept) == sorted(order) and gone == [id for id in order if id in set(gone)] == sorted(
        gone, key=order.index
    )
    assert (
        f"data.curate: read {one['read']} = written {one['kept']} + dropped {len(gone)} ("
        in capsys.readouterr().err
    )
    assert len(io.read_json(tmp_path / "one" / "contamination.json")["matches"]) == one["contaminated"] == 3


def test_of_rows_that_are_alike_the_first_stays(tmp_path: Path) -> None:
    data = corpus(tmp_path)
    curated(tmp_path, "one", data)
    order = {row["id"]: place for place, row in enumerate(io.read_jsonl(data / "samples.jsonl"))}
    kept = {sample.id for sample in io.read_samples(tmp_path / "one" / "samples.jsonl")}
    for row in io.read_jsonl(tmp_path / "one" / "dropped.jsonl"):
        if "duplicate" in row["reason"]:
            other = row["detail"].removeprefix("of ").partition(":")[0]
            assert order[other] < order[row["id"]] and (other in kept or row["reason"] == "exact_duplicate")


def test_signatures_that_do_not_fit_memory_are_sorted_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpus(tmp_path, texts=80)
    one = curated(tmp_path, "one", data, shard_mb=0.01)
    monkeypatch.setattr(near_text, "PART_BYTES", 2000)
    assert curated(tmp_path, "parts", data, shard_mb=0.01) == one and same(tmp_path, "one", "parts")


def test_a_crowd_of_copies_is_found_though_each_is_compared_with_few(tmp_path: Path) -> None:
    rows = [document(f"own/{n}", f"{prose('crowd', 60)} {prose(n, 2)}") for n in range(60)]
    io.write_jsonl(
        tmp_path / "corpus" / "samples.jsonl", [*rows, question("own/t", prose("t", 20), split="test")]
    )
    summary = curated(tmp_path, "one", tmp_path / "corpus")
    assert summary["kept"] == 1 and summary["dropped"]["near_duplicate_text"] == 59


@pytest.mark.long
@pytest.mark.slow
def test_ray_leaves_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    data = corpus(tmp_path)
    one = curated(tmp_path, "one", data)
    assert curated(tmp_path, "ray", data, workers=2, engine="ray", shard_mb=0.01) == one and same(
        tmp_path, "one", "ray"
    )


@pytest.mark.long
def test_a_run_killed_at_any_write_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    data = corpus(tmp_path, texts=6, pictures=False)
    io.write_json(data / io.MANIFEST, {"files": {}})
    command = [
        "data",
        "curate",
        "--input",
        f"corpus={data}",
        "--set",
        "against=[{task: held_out}]",
        "--set",
        "filters=[too_short]",
    ]
    command += ["--set", "shard_mb=0.008"]
    done = engine.medxiaohe(*command, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    num = kills(tmp_path / "killed", *command, "--out", "@", preload="numba,medxiaohe.data.cleaning.curation")
    assert num > 40
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)
