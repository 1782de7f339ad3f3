"""Exports of traces, read by what reads those formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trace_bundles import bundle

from medxiaohe import cli
from medxiaohe.agents.report import report
from medxiaohe.cli.trace import write
from medxiaohe.evidence import gather
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Message, Prompt

FINDINGS = "There is a small left pleural effusion. Heart size is normal."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two traces of questions and one of a report."""
    place = bundle(tmp_path_factory.mktemp("exports") / "t", [0, 1])
    study = gather.Study(texts={"findings.txt": FINDINGS})
    tools = open_tools(["study"], {"study_evidence": gather.gather(study)})
    prompt = Prompt("study/1", (Message("user", ("Describe.",)),), facts={"indication": "Cough"})
    (trace,) = report([prompt], scripted("m", ["Small left effusion. The heart is enlarged."]), tools)
    write([trace], place, documents=gather.documents(study))
    return place


def exported(folder: Path, to: str, capsys: pytest.CaptureFixture[str], *more: str) -> list[Any]:
    assert cli.main(["trace", "export", str(folder), *more, "--to", to]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_spans_are_those_of_the_genai_conventions_and_have_words_only_when_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = exported(folder, "otel", capsys)
    assert len(rows) == 3 and "Question" not in json.dumps(rows)
    lines = (folder / "log.jsonl").read_text().splitlines()
    steps = sum('"step":' in line and '"decision"' not in line for line in lines)
    spans = [span for row in rows for span in row["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert len(spans) == 3 + steps
    for span in spans:
        about = {one["key"]: one["value"] for one in span["attributes"]}
        name = about["gen_ai.operation.name"]["stringValue"]
        assert span["name"].startswith(name) and name in ("invoke_agent", "chat", "execute_tool")
        assert span["kind"] == (3 if name == "chat" else 1)
        assert name == "execute_tool" or "gen_ai.provider.name" in about
        assert len(span["traceId"]) == 32 and len(span["spanId"]) == 16
    (row, *_) = exported(folder, "otel", capsys, "0", "--content")
    chat = next(s for s in row["resourceSpans"][0]["scopeSpans"][0]["spans"] if s["name"].startswith("chat"))
    about = {one["key"]: one["value"].get("stringValue", "") for one in chat["attributes"]}
    asked, said = (json.loads(about[f"gen_ai.{way}.messages"]) for way in ("input", "output"))
    assert {part["type"] for part in said[0]["parts"]} == {"text", "tool_call"}
    assert said[0]["finish_reason"] == "stop"
    assert asked == [] or asked[0]["role"] == "user"


def test_an_in_toto_statement_is_about_the_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = exported(folder, "intoto", capsys)
    assert first["_type"] == "https://in-toto.io/Statement/v1" and first["predicateType"]
    assert [one["name"] for one in first["subject"]][1] == "answer.txt"
    assert all(set(one["digest"]) == {"sha256"} for one in first["subject"])


def test_a_log_of_inspect_has_calls_their_results_and_rulings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (log,) = exported(folder, "inspect", capsys)
    first = log["samples"][0]
    assert log["version"] == 2 and log["eval"]["dataset"]["sample_ids"] == [s["id"] for s in log["samples"]]
    roles = [message["role"] for message in first["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    calls = [call["id"] for call in first["messages"][1]["tool_calls"]]
    assert [message["tool_call_id"] for message in first["messages"][2:5]] == calls
    assert len(first["metadata"]["claims"]) == len(first["metadata"]["rulings"]) == 3


def test_fhir_is_what_a_reader_of_fhir_reads_and_names_the_trace(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = pytest.importorskip("fhir.resources.R4B.bundle")
    names = [row["trace"] for row in shown(folder, capsys)]
    kinds = []
    for row, name in zip(exported(folder, "fhir", capsys), names, strict=True):
        found = bundles.Bundle(**row)
        kinds.append(found.entry[0].resource.get_resource_type())
        provenance = found.entry[-1].resource
        assert provenance.get_resource_type() == "Provenance"
        assert provenance.entity[0].what.identifier.value == name
    assert kinds == ["DocumentReference", "DocumentReference", "DiagnosticReport"]


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert cli.main(["trace", "show", str(folder), "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_report_is_written_as_dicom_sr_and_nothing_else_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hd = pytest.importorskip("highdicom")
    from medxiaohe.data.readers.dicom import tiny

    (tmp_path / "image.dcm").write_bytes(tiny())
    out, image = tmp_path / "report.dcm", ["--dicom", str(tmp_path / "image.dcm")]
    words = ["trace", "export", str(folder), "2", "--to", "sr", *image, "--out", str(out)]
    assert cli.main(words) == 0
    made = hd.sr.srread(out)
    groups = made.content.get_image_measurement_groups()
    assert made.VerificationFlag == "UNVERIFIED" and groups[0].finding_type.meaning == "pleural effusion"
    assert cli.main(words) == 2 and "already exists" in capsys.readouterr().err
    assert cli.main([*words[:3], "0", *words[4:-1], str(tmp_path / "b.dcm")]) in (2, 3)
    assert "it has no report" in capsys.readouterr().err and not (tmp_path / "b.dcm").exists()
    assert cli.main([*words[:3], "--to", "sr"]) == 2


def test_a_redacted_copy_exports_what_is_open(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["trace", "redact", str(folder), "--keep", "claim", "--out", str(tmp_path / "r")]) == 0
    capsys.readouterr()
    assert all("data" not in json.dumps(row) for row in exported(tmp_path / "r", "fhir", capsys))
    assert "Question" not in json.dumps(exported(tmp_path / "r", "otel", capsys, "--content"))
    assert cli.main(["trace", "export", str(tmp_path / "r"), "--to", "inspect"]) in (1, 2, 3)
    assert "no trace is open" in capsys.readouterr().err
