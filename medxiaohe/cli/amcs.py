"""`tree amcs`: similarity of two sets of terms, in both directions (MedXIAOHE)."""

from __future__ import annotations

import argparse
import json
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.cli.summary import table
from medxiaohe.errors import ConfigError

SHOWN = 5
MEANING = "this measures similarity of names, not knowledge of entities"


def amcs(args: argparse.Namespace) -> int:
    """Measure the AMCS of two or more sets of terms, each compared with the last one (`tree amcs`).

    Give references first and the tree last: the forward score is then what the tree covers.

    Args:
        args: `sets`, `encoder`, `kind`, `synonyms`, `sample` (terms to average over, 0 for all), `seed`,
            `keep` (a folder of cached vectors), `out`, `json`.

    Returns:
        exit code 0; the scores of both directions, with 95 % intervals, are on stdout and in `out`.

    Raises:
        ConfigError: fewer than two sets, or a negative `sample`.
    """
    plugins.need("numpy", why="comparing sets of terms")
    from medxiaohe.data.coverage.term_sets import term_set, vectors
    from medxiaohe.entity.tree.amcs import amcs as measure
    from medxiaohe.models.embed import embedder

    if len(args.sets) < 2:
        raise ConfigError("tree amcs needs two sets or more: each set is compared with the last one")
    if args.sample < 0:
        raise ConfigError(f"--sample must be 0 (all terms) or more, not {args.sample}")
    encoder = embedder(args.encoder)
    *others, last = [term_set(spec, kind=args.kind, synonyms=args.synonyms) for spec in args.sets]
    rows: list[dict[str, Any]] = []
    with vectors(last.terms, encoder, args.keep) as vectors_b:
        for reference in others:
            with vectors(reference.terms, encoder, args.keep) as vectors_a:
                measured = measure(
                    reference.terms,
                    last.terms,
                    vectors_a,
                    vectors_b,
                    encoder=encoder.name,
                    sample=args.sample,
                    seed=args.seed,
                )
            rows.append({"a": reference.name, "b": last.name, **io.to_json(measured)})
    result = {
        "encoder": encoder.name,
        "seed": args.seed,
        "sample": args.sample,
        "meaning": MEANING,
        "pairs": rows,
    }
    if args.out:
        io.write_json(args.out, result)
    print(json.dumps(result, ensure_ascii=False) if args.json else _text(result))
    return 0


def _text(result: dict[str, Any]) -> str:
    cells = [("A -> B", "AMCS", "95 % interval", "equal", "floor", "averaged over", "against")]
    lines = []
    for pair in result["pairs"]:
        for direction, a, b in (("forward", pair["a"], pair["b"]), ("backward", pair["b"], pair["a"])):
            d = pair[direction]
            cells.append(
                (
                    f"{a} -> {b}", f"{d['score']:.3f}", f"[{d['low']:.3f}, {d['high']:.3f}]",
                    f"{100 * d['equal']:.1f} %",
                    f"{d['control']:.3f}", f"{d['n']:,} of {d['of']:,}", f"{d['against']:,}",
                )
            )  # fmt: skip
            far = ", ".join(
                f"{n['term']} ({n['cosine']:.2f} to {n['nearest']})" for n in d["farthest"][:SHOWN]
            )
            lines.append(f"farthest, {a} -> {b}: {far}")
    head = (
        f"AMCS (MedXIAOHE) by {result['encoder']}; seed {result['seed']}; floor: the same with shuffled"
        f" vectors\n{MEANING}\n"
    )
    return "\n".join([head, table(cells, right=(1, 3, 4, 5, 6)), "", *lines])
