"""Reinforcement learning over several turns with tools: what carries loss, what resumes, what a dead
retriever does."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from agentic_for_tests import knows, library, mixture, outcome, short

from medxiaohe import io
from medxiaohe.errors import ConfigError, RetrieverDown
from medxiaohe.train.agentic import Retriever, agentic
from medxiaohe.train.loop import resume

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
__all__ = ["knows", "library", "mixture"]  # fixtures


def test_what_tools_say_has_a_gradient_of_exactly_zero(
    mixture: Path, knows: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With respect to the hidden states that the logits of those tokens are made of, and so to the logits."""
    from trl import GRPOTrainer

    seen: list[tuple[Any, Any, Any]] = []
    real = GRPOTrainer._compute_loss

    def watched(self: Any, model: Any, inputs: dict[str, Any]) -> Any:
        kept: list[Any] = []

        def keep(_: Any, __: Any, output: Any) -> None:
            output.last_hidden_state.retain_grad()
            kept.append(output.last_hidden_state)

        hook = self.accelerator.unwrap_model(model).model.register_forward_hook(keep)
        loss = real(self, model, inputs)
        hook.remove()
        seen.append((kept[0], inputs, loss))
        return loss

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    settings = short(library, max_steps=6, beta=0.05, entropy_coef=0.01, per_device_train_batch_size=8)
    agentic(settings, tmp_path / "out", data=mixture, model=knows)
    from_tools = from_policy = 0
    for hidden, inputs, _ in seen:
        # of the token behind each position
        predicts = hidden.grad[:, inputs["prompt_ids"].shape[1] - 1 : -1].abs().amax(-1)
        outside = (inputs["tool_mask"] * inputs["completion_mask"]) == 0
        assert predicts[outside].max() == 0.0
        assert hidden.grad[:, : inputs["prompt_ids"].shape[1] - 1].abs().max() == 0.0, "nor does the prompt"
        from_tools += int((outside & (inputs["completion_mask"] == 1)).sum())
        from_policy += int((predicts[~outside] > 0).sum())
    assert from_tools > 50 and from_policy > 50


class Killed(BaseException):
    pass


@pytest.mark.slow
def test_it_resumes_to_the_same_bits_from_every_step(
    mixture: Path, knows: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text and image prompts in one batch, two steps for each generation: every second checkpoint has
    conversations in hand."""
    settings = short(library, max_steps=4, num_iterations=2, save_steps=1, per_device_train_batch_size=6)
    with io.publish(tmp_path / "whole") as draft:
        summary = agentic(settings, draft, data=mixture, model=knows)
    written = list(io.read_jsonl(tmp_path / "whole" / "rollouts.jsonl"))
    assert len(written) == summary["rollouts"] == 12 and 0 < summary["conversations_with_tools"] <= 1
    assert {row["sample"] for row in written} & {"r/0", "r/3", "r/6", "r/9"}, "images among them"
    metrics = list(io.read_jsonl(tmp_path / "whole" / "metrics.jsonl"))
    assert all({"reward", "entropy", "rounds", "used"} <= set(row) for row in metrics)
    real = resume._save
    for step in (1, 2, 3, 4):

        def save(trainer: Any, *rest: Any, at: int = step) -> None:
            real(trainer, *rest)
            if trainer.state.global_step == at:
                raise Killed

        with monkeypatch.context() as context, pytest.raises(Killed):
            context.setattr(resume, "_save", save)
            with io.publish(tmp_path / "killed") as draft:
                agentic(settings, draft, data=mixture, model=knows)
        with io.publish(tmp_path / "killed") as draft:
            agentic(settings, draft, data=mixture, model=knows)
        assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole"), f"killed after step {step}"


class Answers(BaseHTTPRequestHandler):
    left = 3  # requests that are answered

    def do_POST(self) -> None:
        type(self).left -= 1
        body = b'{"passages": [[{"id": "1", "text": "Number 1 is odd."}]]}' if self.left >= 0 else b"no"
        self.send_response(200 if self.left >= 0 else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_retriever_that_dies_stops_training_and_says_so(
    mixture: Path, knows: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.retrieval import service

    monkeypatch.setattr(service.time, "sleep", lambda _: None)
    Answers.left = 4
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/retrieve"
    settings = short(library, max_steps=30, retriever=Retriever(url=url), save_steps=1)
    try:
        with (
            pytest.raises(RetrieverDown, match=r"failed 3 times \(status 503\): start it"),
            io.publish(tmp_path / "out") as draft,
        ):
            agentic(settings, draft, data=mixture, model=knows)
    finally:
        server.shutdown()
    assert not (tmp_path / "out").exists() and Answers.left < 0
    with pytest.raises(RetrieverDown, match="failed 3 times"):
        service.Service("http://127.0.0.1:1/retrieve").search(["x"], 3)


def test_a_query_does_not_leave_this_machine_unasked() -> None:
    from medxiaohe.errors import PrivacyError
    from medxiaohe.retrieval.service import Service

    with pytest.raises(PrivacyError, match="would leave this machine"):
        Service("http://retriever.example/search")


def test_the_four_rewards_of_the_paper(mixture: Path, knows: Path, library: Path, tmp_path: Path) -> None:
    (tmp_path / "tree.tsv").write_text(
        "id\tname\tkind\nmy:1\tnumber\tconcept\nmy:2\todd\tfinding\nmy:3\teven\tfinding\n"
    )
    from medxiaohe.entity.build import BuildSettings, Vocabulary, build

    tree = tmp_path / "tree"
    with io.publish(tree) as draft:
        build(BuildSettings((Vocabulary("tsv", str(tmp_path / "tree.tsv"), license="CC0-1.0"),)), draft)
    settings = short(library, max_steps=3, per_device_train_batch_size=8, earns="rwr")
    with pytest.raises(ConfigError, match=r"wire one to needs\.tree, or set weights\.query to 0"):
        agentic(settings, tmp_path / "no", data=mixture, model=knows)
    agentic(settings, tmp_path / "out", data=mixture, model=knows, tree=tree)
    rows = list(io.read_jsonl(tmp_path / "out" / "rollouts.jsonl"))
    used = [row for row in rows if row["parts"]["used"]]
    assert used and all({"format", "accuracy", "query", "confidence"} <= set(row["parts"]) for row in used)
    for row in rows:
        parts = row["parts"]
        total = (
            parts["format"]
            + 5 * parts["accuracy"]
            + 0.4 * parts.get("query", 0)
            + 5 * parts.get("confidence", 0)
        )
        assert row["reward"] == pytest.approx(total, abs=2e-3)
    assert any(row["parts"]["confidence"] for row in used)


def test_prompts_that_were_compared_with_nothing_are_refused(library: Path, tmp_path: Path) -> None:
    io.write_jsonl(tmp_path / "prompts.jsonl", [])
    with pytest.raises(ConfigError, match="was compared with no test split"):
        agentic(short(library, model="starter"), tmp_path / "out", data=tmp_path)
