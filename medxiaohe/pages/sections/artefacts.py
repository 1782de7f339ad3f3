"""Artefacts of a run, read from disk: stage records, the comparison, trained and evaluated models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError


@dataclass(frozen=True)
class StageFolder:
    """A finished stage: the role it plays in the report, its folder and its stage.json."""

    role: str
    folder: Path
    record: Mapping[str, Any]

    @property
    def label(self) -> str:
        """`eval_sft` examines `sft`, and so does a comparison that calls it either way.

        Returns:
            its role without the prefix `eval_`: `eval_sft` evaluates `sft`, and comparisons use either
            name.
        """
        return label(self.role)

    @property
    def name(self) -> str:
        """Name of the stage in the recipe.

        Returns:
            the recorded name; without one, that of the folder above the version.
        """
        return str(self.record.get("stage") or self.folder.parent.name)

    @property
    def version(self) -> str:
        """Version of the stage.

        Returns:
            the name of its folder, such as 1.
        """
        return self.folder.name

    @property
    def uses(self) -> str:
        """Kind of the stage.

        Returns:
            such as data.read; "" if it is not recorded.
        """
        return str(self.record.get("uses", ""))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings that the stage ran with.

        Returns:
            field -> value; {} if none are recorded.
        """
        return self.record.get("settings") or {}

    @property
    def summary(self) -> Mapping[str, Any]:
        """Summary that the stage returned.

        Returns:
            key -> value; {} if none is recorded.
        """
        return self.record.get("summary") or {}

    def json(self, name: str) -> Any:
        """Read a JSON file of the stage.

        Returns:
            its value, or {} if the stage did not write it.
        """
        path = self.folder / name
        return io.read_json(path) if path.exists() else {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Read a JSONL file of the stage.

        Returns:
            its rows, or [] if the stage did not write it.
        """
        path = self.folder / name
        return list(io.read_jsonl(path)) if path.exists() else []


@dataclass(frozen=True)
class Run:
    """The finished stages of a run, by role."""

    tree: StageFolder
    corpus: StageFolder
    curated: StageFolder
    mixture: StageFolder
    comparison: StageFolder | None  # none where no model was examined
    trained: tuple[StageFolder, ...]
    examined: tuple[StageFolder, ...]  # in the order of the comparison: the base first
    scores: Mapping[str, Any]  # comparison.json

    @property
    def recipe(self) -> str:
        """The name of the run folder, which is the recipe's name unless --out says otherwise.

        Returns:
            the name of the run folder, which is that of the recipe unless `--out` names another.
        """
        return self.tree.folder.resolve().parent.parent.name

    @property
    def stages(self) -> list[str]:
        """Evaluated models.

        Returns:
            their labels in the order of the comparison, the base first; [] without a comparison.
        """
        return [label(name) for name in self.scores.get("stages", ())]

    @property
    def folders(self) -> tuple[StageFolder, ...]:
        """All stages of the run.

        Returns:
            data stages, training stages, evaluations, and the comparison if there is one.
        """
        last = (self.comparison,) if self.comparison else ()
        return (self.tree, self.corpus, self.curated, self.mixture, *self.trained, *self.examined, *last)


def label(name: str) -> str:
    """Label of a stage on the page.

    Returns:
        the name without the prefix `eval_`.
    """
    return name.removeprefix("eval_") or name


def load(inputs: Mapping[str, Path], others: Mapping[str, Path]) -> Run:
    """Open the stages of a run.

    Args:
        inputs: tree, corpus, curated, mixture and comparison -> folder.
        others: stage name -> folder; one with metrics.jsonl is a training stage, one with traces.jsonl an
            evaluation.

    Returns:
        the run, its evaluations in the order of the comparison.

    Raises:
        ConfigError: a stage of `others` is neither.
    """
    fixed = {role: _open(role, folder) for role, folder in inputs.items()}
    opened = [_open(role, folder) for role, folder in others.items()]
    scores = io.read_json(fixed["comparison"].folder / "comparison.json")
    order = {label(name): i for i, name in enumerate(scores.get("stages", ()))}
    for stage in opened:
        if not any((stage.folder / name).exists() for name in ("metrics.jsonl", "traces.jsonl")):
            raise ConfigError(
                f"needs.{stage.role}: stage {stage.name} neither trained nor examined a model: name only such"
                " stages here"
            )
    trained = tuple(stage for stage in opened if (stage.folder / "metrics.jsonl").exists())
    examined = [stage for stage in opened if (stage.folder / "traces.jsonl").exists()]
    examined.sort(key=lambda stage: order.get(stage.label, len(order)))
    return Run(**fixed, trained=trained, examined=tuple(examined), scores=scores)


def _open(role: str, folder: Path) -> StageFolder:
    return StageFolder(role, folder, io.read_json(folder / "stage.json"))


def count_by(stage: StageFolder, name: str, *keys: str) -> Counter[tuple[str, ...]]:
    """Count how often each combination of values occurs in the rows of a file.

    Args:
        stage: whose file is read.
        name: of a JSONL file; a missing file has no rows.
        keys: of the rows; a missing value is "".
    """
    path = stage.folder / name
    rows = io.read_jsonl(path) if path.exists() else iter(())
    return Counter(tuple(str(row.get(key, "")) for key in keys) for row in rows)
