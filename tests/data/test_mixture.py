"""data.mixture: trust before quantity, shares of sources and modalities together, an index to resume at, the
same whatever the workers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import engine
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.data.coverage.row_accounts import settle
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.data.mixing import external_sort, quotas
from medxiaohe.data.mixture import MixtureSettings, mixture
from medxiaohe.errors import ConfigError
from medxiaohe.types import ImageRef, Message, Sample

FILES = (
    "documents.jsonl",
    "instructions.jsonl",
    "prompts.jsonl",
    "index.jsonl",
    "mixture.json",
    "coverage.json",
)


def row(
    source: str, number: int, *, entities: tuple[str, ...] = (), image: bool = False, document: bool = False
) -> Sample:
    asked = (
        (ImageRef(f"/x/{source}{number}.png"), "What is seen?")
        if image
        else (f"What is case {number} of {source}?",)
    )
    turns = (
        (Message("document", asked),)
        if document
        else (Message("user", asked), Message("assistant", (f"Answer {number}.",)))
    )
    return Sample(f"{source}/{number}", turns, source=source, entities=entities, license="CC0-1.0")


def corpus(folder: Path, rows: list[Sample]) -> Path:
    folder.mkdir(exist_ok=True)
    io.write_jsonl(folder / "samples.jsonl", rows)
    return folder


def mixed(folder: Path, name: str, data: Path, **values: Any) -> dict[str, Any]:
    (folder / name).mkdir()
    return mixture(
        MixtureSettings(**values),
        folder / name,
        data=data,
        tree=folder / "tree" if (folder / "tree").is_dir() else None,
    )


def realised(summary: dict[str, Any], side: str = "by_source") -> dict[str, int]:
    return {name: found["realised"] for name, found in summary[side].items()}


def everything(folder: Path) -> Path:
    """Three sources: many rows of little trust, few of much, pictures of two modalities; a tail of entities;
    a task."""
    dice = random.Random(0)
    rows = [row("web", n, entities=(f"E:{int(dice.paretovariate(1.1))}",)) for n in range(600)]
    rows += [row("books", n, entities=(f"E:{n % 7}",)) for n in range(60)]
    rows += [row("films", n, image=True, entities=("M:ct" if n % 4 == 0 else "M:xray",)) for n in range(200)]
    rows += [row("mesh_topic", n) for n in range(40)] + [row("pages", n, document=True) for n in range(50)]
    tree = folder / "tree"
    tree.mkdir(exist_ok=True)
    names = {"M:ct": "computed tomography", "M:xray": "radiography"}
    io.write_jsonl(
        tree / "entities.jsonl", [{"id": id, "name": name, "kind": "modality"} for id, name in names.items()]
    )
    io.write_json(tree / io.MANIFEST, {"files": {}})
    return corpus(folder / "data", rows)


# ---- shares
# ------------------------------------------------------------------------------------------------------------


def test_quotas_sum_to_the_total() -> None:
    def of(total: int, natural: dict[str, int], shares: dict[str, float]) -> dict[str, int]:
        found = quotas.parts(
            {(source, ""): n for source, n in natural.items()}, by_source=shares, by_modality={}, trust={}
        )
        return {source: n for (source, _), n in quotas.whole(total, found).items()}

    assert of(10, {"a": 5, "b": 5, "c": 90}, {"a": 0.5}) == {"a": 5, "b": 0, "c": 5}
    assert of(7, {"a": 1, "b": 1, "c": 1}, {}) == {"a": 3, "b": 2, "c": 2}
    assert sum(of(11, {"a": 1, "b": 1}, {"a": 0.2, "b": 0.2}).values()) == 11


CELLS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["text", "ct", "xray"])),
    st.integers(1, 500),
    min_size=1,
)


@settings(max_examples=100, deadline=None)
@given(CELLS, st.integers(0, 300), st.floats(0, 1), st.floats(0.1, 9))
def test_what_is_filled_up_is_as_much_as_can_be_and_never_more_than_there_is(
    there: dict[quotas.Cell, int], total: int, quantity: float, trust: float
) -> None:
    shares = quotas.parts(there, by_source={}, by_modality={}, trust={"a": trust}, quantity=quantity)
    assert sum(shares.values()) == pytest.approx(1)
    plan = quotas.whole(total, shares)
    full = quotas.filled(plan, there, shares)
    assert sum(plan.values()) == total and sum(full.values()) == min(total, sum(there.values()))
    assert all(full[cell] <= there[cell] and full[cell] >= min(plan[cell], there[cell]) for cell in there)


def test_a_small_trusted_source_weighs_more_than_a_large_one_that_is_not(tmp_path: Path) -> None:
    """MX-8: the mixture is not set by the number of rows alone."""
    rows = [row("web", n) for n in range(900)] + [row("books", n) for n in range(100)]
    data = corpus(tmp_path / "data", rows)
    assert realised(mixed(tmp_path, "as_is", data, instructions=100)) == {"web": 90, "books": 10}
    assert realised(mixed(tmp_path, "trusted", data, instructions=100, trust={"books": 3.0})) == {
        "web": 75,
        "books": 25,
    }
    assert realised(mixed(tmp_path, "even", data, instructions=100, quantity=0.0)) == {"web": 50, "books": 50}
    assert realised(mixed(tmp_path, "root", data, instructions=100, quantity=0.5)) == {"web": 75, "books": 25}


def test_what_a_source_lacks_comes_from_the_others_only_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = corpus(
        tmp_path / "data", [row("web", n) for n in range(900)] + [row("books", n) for n in range(10)]
    )
    short = mixed(tmp_path, "short", data, instructions=100, by_source={"books": 0.3})
    assert short["by_source"] == {
        "books": {"intended": 30, "realised": 10},
        "web": {"intended": 70, "realised": 70},
    }
    full = mixed(tmp_path, "full", data, instructions=100, by_source={"books": 0.3}, fill=True)
    assert full["by_source"] == {
        "books": {"intended": 30, "realised": 10},
        "web": {"intended": 70, "realised": 90},
    }
    said = capsys.readouterr().err
    assert "instructions  books                    intended       30  realised       10" in said
    assert "data.mixture: read 910 = written 100 + dropped 810 (not drawn 810) + dead 0" in said


def test_shares_of_modalities_hold_together_with_those_of_sources(tmp_path: Path) -> None:
    data = everything(tmp_path)
    shares = {"text": 0.6, "computed tomography": 0.2}
    summary = mixed(tmp_path, "m", data, instructions=100, by_modality=shares, by_source={"books": 0.3})
    assert summary["by_modality"]["computed tomography"] == {"intended": 20, "realised": 20}
    assert realised(summary, "by_modality") == {"text": 60, "computed tomography": 20, "radiography": 20}
    assert realised(summary)["books"] == 30 and realised(summary)["films"] == 40
    rows = {sample.id: sample for sample in io.read_samples(tmp_path / "m" / "instructions.jsonl")}
    for one in io.read_jsonl(tmp_path / "m" / "index.jsonl"):
        assert (one["modality"] == "text") == (not rows[one["id"]].images)
    told = mixed(
        tmp_path, "told", data, instructions=40, by_modality={"film": 0.5}, modalities={"films": "film"}
    )
    assert realised(told, "by_modality") == {"film": 20, "text": 20}


def test_shares_that_cannot_both_hold_are_refused(tmp_path: Path) -> None:
    data = everything(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot both hold .* can have .* and not"):
        mixed(tmp_path, "m", data, instructions=50, by_modality={"text": 0.9}, by_source={"films": 0.5})
    with pytest.raises(
        ConfigError, match=r"by_modality: no rows of modality 'radiographie'; did you mean 'radiography'"
    ):
        mixed(tmp_path, "n", data, instructions=50, by_modality={"radiographie": 0.9})
    with pytest.raises(ConfigError, match=r"trust: no rows of a source 'book'"):
        mixed(tmp_path, "o", data, instructions=50, trust={"book": 2})
    left = mixed(tmp_path, "none", data, instructions=50, by_source={"web": 0.0, "left over by nobody": 0.0})
    assert realised(left)["web"] == 0 and sum(realised(left).values()) == 50
    for values in ({"trust": {"a": 0.0}}, {"quantity": 1.5}, {"by_modality": {"text": 1.2}}):
        with pytest.raises(ConfigError):
            MixtureSettings(documents=1, **values)  # type: ignore[arg-type]


# ---- the index and the order
# -------------------------------------------------------------------------------------------


ALL: dict[str, Any] = {
    "documents": 30,
    "instructions": 200,
    "prompts": 15,
    "temperature": 3.0,
    "trust": {"books": 4.0},
    "by_modality": {"text": 0.7},
    "max_per_entity": 40,
    "seed": 5,
}


def test_the_index_names_the_row_of_each_line_so_that_resuming_is_an_offset(tmp_path: Path) -> None:
    data = everything(tmp_path)
    mixed(tmp_path, "m", data, **ALL)
    source = list(io.read_samples(data / "samples.jsonl"))
    raw = (data / "samples.jsonl").read_bytes()
    index = list(io.read_jsonl(tmp_path / "m" / "index.jsonl"))
    for kind in ("documents", "instructions", "prompts"):
        rows = list(io.read_samples(tmp_path / "m" / f"{kind}.jsonl"))
        own = [one for one in index if one["kind"] == kind]
        assert rows == [source[one["row"]] for one in own] and {one["seed"] for one in own} == {5}
        assert [one["source"] for one in own] == [sample.source for sample in rows]
        assert all(
            raw[one["place"] : one["place"] + 9] == b'{"id": "' + one["id"][:1].encode() for one in own
        )
    assert len({one["row"] for one in index}) == len(index), "a row was drawn twice"


def test_workers_and_sizes_of_shards_change_nothing(tmp_path: Path) -> None:
    data = everything(tmp_path)
    one = mixed(tmp_path, "one", data, **ALL)
    two = mixed(tmp_path, "two", data, **ALL, workers=2, shard_mb=0.01)
    assert one == two
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


@pytest.mark.long
@pytest.mark.slow
def test_ray_draws_the_same_mixture(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    data = everything(tmp_path)
    mixed(tmp_path, "one", data, **ALL)
    mixed(tmp_path, "ray", data, **ALL, workers=2, engine="ray", shard_mb=0.02)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name


@pytest.mark.long
def test_a_mixture_killed_at_any_write_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    data = corpus(tmp_path / "data", [row("mesh_topic", n, entities=(f"E:{n % 3}",)) for n in range(30)])
    command = ["data", "mix", "--input", f"data={data}"]
    io.write_json(data / io.MANIFEST, {"files": {}})
    wanted = {"instructions": "12", "prompts": "9", "shard_mb": "0.006"}
    command += [flag for key, value in wanted.items() for flag in ("--set", f"{key}={value}")]
    done = engine.medxiaohe(*command, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    num = kills(tmp_path / "killed", *command, "--out", "@")
    assert num > 40
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 9))
def test_rows_are_sorted_through_files_too(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], part: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external_sort, "PART", part)
        patch.setattr(external_sort, "OPEN", 3)
        found = list(
            external_sort.in_order([[n, i] for i, n in enumerate(numbers)], tmp_path_factory.mktemp("sort"))
        )
    assert found == sorted([n, i] for i, n in enumerate(numbers))


# ---- accounts
# ----------------------------------------------------------------------------------------------------------


def test_a_row_that_is_counted_twice_or_not_at_all_stops_the_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle("data.x", read=10, written=6, dropped={"short": 1, "copy": 2, "none": 0}, dead={"json": 1})
    assert (
        capsys.readouterr().err
        == "  data.x: read 10 = written 6 + dropped 3 (copy 2, short 1) + dead 1 (json 1)\n"
    )
    for written in (5, 7):
        with pytest.raises(AssertionError, match=r"missing or counted twice: data\.x: read 10"):
            settle("data.x", read=10, written=written, dropped={"short": 3}, dead={"json": 1})


def test_what_rows_were_compared_with_goes_with_them(tmp_path: Path) -> None:
    data = everything(tmp_path)
    contamination_record.carry(tmp_path / "nowhere", data)
    assert contamination_record.of(data) is None
    (tmp_path / "curated").mkdir()
    io.write_json(
        tmp_path / "curated" / contamination_record.FILE, {"checked": {"medqa": 12}, "matches": [{"id": "x"}]}
    )
    contamination_record.carry(tmp_path / "curated", data)
    mixed(tmp_path, "m", data, instructions=5)
    said = io.read_json(tmp_path / "m" / "mixture.json")["contamination"]
    assert said["checked"] == {"medqa": 12} and said["removed"] == 1
    assert said["report"] == io.sha256(data / contamination_record.FILE)
