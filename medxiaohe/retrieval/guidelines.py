"""Search sections that summarise clinical guidelines, and differential diagnoses by complaint: the asset
open_medicine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.chunks import chunks
from medxiaohe.retrieval.json_parts import json_parts
from medxiaohe.retrieval.words import terms
from medxiaohe.types import Evidence, Locator

DIFFERENTIALS = "mcp/differentials/data"
LICENSE = "MIT (summaries by the authors of open-medicine)"
LEVEL = "B"  # a summary of a guideline, not the guideline
ORDER = ("must_not_miss", "common", "less_common", "rare")


class Guidelines:
    """Guideline sections and differential diagnoses, from the files of the asset (retrieval/assets.py)."""

    pure = True

    def __init__(self, files: Mapping[str, str]):
        """Take file name -> text; it is parsed when first used."""
        self.files = files

    def sections(self, question: str, top: int) -> tuple[Evidence, ...]:
        """Search the sections of guidelines by BM25.

        Args:
            question: words to search for.
            top: most passages.

        Returns:
            parts of sections, best first, each with its span in its section in characters.
        """
        return self.index.search([question], top)[0]

    def differential(self, complaint: str, top: int) -> tuple[Evidence, ...]:
        """Look up the differential diagnosis of the complaint that matches best.

        Args:
            complaint: in words, such as "chest pain".
            top: most diagnoses.

        Returns:
            diagnoses, those that must not be missed first; empty where no differential shares a word with
            the complaint.
        """
        matches = self._complaints.search([complaint], 1)[0]
        return tuple(self.diagnoses(matches[0].id))[:top] if matches else ()

    @cached_property
    def complaints(self) -> tuple[str, ...]:
        """List the complaints that have a differential diagnosis.

        Returns:
            their names, as `diagnoses` takes them, in alphabetical order.
        """
        folder = PurePosixPath(DIFFERENTIALS)
        return tuple(sorted(p.stem for p in map(PurePosixPath, self.files) if p.parent == folder))

    def diagnoses(self, complaint: str) -> list[Evidence]:
        """List every diagnosis of a differential.

        Args:
            complaint: one of `complaints`.

        Returns:
            diagnoses with their span in the file, in the order of urgency, then of the file.
        """
        text, table = self._differential(complaint)
        ranked = []
        for _, row, span in json_parts(text, "diagnoses"):
            lines = [f"{row['name']} ({str(row['likelihood']).replace('_', ' ')})"]
            for key in ("key_features", "red_flags", "recommended_tests"):
                named = [str(item) for item in row.get(key) or () if not str(item).startswith("calculate_")]
                if named:
                    lines.append(f"{key.replace('_', ' ')}: {'; '.join(named)}")
            rank = ORDER.index(row["likelihood"]) if row["likelihood"] in ORDER else len(ORDER)
            ranked.append((rank, span, "\n".join(lines)))
        ranked.sort(key=lambda entry: (entry[0], entry[1]))
        source = f"{table['title']}, after {table['source_description']} doi:{table['source_doi']}"
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        return [
            Evidence(
                f"differential/{complaint}#{number}", shown, source, sha256=sha256, at=Locator(span=span),
                level=LEVEL, license=LICENSE,
            )
            for number, (_, span, shown) in enumerate(ranked)
        ]  # fmt: skip

    def _differential(self, complaint: str) -> tuple[str, Mapping[str, Any]]:
        text = self.files[f"{DIFFERENTIALS}/{complaint}.json"]
        return text, json.loads(text)

    @cached_property
    def _complaints(self) -> BM25:
        tables = [(name, self._differential(name)[1]) for name in self.complaints]
        return BM25(
            [
                Evidence(name, " ".join([table["title"], *table["keywords"]]), "differentials")
                for name, table in tables
            ],
            split=terms,
        )

    @cached_property
    def index(self) -> BM25:
        """The BM25 index over parts of sections.

        Returns:
            passages with title and text searched; built when first used.
        """
        parts = []
        for document in documents(self.files):
            spans = chunks(document.text)
            for number, (start, end) in enumerate(spans):
                id = document.id if len(spans) == 1 else f"{document.id}#{number}"
                at = Locator(span=(start, end))
                parts.append(replace(document, id=id, text=document.text[start:end], at=at))
        # the title is searched with each part, since a part may not repeat what it is about
        return BM25(parts, [f"{part.source} {part.text}" for part in parts], terms)


def documents(files: Mapping[str, str]) -> Iterator[Evidence]:
    """Iterate over all sections of guidelines as full documents.

    Args:
        files: name -> text, with guidelines/registry.json.

    Yields:
        documents, in the order of the registry.

    Raises:
        DataError: the registry names a file that is missing.
    """
    for guideline in json.loads(files["guidelines/registry.json"]):
        for section in guideline["sections"]:
            name = f"guidelines/content/{guideline['id']}/{section}.md"
            if name not in files:
                raise DataError(f"{name} is in the registry of guidelines and not there")
            text = files[name]
            by = f"{guideline['organization']} {guideline['year']}"
            source = f"{guideline['title']} ({by}), doi:{guideline['doi']}"
            yield Evidence(
                f"guideline/{guideline['id']}/{section}",
                text,
                source,
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                level=LEVEL,
                license=LICENSE,
                date=str(guideline["year"]),
            )
