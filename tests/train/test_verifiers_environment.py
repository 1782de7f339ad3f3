"""A task as an environment of verifiers 0.4: its loader finds it, its rollout records every request, the task
scores. Runs where verifiers is installed (an installation without the extra mcp)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from medxiaohe import io

vf = pytest.importorskip("verifiers.v1")
MODULE = (
    "from medxiaohe.train.environments.verifiers_env import *\n__all__ = ['TalkHarness', 'TalkTaskset']\n"
)


class Answers(BaseHTTPRequestHandler):
    """Searches first, then answers with what it read."""

    asked = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked += 1
        read = "Lima" in json.dumps(request["messages"])
        text = "<think>b</think><answer>Lima</answer>" if read else "<think>a</think><query>Peru</query>"
        message = {"role": "assistant", "content": text}
        body = json.dumps({
            "id": "1", "object": "chat.completion", "created": 1, "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        }).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()


def test_a_rollout_runs_the_workflow_and_is_scored_by_the_task(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verifiers.v1.utils.loaders import load_environment

    io.write_jsonl(tmp_path / "p.jsonl", [{"id": "1", "text": "The capital of Peru is Lima.", "source": "x"}])
    (tmp_path / "medxiaohe_talks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NO_KEY", "none")
    sys.modules.pop("medxiaohe_talks", None)
    talk = {
        "task_name": "everyday", "workflow": "rwr", "tools": ["search"], "library": str(tmp_path / "p.jsonl"),
    }  # fmt: skip
    config = vf.SingleAgentEnvConfig(
        taskset={"id": "medxiaohe_talks", "task": talk},
        agent={"harness": {"id": "medxiaohe_talks", "talk": talk}, "runtime": {"type": "subprocess"}},
    )
    env = load_environment(config)
    task = next(one for one in env.taskset if "Peru" in one.data.prompt_text)
    client = vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY")
    context = vf.ModelContext(client=client, model="m", sampling=vf.SamplingConfig())

    async def play() -> object:
        async with env.serving():
            return await env.run_episode(task, context)

    episode = asyncio.run(play())
    (trace,) = episode.traces  # type: ignore[attr-defined]
    assert not episode.errors and not trace.errors, (episode.errors, trace.errors)  # type: ignore[attr-defined]
    assert trace.reward == 1.0 and Answers.asked == 2
    said = [one.content for one in trace.branches[-1].messages if one.role == "assistant"]
    assert any("Lima" in str(text) for text in said), "what the policy said is on the record"
