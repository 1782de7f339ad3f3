"""Search reports by an image or by text, with the model of the stage train.motor.

reports.jsonl   id, text, study, patient, image and license of each report
vectors.f32     a row of each report, of length one
store.json      counts and the sizes of the files

Results are a reference for people, never evidence of what an image shows: the reports are of other patients.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError
from medxiaohe.retrieval.store import check
from medxiaohe.types import Evidence, ImageRef

if TYPE_CHECKING:
    from medxiaohe.models.image_report.reader import ImageReportModel

FOLDER, RECORD, REPORTS, VECTORS = "index", "store.json", "reports.jsonl", "vectors.f32"
KIND, FORMAT = "image reports", 1


def build(folder: Path, reports: Sequence[Evidence], model: ImageReportModel, patients: Sequence[str]) -> int:
    """Build an index of reports.

    Args:
        folder: does not exist yet.
        reports: `source` is the study of each.
        model: makes the vectors.
        patients: of the reports.

    Returns:
        The number of reports.
    """
    io.make_folder(folder)
    vectors = model.texts([report.text for report in reports]).astype("<f4")
    io.write(folder / VECTORS, lambda file: file.write(vectors.tobytes()))
    rows = (
        {
            "id": item.id, "text": item.text, "study": item.source, "patient": patient,
            "license": item.license,
            "images": [{"uri": image.uri, "sha256": image.sha256} for image in item.images],
        }
        for item, patient in zip(reports, patients, strict=True)
    )  # fmt: skip
    count = io.write_jsonl(folder / REPORTS, rows)
    files = {name: (folder / name).stat().st_size for name in (REPORTS, VECTORS)}
    io.write_json(
        folder / RECORD,
        {"kind": KIND, "format": FORMAT, "reports": count, "dim": int(vectors.shape[1]), "files": files},
    )
    return count


class ImageReportStore:
    """Index of reports of a train.motor stage: a Store, and `like_image`."""

    pure = True

    def __init__(self, folder: Path, model: ImageReportModel | None = None):
        """Open the folder of the stage.

        Args:
            folder: with model/, network/ and index/.
            model: of the folder, where it is loaded already.

        Raises:
            DataError: no index, or a truncated one.
        """
        plugins.need("numpy", "torch", why="an index of reports by images")
        import numpy as np

        from medxiaohe.models.image_report.reader import ImageReportModel

        path = folder / FOLDER
        record = io.read_json(path / RECORD) if (path / RECORD).is_file() else {}
        if not isinstance(record, dict) or record.get("kind") != KIND or record.get("format") != FORMAT:
            raise DataError(f"{folder}: no index of reports: give the folder of a train.motor stage")
        for name, size in record["files"].items():
            if not (path / name).is_file() or (path / name).stat().st_size != size:
                raise DataError(f"{path / name} is truncated or missing: run train.motor again")
        shape = (record["reports"], record["dim"])
        self._vectors = np.memmap(path / VECTORS, dtype="<f4", mode="r", shape=shape)
        self._rows: list[dict[str, Any]] = [json.loads(line) for _, line in io.lines(path / REPORTS)]
        self._by_id = {row["id"]: row for row in self._rows}
        self.model = model or ImageReportModel(folder)

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search reports by the cosine of their vectors and that of a text.

        Args:
            queries: texts.
            top: reports for each query at most.

        Returns:
            reports of each query with their cosine as score, best first

        Raises:
            DataError: no query, an empty one, or `top` below 1.
        """
        check(queries, top)
        scores = self.model.texts(list(queries)) @ self._vectors.T
        return [self._best(line, top, frozenset()) for line in scores]

    def get(self, id: str) -> Evidence:
        """Read a report.

        Args:
            id: of the report.

        Returns:
            its text and image as evidence.

        Raises:
            DataError: there is none.
        """
        if id not in self._by_id:
            raise DataError(f"the index has no report {id!r}")
        return _evidence(self._by_id[id])

    def like_image(self, image: ImageRef, top: int, others: Sequence[str] = ()) -> tuple[Evidence, ...]:
        """Retrieve the reports whose vectors are most similar to that of an image.

        Args:
            image: the query; reports with the same image are excluded by its digest.
            top: most reports.
            others: studies, patients and digests of images whose reports are excluded.

        Returns:
            reports with their cosine as score, best first.

        Raises:
            DataError: the image cannot be read.
        """
        (line,) = self.model.images([image]) @ self._vectors.T
        return self._best(line, top, frozenset({*others, image.sha256} - {""}))

    def _best(self, scores: Any, top: int, barred: frozenset[str]) -> tuple[Evidence, ...]:
        order = sorted(range(len(self._rows)), key=lambda n: (-scores[n], self._rows[n]["id"]))
        results: list[Evidence] = []
        for n in order:
            row = self._rows[n]
            names = {row["study"], row["patient"], *(image["sha256"] for image in row["images"])}
            if not barred & names:
                results.append(replace(_evidence(row), score=float(scores[n])))
                if len(results) == top:
                    break
        return tuple(results)


def _evidence(row: dict[str, Any]) -> Evidence:
    pictures = tuple(ImageRef(image["uri"], sha256=image["sha256"]) for image in row["images"])
    return Evidence(row["id"], row["text"], row["study"], pictures, kind="record", license=row["license"])
