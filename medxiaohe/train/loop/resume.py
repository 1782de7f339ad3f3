"""Crash-safe checkpoints of a running trainer, from which a run resumes to the same bits.

A checkpoint of the Trainer of transformers 5 is written file by file into its final folder, so a kill leaves
one that cannot be loaded (huggingface/transformers#35782); optimizer.pt and rng_state.pth are pickles;
rollouts that TRL 1.16 has generated but not used are not in it, it generates others (huggingface/trl#3148).
Here a checkpoint is a folder published whole: safetensors and JSON, with their hashes. What a batch holds
depends on its number in the plan alone, so no data loader has a state.

    Resumable = resumable(SFTTrainer, work)
    trainer = Resumable(..., args=SFTConfig(save_strategy="steps", save_steps=50))
    trainer.train(resume_from_checkpoint=newest(work))
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from medxiaohe import io
from medxiaohe.errors import DataError, MedError, ModelError

KEPT = 2  # the newest, and one more in case the disk spoils it


class Extra(Protocol):
    """State of a kind of training besides weights, optimizer and random generators."""

    def state(self, trainer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Collect the state for a checkpoint.

        Args:
            trainer: that is running.

        Returns:
            (values that JSON can hold, tensors by name)
        """

    def restore(self, trainer: Any, values: dict[str, Any], tensors: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint.

        Args:
            trainer: that is about to continue.
            values: the first item that `state` returned.
            tensors: the second.
        """


def newest(work: Path) -> str | None:
    """Find the newest intact checkpoint; damaged ones are skipped.

    Args:
        work: folder of the stage's unfinished work.

    Returns:
        Path of a folder named by its step, for `resume_from_checkpoint`; None where there is none.
    """
    for folder in sorted(work.glob("[0-9]*"), reverse=True):
        try:
            io.verify(folder)
            return str(folder)
        except MedError:
            continue
    return None


def resumable(trainer: type, work: Path, extra: Extra | None = None) -> Any:
    """Make a Trainer class that saves and resumes checkpoints in our form; works for one process, DDP and
    FSDP2.

    Args:
        trainer: a class of transformers.Trainer or of TRL.
        work: folder of the checkpoints.
        extra: state besides weights, optimizer, schedule and random generators; None: there is none.

    Returns:
        A subclass of `trainer`. Resuming raises DataError where the number of processes or the trained
        weights differ from those of the checkpoint.
    """

    class Resumable(trainer):  # type: ignore[misc, valid-type]
        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            _save(self, work, extra)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            _load_weights(self.model, _own(self, resume_from_checkpoint))

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                _load_optimizer(self, _own(self, checkpoint))

        def _load_scaler(self, checkpoint: str | None) -> None:
            pass  # bfloat16 and float32 need none

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                _load_random(_own(self, checkpoint))

        def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
            folder = kwargs.get("resume_from_checkpoint")
            if extra is not None and folder is not None:
                values, tensors = read_state(_own(self, folder), "extra")
                extra.restore(self, values, tensors)
            return super()._inner_training_loop(*args, **kwargs)

    return Resumable


def restore(trainer: Any, folder: str, extra: Extra | None = None) -> None:
    """Load the last checkpoint of a run that had ended, without training: the Trainer would take one more
    step.

    Args:
        trainer: built, not yet trained.
        folder: of the checkpoint.
        extra: as for `resumable`.

    Raises:
        DataError: the checkpoint was written by another number of processes, or holds other weights.
    """
    own = _own(trainer, folder)
    _load_weights(trainer.model, own)
    if extra is not None:
        extra.restore(trainer, *read_state(own, "extra"))
    trainer.state = type(trainer.state).load_from_json(str(Path(folder) / "trainer_state.json"))


def save_weights(trainer: Any, folder: Path) -> None:
    """Publish the trained weights, without optimizer and random states; all processes take part.

    Args:
        trainer: that is running.
        folder: to create.
    """
    rank = trainer.args.process_index
    parts = folder.with_name(f".{folder.name}.parts")
    own = parts / f"rank{rank}"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    _write_weights(own, trainer.model)
    _publish(trainer, parts, folder)


def load_weights(trainer: Any, folder: Path) -> None:
    """Load what `save_weights` published.

    Args:
        trainer: whose model is changed in place.
        folder: of `save_weights`.

    Raises:
        DataError: other weights are trained now, or the number of processes differs.
    """
    _load_weights(trainer.model, _own(trainer, str(folder)))


def _own(trainer: Any, folder: str) -> Path:
    """The part of a checkpoint that this process wrote."""
    own = Path(folder) / f"rank{trainer.args.process_index}"
    count = len(list(Path(folder).glob("rank*")))
    if count != trainer.args.world_size:
        raise DataError(
            f"{folder} was written by {count} processes, and now there are {trainer.args.world_size}: start"
            " as many as then"
        )
    return own


# ---- writing -----------------------------------------------------------------------------------------


def _save(trainer: Any, work: Path, extra: Extra | None) -> None:
    step, rank = trainer.state.global_step, trainer.args.process_index
    parts = work / f".{step:08d}.parts"
    own = parts / f"rank{rank}"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    _write_weights(own, trainer.model)
    write_state(own, "optimizer", *_optimizer_state(trainer))
    write_state(own, "random", *_random_state())
    if extra is not None:
        write_state(own, "extra", *extra.state(trainer))
    _publish(trainer, parts, work / f"{step:08d}", with_state=True)
    if rank == 0:
        for old in sorted(work.glob("[0-9]*"))[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _write_weights(own: Path, model: Any) -> None:
    write_state(own, "weights", {}, {name: _local(weight) for name, weight in _trained(model).items()})


def _publish(trainer: Any, parts: Path, folder: Path, with_state: bool = False) -> None:
    """Publish on rank 0 what all processes have written; `with_state` adds the trainer's own state."""
    trainer.accelerator.wait_for_everyone()
    if trainer.args.process_index == 0:
        with io.publish(folder) as draft:
            for rank_folder in sorted(parts.iterdir()):
                shutil.move(rank_folder, draft / rank_folder.name)
            if with_state:
                trainer.state.save_to_json(str(draft / "trainer_state.json"))
        shutil.rmtree(parts, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()


def _trained(model: Any) -> dict[str, Any]:
    """What training changes: weights with gradients, and buffers that layers keep (running means)."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    selected = set(model.state_dict())
    return weights | {f"buffer {name}": value for name, value in model.named_buffers() if name in selected}


def _optimizer_state(trainer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    import torch

    state = trainer.optimizer.state_dict()
    values: dict[str, Any] = {
        "groups": state["param_groups"],
        "scheduler": trainer.lr_scheduler.state_dict(),
        "state": {},
    }
    tensors = {}
    for number, entries in state["state"].items():
        for name, value in _flat(entries).items():
            if isinstance(value, torch.Tensor):
                tensors[f"{number} {name}"] = _local(value)
            else:
                values["state"].setdefault(str(number), {})[name] = value
    return values, tensors


def _flat(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the state of a weight: bitsandbytes keeps scales in an inner mapping, here "NAME INNER"."""
    result: dict[str, Any] = {}
    for name, value in entries.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        result |= {f"{name} {key}".strip(): item for key, item in inner}
    return result


def _nested(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Invert `_flat`."""
    result: dict[str, Any] = {}
    for key, value in entries.items():
        name, _, inner = key.partition(" ")
        if inner:
            result.setdefault(name, {})[inner] = value
        else:
            result[name] = value
    return result


def _random_state() -> tuple[dict[str, Any], dict[str, Any]]:
    import numpy as np
    import torch

    # the stubs describe the form with legacy=False only
    state: Any = np.random.get_state()
    kind, keys, *rest = state
    tensors = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(keys.astype("int64"))}
    if torch.cuda.is_available():
        tensors |= {f"cuda {i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return {"python": random.getstate(), "numpy": [kind, *rest]}, tensors


def write_state(folder: Path, name: str, values: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Write NAME.json and NAME.safetensors: values that JSON can hold, and tensors.

    Args:
        folder: that exists.
        name: of the two files.
        values: for JSON.
        tensors: copied to the CPU.

    Raises:
        ModelError: a value cannot be written as JSON.
        StorageError: the tensors cannot be written, such as a full disk.
    """
    from safetensors.torch import save_file

    try:
        (folder / f"{name}.json").write_text(json.dumps(values))
    except TypeError as error:
        raise ModelError(
            f"the {name} state of this trainer cannot be saved without pickle: {error}"
        ) from error
    with io.storage(folder):
        save_file(
            {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()},
            folder / f"{name}.safetensors",
        )


def _local(value: Any) -> Any:
    """Get the shard of a tensor in this process."""
    return value.to_local() if hasattr(value, "to_local") else value


# ---- reading -----------------------------------------------------------------------------------------


def read_state(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `write_state` wrote.

    Args:
        folder: of the files.
        name: of the two files.

    Returns:
        (values, tensors on the CPU)
    """
    from safetensors.torch import load_file

    return io.read_json(folder / f"{name}.json"), load_file(folder / f"{name}.safetensors")


def _load_weights(model: Any, folder: Path) -> None:
    import torch

    _, saved = read_state(folder, "weights")
    trained = _trained(model)
    if saved.keys() != trained.keys():
        raise DataError(
            f"{folder} holds other weights than this stage trains: delete it, or start with the same parts as"
            " before"
        )
    with torch.no_grad():
        for name, weight in trained.items():
            _local(weight).copy_(saved[name])


def _load_optimizer(trainer: Any, folder: Path) -> None:
    values, tensors = read_state(folder, "optimizer")
    state: dict[int, dict[str, Any]] = {
        int(number): dict(entries) for number, entries in values["state"].items()
    }
    weights = [weight for group in trainer.optimizer.param_groups for weight in group["params"]]
    for key, tensor in tensors.items():
        number, _, name = key.partition(" ")
        state.setdefault(int(number), {})[name] = _sharded_like(weights[int(number)], tensor)
    state = {number: _nested(entries) for number, entries in state.items()}
    trainer.optimizer.load_state_dict({"state": state, "param_groups": values["groups"]})
    trainer.lr_scheduler.load_state_dict(values["scheduler"])


def _sharded_like(weight: Any, tensor: Any) -> Any:
    if not hasattr(weight, "to_local") or tensor.dim() == 0:
        return tensor
    from torch.distributed.tensor import DTensor

    local = tensor.to(weight.device)
    return DTensor.from_local(
        local, weight.device_mesh, weight.placements, shape=weight.shape, stride=weight.stride()
    )


def _load_random(folder: Path) -> None:
    import numpy as np
    import torch

    values, tensors = read_state(folder, "random")
    version, internal, gauss = values["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, *rest = values["numpy"]
    np.random.set_state((kind, tensors["numpy"].numpy().astype("uint32"), *rest))
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([tensors[f"cuda {i}"] for i in range(torch.cuda.device_count())])
