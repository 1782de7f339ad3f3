"""A run keeps every trace, never shows the gold to a model, and comparisons are paired on the same items."""

import json
from pathlib import Path

import pytest

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.compare import CompareSettings, bucket_of_item, compare
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.evals.statistics.groups import groups
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Message, Sample

CANARY = "zebra-7f3a"
TASK = """
from medxiaohe.scoring.exact import exact
from medxiaohe.types import Message, Sample, Task

def toy(size: int = 40):
    def samples(split):
        for i in range(size):
            gold = "{canary}" if i % 2 else "yes"
            messages = (Message("user", (f"Question {{i}}?",)), Message("assistant", (gold,)))
            yield Sample(f"toy/{{split}}/{{i}}", messages, gold, entities=(f"E{{i % 3}}",), patient_id=f"p{{i // 2}}", split=split)
    return Task("toy", samples, (exact,), next(samples("test")), "CC0-1.0")
"""  # noqa: E501


@pytest.fixture
def task(tmp_path: Path) -> str:
    (tmp_path / "toy.py").write_text(TASK.format(canary=CANARY))
    return f"{tmp_path}/toy.py:toy"


def evaluated(monkeypatch: pytest.MonkeyPatch, out: Path, settings: RunSettings, reply, **roles: Path):
    """Run the stage on a scripted model; returns the model and the summary."""
    engine = scripted(answer=reply)
    load = plugins.load
    monkeypatch.setattr(
        plugins,
        "load",
        lambda kind, name, **how: (lambda model: engine) if kind == "models" else load(kind, name, **how),
    )
    return engine, run(settings, out, **roles)


