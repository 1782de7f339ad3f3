"""What goes wrong in training is one clear sentence, and the checkpoint before it is intact: dpo, rl and
agentic."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError, MedError, ModelError, StorageError
from medxiaohe.models import checkpoint
from medxiaohe.train.agentic import AgenticSettings, Retriever, agentic
from medxiaohe.train.dpo import DpoSettings, dpo
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
FULL = Parts(language="full", projector=False)
KINDS = ("dpo", "rl", "agentic")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    asks = [Message("user", (f"Is {i} even?",)) for i in range(8)]
    rows = [
        Sample(f"r/{i}", (ask, Message("assistant", ("yes",))), source="held_out", target="yes")
        for i, ask in enumerate(asks)
    ]
    io.write_jsonl(folder / "prompts.jsonl", rows)
    io.write_jsonl(
        folder / "pairs.jsonl", [{"prompt": ask.text, "chosen": "yes", "rejected": "no"} for ask in asks]
    )
    io.write_jsonl(folder / "passages.jsonl", [{"id": "p", "text": "Number 1 is odd."}])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


def start(kind: str, data: Path, model: Path, out: Path, **given: Any) -> Any:
    base: dict[str, Any] = {
        "model": str(model),
        "parts": FULL,
        "max_steps": 3,
        "save_steps": 1,
        "per_device_train_batch_size": 4,
    }
    if kind == "dpo":
        return dpo(DpoSettings(**(base | given)), out, data=data)
    base |= {"num_generations": 2, "max_completion_length": 4, "patience": 0}
    if kind == "rl":
        return rl(RLSettings(**(base | given)), out, data=data)
    return agentic(
        AgenticSettings(**(base | {"retriever": Retriever(str(data / "passages.jsonl"))} | given)),
        out,
        data=data,
    )


def one_sentence(error: MedError) -> str:
    said = str(error)
    assert "\n" not in said and len(said) < 400 and said.count(". ") == 0, said
    return said


def checkpoints(out: Path) -> list[str]:
    (place,) = (out.parent / f".{out.name}.work").iterdir()
    for folder in place.glob("[0-9]*"):
        io.verify(folder)
    return sorted(folder.name for folder in place.glob("[0-9]*"))


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int, error: Exception) -> None:
    """The training step after so many fails like that."""
    from transformers import Trainer

    real, taken = Trainer.training_step, [0]

    def training_step(self: Any, *args: Any, **more: Any) -> Any:
        taken[0] += 1
        if taken[0] == step:
            raise error
        return real(self, *args, **more)

    monkeypatch.setattr(Trainer, "training_step", training_step)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_that_runs_out_leaves_a_checkpoint_to_go_on_from(
    kind: str, data: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        fail_at(context, 3, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
        with pytest.raises(ModelError) as caught, io.publish(tmp_path / "out") as draft:
            start(kind, data, tiny_vlm, draft)
    said = one_sentence(caught.value)
    assert (
        "ran out of memory: lower per_device_train_batch_size" in said
        and "same command continues from it" in said
    )
    assert checkpoints(tmp_path / "out") == ["00000001", "00000002"]
    with io.publish(tmp_path / "out") as draft:
        assert start(kind, data, tiny_vlm, draft)["steps"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_no_number_stops_before_it_is_saved(
    kind: str, data: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import DPOTrainer, GRPOTrainer

    trainer = DPOTrainer if kind == "dpo" else GRPOTrainer
    real = trainer._compute_loss

    def spoilt(self: Any, *args: Any, **more: Any) -> Any:
        loss = real(self, *args, **more)
        return loss * float("nan") if self.state.global_step == 2 else loss

    monkeypatch.setattr(trainer, "_compute_loss", spoilt)
    with pytest.raises(ModelError) as caught, io.publish(tmp_path / "out") as draft:
        start(kind, data, tiny_vlm, draft)
    said = one_sentence(caught.value)
    assert ("the loss of step 3 is nan" in said or "is not finite" in said) and "lower learning_rate" in said
    assert checkpoints(tmp_path / "out")[-1] == "00000002"


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_while_a_checkpoint_is_written(
    kind: str, data: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = resume.write_state

    def full(folder: Path, name: str, *rest: Any) -> None:
        if "00000002" in str(folder) and name == "optimizer":
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / name))
        real(folder, name, *rest)

    monkeypatch.setattr(resume, "write_state", full)
    with pytest.raises(StorageError) as caught, io.publish(tmp_path / "out") as draft:
        start(kind, data, tiny_vlm, draft)
    assert "is full: free some space" in one_sentence(caught.value)
    assert checkpoints(tmp_path / "out") == ["00000001"]


def test_weights_that_the_disk_does_not_take_are_one_sentence_too(
    data: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    """The error of safetensors is no OSError; a limit of the process stands for the end of the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(StorageError) as caught, io.publish(tmp_path / "out") as draft:
            start("dpo", data, tiny_vlm, draft)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = one_sentence(caught.value)
    assert "cannot write" in said and "SafetensorError" in repr(caught.value.__cause__)
    assert checkpoints(tmp_path / "out") == [] and not (tmp_path / "out").exists()
    with io.publish(tmp_path / "out") as draft:
        assert start("dpo", data, tiny_vlm, draft)["steps"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_of_another_model_is_refused(
    kind: str, data: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    loaded = checkpoint.load(str(tiny_vlm))
    loaded.processor.tokenizer.add_tokens(["pneumonia", "haemoglobin"])
    checkpoint.save(loaded, tmp_path / "other")
    with pytest.raises(ModelError) as caught:
        start(kind, data, tmp_path / "other", tmp_path / "out")
    assert "embeddings, so they are not of one checkpoint" in one_sentence(caught.value)
    mixed = checkpoint.load(str(tiny_vlm))
    mixed.processor.image_token_id = 7
    with pytest.raises(
        ModelError,
        match="an image is token 7 for its processor and 3 for the model: take both from one checkpoint",
    ):
        checkpoint.agree(mixed)


@pytest.mark.parametrize("kind", ("rl", "agentic"))
def test_a_missing_image_and_a_wrong_column_are_named(
    kind: str, data: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    (tmp_path / "mixture.json").write_bytes((data / "mixture.json").read_bytes())
    (tmp_path / "passages.jsonl").write_bytes((data / "passages.jsonl").read_bytes())
    ask = Message("user", (ImageRef(str(tmp_path / "gone.png")), "Is it red?"))
    io.write_jsonl(
        tmp_path / "prompts.jsonl",
        [Sample(f"r/{i}", (ask,), source="held_out", target="yes") for i in range(4)],
    )
    with pytest.raises(DataError, match=r"no such image: .*gone\.png"):
        start(kind, tmp_path, tiny_vlm, tmp_path / "out")
    io.write_jsonl(tmp_path / "prompts.jsonl", [{"id": "r/1", "question": "Is it red?", "answer": "yes"}])
    with pytest.raises(DataError) as caught:
        start(kind, tmp_path, tiny_vlm, tmp_path / "out")
    assert "messages" in one_sentence(caught.value)


def test_passages_that_are_none_are_named(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    for rows, says in (
        ([{"id": "a", "body": "x"}], "this one has no text"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "two passages have the id 'a'"),
        ([], "holds no passage"),
    ):
        io.write_jsonl(tmp_path / "p.jsonl", rows)
        with pytest.raises(DataError, match=says):
            start("agentic", data, tiny_vlm, tmp_path / "out", retriever=Retriever(str(tmp_path / "p.jsonl")))


@pytest.mark.parametrize("verb", KINDS)
def test_a_second_process_on_the_same_folder_is_turned_away(
    verb: str, data: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    """Another process holds the run folder; what lies in it stays as it is."""
    values = {"model": str(tiny_vlm)} | (
        {"retriever": {"path": str(data / "passages.jsonl")}} if verb == "agentic" else {}
    )
    (tmp_path / "settings.json").write_text(json.dumps(values))
    with io.publish(tmp_path / "data", record=lambda: {"summary": {}}) as draft:
        for path in data.iterdir():
            (draft / path.name).write_bytes(path.read_bytes())
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(str(os.getpid()))
        held.flush()
        command = [
            "train",
            verb,
            "--out",
            tmp_path / "out",
            "--with",
            tmp_path / "settings.json",
            "--input",
            f"data={tmp_path / 'data'}",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "medxiaohe", *map(str, command)],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (
        done.returncode == 2
        and f"is in use by process {os.getpid()}: wait for it, or choose another --out" in done.stderr
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
