"""Every noun survives JSON (Hypothesis), and rows that version 0.1 wrote are still read."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import (
    Annotations,
    Claim,
    Effects,
    Evidence,
    EvidenceKind,
    Finding,
    ImageRef,
    Label,
    Locator,
    Medical,
    Mention,
    Message,
    Need,
    Prompt,
    Provenance,
    Ruling,
    Sample,
    Step,
    StopReason,
    ToolCall,
    ToolResult,
    Trace,
)

OLD = Path(__file__).parent / "rows_of_0_1.jsonl"
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
numbers = st.integers(0, 9)
spans = st.tuples(numbers, numbers)
boxes = st.tuples(numbers, numbers, numbers, numbers)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | texts,
    lambda inner: (
        st.lists(inner, max_size=2).map(tuple) | st.dictionaries(texts | st.just("type"), inner, max_size=2)
    ),
    max_leaves=4,
)
objects = st.dictionaries(texts, texts, max_size=2)
images = st.builds(ImageRef, texts.filter(bool), texts, st.none() | numbers, st.none() | boxes)
locators = st.builds(Locator, st.none() | spans, st.none() | boxes, st.none() | numbers, texts)
evidence = st.builds(
    Evidence, texts, texts, texts, st.lists(images, max_size=1).map(tuple), st.floats(0, 1),
    st.sampled_from(get_args(EvidenceKind)),
    texts, st.none() | locators.filter(lambda at: at != Locator()), texts, texts, texts, texts,
)  # fmt: skip
arguments = st.dictionaries(texts, texts | numbers | st.lists(texts, max_size=2), max_size=2)
calls = st.builds(ToolCall, texts, texts, arguments)
results = st.builds(
    ToolResult,
    texts,
    st.lists(texts | images, max_size=2).map(tuple),
    st.lists(evidence, max_size=2).map(tuple),
    texts,
)
parts = st.lists(texts | images | calls | results, max_size=3).map(tuple)
messages = st.builds(Message, st.sampled_from(("system", "user", "assistant", "tool")), parts)
talks = st.lists(messages, max_size=3).map(tuple)
prompts = st.builds(Prompt, texts.filter(bool), talks, st.lists(texts, max_size=2).map(tuple), objects)
findings = st.builds(Finding, texts.filter(bool), texts.filter(bool), texts, texts, texts, texts.filter(bool))
ids = st.lists(texts, max_size=2).map(tuple)
claims = st.builds(
    Claim, texts, texts, st.none() | spans, ids, st.none() | findings, st.sampled_from(get_args(Need))
)
rulings = st.builds(Ruling, texts, st.sampled_from(get_args(Label)), ids, texts, texts)
held = plain | messages | results | talks
steps = st.builds(
    Step, numbers, st.sampled_from(("ask", "rank", "use", "note")), texts, texts,
    st.lists(numbers, max_size=2).map(tuple), held, held, numbers, numbers, texts,
)  # fmt: skip
traces = st.builds(
    Trace, prompts, talks, texts, st.lists(steps, max_size=3).map(tuple), st.lists(claims,
    max_size=2).map(tuple),
    st.lists(rulings, max_size=2).map(tuple), st.sampled_from(get_args(StopReason)), objects,
)  # fmt: skip


@given(traces)
@settings(max_examples=300, deadline=None)
def test_every_trace_survives_json(trace: Trace) -> None:
    assert io.trace_from_json(json.loads(io.encoded(trace))) == trace


@given(traces)
@settings(max_examples=100, deadline=None)
def test_evidence_is_that_of_the_tool_results_of_steps_and_messages(trace: Trace) -> None:
    own = [part for m in trace.messages[len(trace.prompt.messages) :] for part in m.parts]
    held = [s.got for s in trace.steps] + own
    ids = {e.id for result in held if isinstance(result, ToolResult) for e in result.evidence}
    assert {e.id for e in trace.evidence} == ids


def test_rows_of_version_0_1_are_read() -> None:
    rows = list(io.read_jsonl(OLD))
    assert {row["kind"] for row in rows} == {"sample", "trace"} and len(rows) >= 6
    for row in rows:
        if row["kind"] == "sample":
            sample = io.sample_from_json(row["row"])
            assert isinstance(sample, Sample)
            assert io.sample_from_json(json.loads(io.encoded(sample))) == sample
            continue
        trace = io.trace_from_json(row["row"])
        assert [e.id for e in trace.evidence] == [e["id"] for e in row["row"].get("evidence", ())]
        assert io.trace_from_json(json.loads(io.encoded(trace))) == trace


TYPED = {  # what wrote a row in version 0.1 -> the keys of its `meta` that have fields of their own today
    "reader pubtator": {"mentions"},
    "reader iob_tsv": {"mentions"},
    "reader pubmed_xml": {"publication_types"},
    "data.gather": {"nodes"},
    "synth_card": {"made", "nodes", "facts", "by"},
    "synth_choice": {"made", "nodes", "facts", "by", "asks", "options", "answer", "evidence", "chain"},
    "synth_path": {"made", "nodes", "facts", "by", "path", "answer", "chain"},
    "synth_caption": {"made", "nodes", "facts", "by", "made_of", "made_of_source"},
    "data.align": {"alignment"},
    "data.teach": {
        "made", "nodes", "facts", "by", "path", "answer", "chain", "made_of", "made_of_source", "gates",
    },
    "data.classify": {"medical"},
    "one's own": {"reviewed"},
}  # fmt: skip


def test_keys_of_meta_that_code_read_in_version_0_1_are_typed_fields_now() -> None:
    rows = {row["by"]: row["row"] for row in io.read_jsonl(OLD) if "by" in row}
    assert set(rows) == set(TYPED)
    for by, row in rows.items():
        sample = io.sample_from_json(row)
        assert set(sample.meta) == set(row["meta"]) - TYPED[by], by
        noted = io.noted(sample)
        for key, value in row["meta"].items():
            if key == "mentions" and isinstance(value, list):
                assert noted[key] == [[*mention, ""][:5] for mention in value]
            else:
                assert noted.get(key, []) == value, (by, key)


def test_a_key_of_meta_that_means_something_else_to_its_owner_stays() -> None:
    meta = {
        "mentions": [["fever", 3]],
        "medical": True,
        "alignment": "left",
        "nodes": 4,
        "answer": "B",
        "by": "me",
    }
    sample = io.sample_from_json({"id": "1", "messages": [], "meta": meta})
    assert sample.meta == meta and io.to_json(sample)["meta"] == meta


def test_annotations_that_are_none_are_an_error_of_one_sentence() -> None:
    row = {"id": "1", "messages": []}
    for more, says in (
        ({"annotations": {"mentions": [[1, 2]]}}, "annotations.mentions cannot be"),
        ({"annotations": {"mood": 1}}, "annotations has no 'mood'"),
        ({"provenance": {"facts": "a"}}, "provenance.facts cannot be"),
        ({"provenance": []}, "provenance must be an object"),
    ):
        with pytest.raises(DataError, match=re.escape(says)):
            io.sample_from_json({**row, **more})


notes = st.builds(
    Annotations,
    st.lists(st.builds(Mention, numbers, numbers, texts, texts, texts), max_size=2).map(tuple),
    ids,
    texts,
    ids,
    st.none() | st.builds(Medical, st.floats(0, 1), numbers),
    objects,
)
made = st.builds(
    Provenance, texts, st.lists(objects, max_size=2).map(tuple), objects, texts, texts, texts, ids, texts,
    texts, st.none() | st.dictionaries(texts, texts, min_size=1, max_size=2), texts, ids,
)  # fmt: skip


@given(notes, made)
@settings(max_examples=100, deadline=None)
def test_every_annotation_survives_json(annotations: Annotations, provenance: Provenance) -> None:
    sample = Sample("s", (Message("user", ("q",)),), annotations=annotations, provenance=provenance)
    assert io.sample_from_json(json.loads(io.encoded(sample))) == sample


def test_the_literals_of_tools_are_closed() -> None:
    assert get_args(Effects) == ("none", "reads", "writes")