def test_the_gold_never_reaches_the_model(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, summary = evaluated(
        monkeypatch, tmp_path / "a", RunSettings((TaskRun(task),), model="m"), lambda talk: "yes"
    )
    sent = json.dumps([io.to_json(talk) for talk in engine.conversations])
    assert "Question 39" in sent and CANARY not in sent
    assert CANARY in (tmp_path / "a/traces.jsonl").read_text()
    assert summary["toy"]["mean"] == 0.5 and summary["toy"]["n"] == 40 and summary["toy"]["clusters"] == 20


def test_unparsed_and_refused_stay_in_the_mean(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = ["yes", "", "I cannot determine this.", CANARY] * 10
    _, summary = evaluated(monkeypatch, tmp_path / "a", RunSettings((TaskRun(task),), model="m"), replies)
    assert {k: summary["toy"][k] for k in ("n", "mean", "unparsed", "refused")} == {
        "n": 40,
        "mean": 0.5,
        "unparsed": 10,
        "refused": 10,
    }
    assert summary["toy"]["constant"] == 0.5 and summary["toy"]["constant_from"] == "train"


def test_two_runs_leave_the_same_bytes(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        evaluated(
            monkeypatch,
            tmp_path / name,
            RunSettings((TaskRun(task, limit=10),), model="m"),
            lambda talk: talk[0].text,
        )
    for file in ("traces.jsonl", "summary.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_comparison_is_paired_and_by_frequency(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings((TaskRun(task),), model="m")
    evaluated(monkeypatch, tmp_path / "base", settings, lambda talk: "yes")
    monkeypatch.undo()
    evaluated(monkeypatch, tmp_path / "good", settings, ["yes", CANARY] * 20)
    io.write_json(tmp_path / "corpus/coverage.json", {"E0": 100, "E1": 10, "E2": 0})
    stages = {"base": tmp_path / "base", "good": tmp_path / "good"}
    found = compare(CompareSettings(), tmp_path / "c", corpus=tmp_path / "corpus", **stages)
    (pair,) = found["paired"]
    assert (pair["a"], pair["b"], pair["difference"], pair["n"], pair["clusters"]) == (
        "base",
        "good",
        0.5,
        40,
        20,
    )
    assert pair["test"] == "sign flips by cluster" and pair["p"] < 0.001 and pair["p_holm"] == pair["p"]
    assert set(found["buckets"]["toy"]["good"]) == {"head", "tail"} and found["stages"] == ["base", "good"]
    assert io.read_json(tmp_path / "c/comparison.json")["tasks"]["toy"][1]["mean"] == 1.0


def test_runs_that_were_asked_different_things_are_not_compared(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings((TaskRun(task, limit=4),), model="m")
    evaluated(monkeypatch, tmp_path / "a", settings, lambda talk: "yes")
    rows = list(io.read_jsonl(tmp_path / "a/traces.jsonl"))
    rows[0]["sample"]["messages"][0]["parts"] = ["Another question?"]
    io.write_jsonl(tmp_path / "b/traces.jsonl", rows)
    io.write_json(tmp_path / "b/summary.json", io.read_json(tmp_path / "a/summary.json"))
    with pytest.raises(DataError, match="different things"):
        compare(CompareSettings(), tmp_path / "c", base=tmp_path / "a", other=tmp_path / "b")


def test_perplexity_is_measured_on_test_documents_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        Sample(f"d{i}", (Message("document", ("text " * i,)),), split="test" if i % 2 else "train")
        for i in range(1, 9)
    ]
    io.write_jsonl(tmp_path / "data/samples.jsonl", rows)
    for name, nats in (("a", 2.0), ("b", 1.0)):
        engine = scripted()
        engine.token_nats = lambda texts, nats=nats: [(nats * len(t.split()), len(t.split())) for t in texts]  # type: ignore[attr-defined]
        monkeypatch.setattr("medxiaohe.evals.run.load_model", lambda settings, stage, engine=engine: engine)
        summary = run(RunSettings(model="m", perplexity=10), tmp_path / name, data=tmp_path / "data")
        assert (
            summary["bits_per_token"] == pytest.approx(nats / 0.6931, rel=1e-3) and summary["documents"] == 4
        )
    found = compare(CompareSettings(), tmp_path / "c", a=tmp_path / "a", b=tmp_path / "b")
    assert found["perplexity"]["paired"][0]["difference"] == pytest.approx(-1.4427, abs=1e-3)
    assert [row["stage"] for row in found["perplexity"]["stages"]] == ["a", "b"]


def test_the_rarest_entity_decides_the_bucket() -> None:
    bucket = bucket_of_item({"common": 90, "rare": 1, "middle": 30})
    assert (
        bucket(["common"]) == "head"
        and bucket(["common", "rare"]) == "tail"
        and bucket(["never seen"]) == "tail"
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (lambda: RunSettings(), "tasks"),
        (lambda: RunSettings((TaskRun("chest_xrai"),)), "did you mean 'chest_xray'"),
        (lambda: RunSettings((TaskRun("chest_xray", args={"pth": "."}),)), "did you mean 'path'"),
        (lambda: RunSettings((TaskRun("chest_xray", limit=0),)), "at least 1"),
        (lambda: RunSettings((TaskRun("chest_xray"), TaskRun("chest_xray", limit=3))), "label"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        settings()


def test_no_model_and_two_models_are_refused(tmp_path: Path) -> None:
    settings = RunSettings((TaskRun("chest_xray"),), backend="scripted")
    with pytest.raises(ConfigError, match="no model"):
        run(settings, tmp_path)
    with pytest.raises(ConfigError, match="two models"):
        run(
            RunSettings((TaskRun("chest_xray"),), model="starter", backend="scripted"),
            tmp_path,
            model=tmp_path,
        )


def test_a_real_model_runs_through(task: str, tmp_path: Path, tiny_vlm: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage/model").symlink_to(tiny_vlm)
    io.write_jsonl(
        tmp_path / "data/samples.jsonl",
        [Sample("d", (Message("document", ("fever and cough",)),), split="test")],
    )
    settings = RunSettings((TaskRun(task, limit=3),), perplexity=1, max_new_tokens=4)
    summary = run(settings, tmp_path / "out", model=tmp_path / "stage", data=tmp_path / "data")
    assert summary["toy"]["n"] == 3 and summary["bits_per_token"] > 0 and summary["documents"] == 1


def test_kinds_of_tasks_are_means_of_tasks_and_private_ones_stay_apart() -> None:
    def task(n: int, mean: float, access: str, *tags: str) -> dict:
        return {
            "scores": {"n": n, "mean": mean, "low": mean - 0.1, "high": mean + 0.1},
            "access": access,
            "tags": list(tags),
        }

    tasks = {
        "a": task(900, 0.2, "public", "exam", "text"),
        "b": task(100, 0.6, "public", "exam", "medevalkit"),
    }
    tasks |= {
        "c": task(10, 1.0, "private", "exam"),
        "d": {**task(0, 0.0, "public", "exam"), "scores": {"n": 0, "mean": None}},
    }
    found = {(group["access"], group["tag"]): group for group in groups(tasks)}
    assert set(found) == {
        ("public", ""),
        ("public", "exam"),
        ("public", "text"),
        ("private", ""),
        ("private", "exam"),
    }
    exam = found["public", "exam"]
    assert (exam["tasks"], exam["n"]) == (["a", "b"], 1000) and exam["mean"] == pytest.approx(0.4), (
        "each task counts once"
    )
    assert exam["high"] - exam["mean"] == pytest.approx(0.1 / 2**0.5), (
        "two errors that know nothing of each other"
    )
    assert (found["public", "text"]["low"], found["public", "text"]["high"]) == (
        pytest.approx(0.1),
        pytest.approx(0.3),
    )
