"""data.deidentify: texts of the sources named lose the people in them, others stay as they are, whatever the
workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.data.deidentify import DeidentifySettings, deidentify
from medxiaohe.errors import ConfigError
from medxiaohe.types import (
    Annotations,
    Evidence,
    Mention,
    Message,
    Provenance,
    Sample,
    ToolCall,
    ToolResult,
)

SECRET = ("Quxley", "4711223", "3/4/2021")
TEXT = "Mr. Quxley (MRN 4711223) was seen on 3/4/2021 with pneumonia. Mr. Quxley took amoxicillin."


def corpus(folder: Path) -> Path:
    rows = [
        Sample(
            f"{source}/{n}",
            (Message("user", (f"{TEXT} What does he have?",)), Message("assistant",
            ("Mr. Quxley has pneumonia.",))),
            target="Mr. Quxley has pneumonia.", source=source, license="CC0-1.0", patient_id="4711223",
            study_id="MRN 4711223",
            entities=("E:1",), meta={"note": TEXT, "grade": 2},
            annotations=Annotations(mentions=(Mention(0, 3, "Mr.", "E:1"),)),
            provenance=Provenance(evidence=TEXT),
            facts={"patient": TEXT},
        )
        for source in ("clinic", "books")
        for n in range(6)
    ]  # fmt: skip
    io.write_jsonl(folder / "corpus" / "samples.jsonl", rows)
    io.write_json(folder / "corpus" / "contamination.json", {"checked": {"medqa": 3}, "matches": []})
    io.write_json(folder / "corpus" / "coverage.json", {"E:1": 12})
    return folder / "corpus"


def cleaned(folder: Path, name: str, **settings: Any) -> dict[str, Any]:
    (folder / name).mkdir()
    return deidentify(DeidentifySettings(**settings), folder / name, corpus=folder / "corpus")


def test_nobody_is_left_in_the_sources_named_and_the_others_are_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = corpus(tmp_path)
    summary = cleaned(tmp_path, "out", sources=("clinic",))
    before = {sample.id: sample for sample in io.read_samples(data / "samples.jsonl")}
    for sample in io.read_samples(tmp_path / "out" / "samples.jsonl"):
        if sample.source == "books":
            assert sample == before[sample.id]
            continue
        said = io.encoded(sample).decode()
        assert not any(secret in said for secret in SECRET)
        assert "pneumonia" in sample.text and sample.text.count("[NAME-1]") == 3 and sample.meta["grade"] == 2
        assert sample.provenance.evidence.count("[NAME-1]") == 2
        assert not sample.patient_id and not sample.study_id and not sample.annotations.mentions
    assert summary["rows"] == summary["changed"] == 6 and set(summary["by_source"]) == {"clinic"}
    assert set(summary["spans"]) >= {"NAME", "ID", "DATE"}
    left = (tmp_path / "out" / "redactions.json").read_text()
    assert not any(secret in left for secret in SECRET)
    assert "data.deidentify: read 12 = written 12 + dropped 0 + dead 0" in capsys.readouterr().err
    for name in ("contamination.json", "coverage.json"):
        assert io.read_json(tmp_path / "out" / name) == io.read_json(data / name)


def test_workers_change_nothing(tmp_path: Path) -> None:
    corpus(tmp_path)
    one = cleaned(tmp_path, "one")
    assert cleaned(tmp_path, "two", workers=2, shard_mb=0.001) == one
    for name in ("samples.jsonl", "redactions.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    corpus(tmp_path)
    with pytest.raises(ConfigError, match=r"no rows of a source 'clinics'; did you mean 'clinic'"):
        cleaned(tmp_path, "out", sources=("clinics",))


def test_what_tools_said_and_their_evidence_lose_people_too(tmp_path: Path) -> None:
    where = Evidence("MRN 4711223", TEXT, "Mr. Quxley's record", kind="record", date="2021-03-04")
    book = Evidence("pubmed:123", TEXT, "PubMed", date="2019-01-01")
    result = ToolResult("c", (TEXT,), (where, book), "no row of Mr. Quxley", {"name": "Mr. Quxley", "n": 3})
    call = ToolCall("c", "look_up", {"patient": "Mr. Quxley", "mrn": "MRN 4711223"})
    row = Sample(
        "clinic/1",
        (
            Message("user", ("Who?",)),
            Message("assistant", (call,)),
            Message("tool", (result,)),
            Message("assistant", ("Pneumonia.",), error="the server of Mr. Quxley failed"),
        ),
        source="clinic",
        license="CC0-1.0",
    )
    corpus(tmp_path)
    io.write_jsonl(tmp_path / "corpus" / "samples.jsonl", [row])
    summary = cleaned(tmp_path, "out")
    (found,) = io.read_samples(tmp_path / "out" / "samples.jsonl")
    said = io.encoded(found).decode()
    assert not any(secret in said for secret in SECRET)
    told = found.messages[2].parts[0]
    assert isinstance(told, ToolResult) and told.data["n"] == 3 and "pneumonia" in told.parts[0]
    assert [(one.source, one.date) for one in told.evidence[1:]] == [("PubMed", "2019-01-01")]
    assert summary["changed"] == 1
