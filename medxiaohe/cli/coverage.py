"""`tree coverage`: documents, passages and images of a corpus for every entity of a tree, as a table and
as a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import IO, Any

import medxiaohe
from medxiaohe import io
from medxiaohe.cli.runs import finished_folder
from medxiaohe.cli.summary import table
from medxiaohe.data.coverage import corpora as corpora_of
from medxiaohe.data.coverage import entity_counts as counting
from medxiaohe.data.coverage import entity_table
from medxiaohe.data.coverage.corpora import Corpus
from medxiaohe.data.readers import DeadLetter
from medxiaohe.entity.linking.finder import finder
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.pages.sections.coverage_page import page


def coverage(args: argparse.Namespace) -> int:
    """Count documents, passages and images of a corpus for every entity of a tree (`tree coverage`).

    Args:
        args: `tree` and `corpora`; `compare` (a second corpus), `reviewed` (corpora that people
            reviewed), `reader`, `name`, `compare_name`, `amcs` (JSON of `tree amcs --out`), `out` (a
            folder), `json`.

    Returns:
        exit code 0; `out` has coverage.jsonl, coverage.csv, summary.json, dead.jsonl (rejected rows) and
        index.html.

    Raises:
        ConfigError: no finished tree, or both corpora have one name.
        DataError: the file of `amcs` is not one that `tree amcs` wrote.
    """
    folder = finished_folder(args.tree, "--tree")
    sets = {"corpus": args.corpora, "compared": args.compare, "reviewed": args.reviewed}
    result = {
        role: [corpora_of.corpus(spec, args.reader) for spec in specs]
        for role, specs in sets.items()
        if specs
    }
    names = _names(result, {"corpus": args.name, "compared": args.compare_name})
    amcs = io.read_json(args.amcs) if args.amcs else None
    if amcs is not None and not (isinstance(amcs, dict) and "pairs" in amcs and "encoder" in amcs):
        raise DataError(f"--amcs {args.amcs}: not what `medxiaohe tree amcs --out FILE` wrote")
    tree, find = Tree.load(folder), finder(folder)
    provenance = _provenance(folder, find, result)
    with io.publish(args.out) as draft:
        states = [item.state() for several in result.values() for item in several]
        work = io.scratch(draft, [provenance, states, io.code.digest(counting.__name__)])
        counter = counting.Counter(tree, find)
        tallies = io.write(draft / "dead.jsonl", lambda dead: _counted(counter, result, work, dead))
        reviewed = tallies.pop("reviewed", None)
        counts = entity_table.coverage(
            tree, counter.rollup, {names[role]: tally for role, tally in tallies.items()}, reviewed
        )
        summary = {
            **entity_table.summary(counts),
            "reviewed_items": _reviewed(tallies, reviewed),
            "made": provenance,
            "amcs": amcs,
        }
        io.write_jsonl(draft / "coverage.jsonl", entity_table.rows(counts))
        io.write(draft / "coverage.csv", lambda file: entity_table.write_csv(counts, file))
        io.write_json(draft / "summary.json", summary)
        io.write_text(draft / "index.html", page(counts, summary))
    print(json.dumps(summary, ensure_ascii=False) if args.json else _text(summary, args.out))
    return 0


def _names(corpora: dict[str, list[Corpus]], labels: dict[str, str]) -> dict[str, str]:
    """Name each corpus as the user does, or by its folders."""
    names = {
        role: labels[role] or " + ".join(dict.fromkeys(item.label for item in corpora[role]))
        for role in labels
        if role in corpora
    }
    if len(set(names.values())) < len(names):
        raise ConfigError(
            f"both corpora are called {names['corpus']!r}: tell them apart with --name and --compare-name"
        )
    return names


def _counted(
    counter: counting.Counter, corpora: dict[str, list[Corpus]], work: Path, dead: IO[bytes]
) -> dict[str, counting.Tally]:
    def reject(corpus: Corpus, letter: DeadLetter) -> None:
        """Write a rejected row to dead.jsonl, with its corpus and the reason."""
        row = {"corpus": corpus.label, "where": letter.where, "reason": letter.reason}
        dead.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    return {
        role: counter.count(several, role, work=work, reviewed=role == "reviewed", reject=reject) for role,
        several in corpora.items()
    }  # fmt: skip


def _provenance(folder: Path, find: Any, corpora: dict[str, list[Corpus]]) -> dict[str, Any]:
    """Record the provenance of the table and the page."""
    record = io.read_json(folder / io.RECORD) if (folder / io.RECORD).is_file() else {}
    sources = [source.get("name", "") for source in (record.get("summary") or {}).get("sources", ())]
    return {
        "by": f"medxiaohe {medxiaohe.__version__}",
        "tree": {"sha256": io.sha256(folder / "entities.jsonl"), "vocabularies": sources},
        "linking": "compiled index" if hasattr(find, "find_batch") else "linker",
        "corpora": {
            role: [{"name": item.label, "reader": item.reader} for item in several]
            for role, several in corpora.items()
        },
    }


def _reviewed(tallies: dict[str, counting.Tally], reviewed: counting.Tally | None) -> dict[str, Any]:
    rows = reviewed.totals["rows"] if reviewed else 0
    return {
        "items": rows + sum(tally.totals["reviewed"] for tally in tallies.values()),
        "dead": reviewed.dead if reviewed else 0,
        "fingerprint": reviewed.fingerprint if reviewed else "",
    }


def _text(summary: dict[str, Any], out: Path) -> str:
    several = summary["corpora"]
    sides = [
        f"{item['name']}: {kind}" if len(several) > 1 else kind
        for item in several
        for kind in ("named", "passage", "image")
    ]
    rows = [("", "entities", "definition", *sides, "reviewed")]
    groups = [
        ("all", summary["all"]),
        *summary["kinds"].items(),
        *((f"layer {n}", v) for n, v in summary["layers"].items()),
    ]
    groups += [
        ("rare diseases", summary["rare"]["rare"]),
        ("other diseases", summary["rare"]["other diseases"]),
    ]
    for name, having in groups:
        counts = [side[key] for side in having["corpora"] for key in ("documents", "passages", "images")]
        rows.append(
            (
                name,
                *(f"{n:,}" for n in (having["entities"], having["definition"], *counts, having["reviewed"])),
            )
        )
    heads = [
        f"{item['name']}: {item['rows']:,} rows, {item['documents']:,} documents,"
        f" {item['documents_with_mentions']:,} name an entity, {item['dead']:,} rejected rows, fingerprint"
        f" {item['fingerprint']}"
        for item in several
    ]
    words = (
        "number of entities with at least one; a name in a text is not evidence, and evidence is not a review"
    )
    return "\n".join(
        [*heads, words, "", table(rows, right=range(1, len(rows[0]))), "", f"page  {out / 'index.html'}"]
    )
