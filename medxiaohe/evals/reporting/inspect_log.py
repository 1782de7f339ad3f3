"""Export results as logs of Inspect (inspect.aisi.org.uk), for its viewer and its `read_eval_log`.

There is one file for each task. Inspect wants a time in every log. Ours hold none, so it is always the first
second of 2000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import JudgeFailed
from medxiaohe.types import ImageRef, Message, Sample, Trace

NO_TIME = "2000-01-01T00:00:00+00:00"  # ISO 8601
VERSION = 2  # of the log format
STATUS = {
    "judged": "",
    "unparsed": "unparsed",
    "refused": "refused",
    "truncated": "truncated",
    "unjudged": "unjudged",
    "error": "error",
}


def export(folder: Path, results: Mapping[str, Any], path: Path) -> list[Path]:
    """Write the results of an evaluation as logs of Inspect.

    Args:
        folder: of the evaluation, with traces.jsonl.
        results: content of its results.json.
        path: of the log; with several tasks the name of each is added to it.

    Returns:
        paths of the files

    Raises:
        JudgeFailed: the judge of a task failed its checks, so its scores are not published.
    """
    if doubted := next((name for name, task in results["tasks"].items() if task.get("judge_doubted")), None):
        raise JudgeFailed(
            f"the scores of {doubted} are not published: {results['tasks'][doubted]['judge_doubted']}"
        )
    names = list(results["tasks"])
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for row in io.read_jsonl(folder / "traces.jsonl"):
        samples[row["task"]].append(
            _sample(io.sample_from_json(row["sample"]), io.trace_from_json(row["trace"]), row["scores"])
        )
    written = []
    for name in names:
        log_path = path if len(names) == 1 else path.with_name(f"{path.stem}.{name}{path.suffix or '.json'}")
        io.write_json(log_path, _log(name, results, samples[name]))
        written.append(log_path)
    return written


def _log(name: str, results: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    task, model = results["tasks"][name], results["model"]
    scored = task["scores"]
    metrics = {"mean": scored["mean"], "low": scored["low"], "high": scored["high"]}
    metrics |= {key: scored.get(key, 0) for key in ("unparsed", "refused", "truncated", "unjudged")}
    first = next(iter(task["scorers"]), "score")
    config = {
        "max_tokens": model["max_new_tokens"],
        "temperature": model["temperature"],
        "seed": results["seeds"][0],
    }
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": io.fingerprint([results["traces"], name]),
            "run_id": io.fingerprint(results["traces"]),
            "created": NO_TIME,
            "task": name,
            "task_id": io.fingerprint([name, task["version"]]),
            "task_version": 0,
            "task_attribs": {},
            "task_args": io.to_json(task["args"]),
            "dataset": {
                "name": task["task"],
                "samples": len(samples),
                "sample_ids": [s["id"] for s in samples],
                "shuffled": False,
            },
            "model": f"{model['backend']}/{model['name']}",
            "model_args": {},
            "config": {"limit": task["limit"]},
            "packages": results["packages"],
            "metadata": {
                key: task[key]
                for key in ("split", "dataset", "prompts", "prompt_template", "scorers", "license")
            },
        },
        "plan": {"name": "plan", "steps": [{"solver": task["workflow"], "params": {}}], "config": config},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [
                {
                    "name": first,
                    "scorer": first,
                    "params": {},
                    "metrics": {
                        k: {"name": k, "value": v, "params": {}} for k, v in metrics.items() if v is not None
                    },
                }
            ],
        },
        "stats": {"started_at": NO_TIME, "completed_at": NO_TIME, "model_usage": {}},
        "samples": list(samples),
    }


def _sample(sample: Sample, trace: Trace, scores: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    reply = trace.answer
    choice = {"message": {"role": "assistant", "content": reply, "source": "generate"}, "stop_reason": "stop"}
    return {
        "id": sample.id,
        "epoch": 1,
        "input": [_message(message) for message in sample.prompt.messages],
        "choices": list(sample.choices) or None,
        "target": sample.target,
        "messages": [_message(message) for message in trace.messages],
        "output": {"model": "", "choices": [choice]},
        "scores": {score["name"]: _score(score, reply) for score in scores},
        "metadata": {"patient_id": sample.patient_id, "study_id": sample.study_id, "source": sample.source},
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }


def _score(score: Mapping[str, Any], reply: str) -> dict[str, Any]:
    """Score of Inspect. Its value for "unjudged" is NaN, which its means leave out, as ours do."""
    value = score["value"]
    why = " ".join(filter(None, [STATUS[score["status"]], score.get("why", "")]))
    return {
        "value": "NaN" if value is None else value,
        "answer": score.get("parsed") or None,
        "explanation": why or None,
        "metadata": {"said": reply},
    }


def _message(message: Message) -> dict[str, Any]:
    """Message with its text and the names of images; calls and results of tools are text."""
    role = message.role if message.role in ("system", "user", "assistant") else "user"
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ImageRef):
            content.append({"type": "image", "image": part.uri, "detail": "auto"})
        else:
            content.append({"type": "text", "text": part if isinstance(part, str) else str(io.to_json(part))})
    return {"role": role, "content": content}
