"""BioASQ tasks 7B to 9B (Tsatsaronis et al. 2015; Krithara et al. 2023): questions of experts with snippets
of PubMed abstracts.

Split by question, 60 % train, 10 % validation. The snippets were chosen by the experts: with them, finding is
not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks._common import hash_split, known_split, place, shuffled
from medxiaohe.types import Evidence

LICENSE = "CC BY 2.5"
TAGS = ("text", "english", "literature")
MOST_SNIPPETS = 10
EXAMPLE = {
    "id": "example",
    "body": "Is the protein Papilin secreted?",
    "type": "yesno",
    "exact_answer": "yes",
    "snippets": [
        {"text": "Papilin is a secreted glycoprotein.", "document": "http://www.ncbi.nlm.nih.gov/pubmed/1"}
    ],
}


def questions(path: str, kind: str, split: str) -> Iterator[Mapping[str, Any]]:
    """Read the questions of a kind and split, each once.

    Args:
        path: folder of BioASQ files; "" for ${MEDXIAOHE_DATA}/corpus/bioasq.
        kind: yesno, factoid or list.
        split: train, validation or test.

    Yields:
        Questions, in an order that depends only on their ids.

    Raises:
        ConfigError: there is no such split.
        DataError: there are no files, or they are not of BioASQ.
    """
    known_split(split)
    for row in shuffled(_all(place(path, "corpus/bioasq")), key=lambda row: str(row["id"])):
        if row["type"] == kind and hash_split("bioasq", row["id"], train=0.6, validation=0.1) == split:
            yield row


@cache
def _all(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Read once for all tasks; a question that is in two files counts once."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise DataError(f"{folder}: no JSON file of BioASQ")
    try:
        return tuple({row["id"]: row for file in files for row in io.read_json(file)["questions"]}.values())
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: not files of BioASQ: {error!r}") from error


def with_snippets(row: Mapping[str, Any]) -> str:
    """Write a question under its first `MOST_SNIPPETS` snippets, each once.

    Args:
        row: a question of BioASQ.

    Returns:
        Text of a prompt.
    """
    texts = dict.fromkeys(" ".join(snippet["text"].split()) for snippet in row["snippets"])
    return "\n".join(["Snippets:", *list(texts)[:MOST_SNIPPETS], f"Question: {row['body'].strip()}"])


def passages(path: str = "") -> list[Evidence]:
    """Collect the snippets of all questions as passages for the tool of bioasq_search.

    Args:
        path: folder of BioASQ files; "" for ${MEDXIAOHE_DATA}/corpus/bioasq.

    Returns:
        Distinct snippets with their PMIDs.

    Raises:
        DataError: there are no files, or they are not of BioASQ.
    """
    result: dict[str, Evidence] = {}
    for row in _all(place(path, "corpus/bioasq")):
        for snippet in row["snippets"]:
            text = " ".join(snippet["text"].split())
            pmid = snippet["document"].rpartition("/")[2]
            result.setdefault(text, Evidence(f"{pmid}-{len(result)}", text, f"PubMed {pmid}"))
    return list(result.values())
