"""The page of `tree coverage`: what one corpus or two have about every entity of the tree.

One file that asks for nothing from anywhere: the whole tree travels in it as packed columns, which the
browser unpacks, so that a reader may filter, search and go down to any of its entities. What stands in the
page as words works without scripts.
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Mapping
from typing import Any

from medxiaohe.data.coverage.entity_table import Coverage, Side
from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.frame import document
from medxiaohe.pages.elements.html import Html, clean, section, share, tag
from medxiaohe.pages.sections.coverage_sections import (
    SIDES,
    kinds_section,
    made_section,
    similarity_section,
    summary_section,
)
from medxiaohe.pages.sections.data_sections import log_thin
from medxiaohe.types import Entity

STYLES = ("report.css", "coverage.css")
SCRIPTS = ("coverage_data.js", "coverage_map.js", "coverage_tables.js")
SPARSE = ("mentions", "documents", "documents_below", "passages", "passages_below", "images", "images_below")


def page(coverage: Coverage, summary: Mapping[str, Any]) -> str:
    """Build the page of `tree coverage`.

    Args:
        coverage: counts of each entity, for one corpus or two.
        summary: summary.json of the same call.

    Returns:
        the HTML document, with the whole tree as packed data.
    """
    names = [side.name for side in coverage.sides]
    title = (
        f"What {' and '.join(names)} {'have' if len(names) > 1 else 'has'} about {len(coverage.rollup):,}"
        " medical entities"
    )
    parts = {
        "summary": ("Three counts", summary_section(summary)),
        "map": ("Map", _map_section(coverage)),
        "tail": ("Long tail", _tail_section(coverage)),
        "thin": ("Thinnest", _table_section("thin", "The thinnest entities", THIN)),
        "empty": ("Empty", _table_section("empty", "Entities that are never named", EMPTY)),
        "compare": ("Comparison", _compare_section(names) if len(names) > 1 else None),
        "kinds": ("By kind", kinds_section(summary)),
        "similarity": ("Similarity", similarity_section(summary)),
        "made": ("Made from", made_section(summary)),
    }
    shown = {id: content for id, content in parts.items() if content[1] is not None}
    data = tag("script", Html(packed(coverage, summary)), type="text/plain", id="packed")
    contents = [(id, name) for id, (name, _) in shown.items()]
    return document(
        title,
        "medxiaohe coverage",
        contents,
        [*(content for _, content in shown.values() if content), data],
        STYLES,
        SCRIPTS,
    )


# ---- sections that scripts fill ----------------------------------------------------------------------

HOW = (
    "Each rectangle is an entity with everything below it; its area is how many entities that is, of those"
    " the filters keep. Choose one to go down, the path above the map to go up, or press Escape. An entity"
    " with several parents is drawn below each."
)
THIN = "Named at least once, itself or below, by the fewest documents; of equals, the larger branches first."
EMPTY = "No document names the entity or anything below it; the largest branches first."
CSV = tag("a", "coverage.csv", href="coverage.csv", download="coverage.csv")
NO_SCRIPT = ("This part needs scripts. The same numbers are in ", CSV, ", beside this page.")


def _map_section(coverage: Coverage) -> Html:
    controls = tag("div", id="controls", class_="controls")
    location = tag(
        "div",
        tag("nav", id="path", aria_label="Path in the tree"),
        tag("p", id="legend", class_="legend"),
        class_="where",
    )
    drawn = tag(
        "div",
        tag("p", f"Unpacking {len(coverage.rollup):,} entities \u2026", class_="quiet wait"),
        id="cells",
        role="group",
    )
    aside = tag("aside", id="panel", aria_live="polite", aria_label="The selected entity")
    none = tag("noscript", tag("p", NO_SCRIPT, class_="notice"))
    table = tag(
        "p", "Every entity with its numbers, as a table: ", CSV, ", beside this page.", class_="quiet"
    )
    return section(
        "map", "Map of the tree", tag("p", HOW, class_="quiet"), table, none, controls, location,
        tag("div", drawn, aside, class_="mapframe"),
        tag("details", tag("summary", "Everything directly below, as a list"), tag("div", id="below-table"),
        id="below"),
    )  # fmt: skip


def _table_section(name: str, title: str, words: str) -> Html:
    filtered = tag("p", "The filters of the map apply here too. ", tag("span", class_="kept"), class_="quiet")
    return section(name, title, tag("p", words), filtered, tag("div", id=f"{name}-table"))


def _compare_section(names: list[str]) -> Html:
    words = (
        f"Documents that name an entity, as a share of the documents of {names[0]} and of {names[1]}; on the"
        " map and in the bars with everything below it. The ratio adds half a document on each side, so that"
        " what is in one only has a finite one; z says how far it is from chance alone if documents were"
        " independent."
    )
    scatter = tag(
        "figure",
        tag("p", "One dot is the entities with these counts", class_="title"),
        tag("div", id="scatter"),
    )
    bars = tag("figure", tag("p", id="bars-title", class_="title"), tag("div", id="bars"))
    return section(
        "compare",
        "Where the two differ",
        tag("p", words),
        tag("div", scatter, bars, class_="charts"),
        tag("div", id="compare-table"),
    )


def _tail_section(coverage: Coverage) -> Html:
    series, notes = [], list[str]()
    for color, side in zip(SIDES, coverage.sides, strict=False):
        ranked = sorted((value for value in side.tally.columns["documents"] if value), reverse=True)
        if ranked:
            series.append(charts.Line(side.name, log_thin(ranked), color))
            notes.append(_half(side, ranked))
    chart = charts.lines(
        "Documents that name an entity, by its rank",
        series,
        "rank of the entity",
        "documents",
        log=True,
        bands=_bands(coverage.sides[0]),
    )
    words = (
        "Both axes are logarithmic. Head: the fewest entities with half of all namings; torso: the next"
        " 30 %. "
    )
    legend = charts.legend([(line.label, line.color) for line in series])
    return section(
        "tail",
        "The long tail",
        tag("p", " ".join(notes)),
        tag("div", charts.figure(chart, [words, legend]), class_="charts wide"),
    )


def _bands(side: Side) -> list[tuple[str, float]]:
    head, torso = (sum(bucket == name for bucket in side.bucket.values()) for name in ("head", "torso"))
    return [("head", 1), ("torso", 1 + head), ("tail", 1 + head + torso)] if head else []


def _half(side: Side, ranked: list[int]) -> str:
    head = sum(bucket == "head" for bucket in side.bucket.values())
    once = sum(value == 1 for value in ranked)
    return (
        f"In {side.name}, {head:,} of {len(side.bucket):,} entities have half of all namings, {once:,} are"
        f" named by one document only, and {len(side.bucket) - len(ranked):,}"
        f" ({share(len(side.bucket) - len(ranked), len(side.bucket))}) by none."
    )


# ---- the data ----------------------------------------------------------------------------------------


def packed(coverage: Coverage, summary: Mapping[str, Any]) -> str:
    """Pack the tree and its counts for the page's script.

    Args:
        coverage: counts of each entity.
        summary: gives the number of reviewed items.

    Returns:
        JSON columns, deflated without a header (RFC 1951), in base64: no character of a name can end a
        script or begin a tag.
    """
    kinds = list(dict.fromkeys(entity.kind for entity in coverage.tree.entities.values()))
    entities = list(coverage.tree.entities.values())
    flags = "".join(
        str(int(rare) + 2 * bool(entity.definition))
        for rare, entity in zip(coverage.rare, entities, strict=True)
    )
    columns = {
        "ids": "\n".join(_line(entity.id) for entity in entities),
        "names": "\n".join(_line(entity.name) for entity in entities),
        # one line an entity, its other names between tabs
        "others": "\n".join("\t".join(map(_line, _others(entity))) for entity in entities),
        "kinds": kinds,
        "kind": [kinds.index(entity.kind) for entity in entities],
        "layer": "".join(map(str, coverage.layers)),
        "flags": flags,
        "parents": [list(parents) for parents in coverage.rollup.parents],
        "reviewed_items": summary["reviewed_items"]["items"],
        "reviewed": sparse(coverage.reviewed),
        "reviewed_below": sparse(coverage.reviewed_below),
        "sides": [
            {
                "name": side.name,
                "totals": side.tally.totals,
                "columns": {
                    **{name: sparse(side.tally.columns[name]) for name in SPARSE},
                    "mentions_below": sparse(side.mentions_below),
                },
            }
            for side in coverage.sides
        ],
    }
    # raw DEFLATE without a zlib header: what DecompressionStream("deflate-raw") of browsers reads
    squeeze = zlib.compressobj(9, wbits=-15)
    data = (
        squeeze.compress(
            json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        )
        + squeeze.flush()
    )
    return base64.b64encode(data).decode()


def _others(entity: Entity) -> list[str]:
    """List the other names of an entity, for the search: synonyms, lay names, abbreviations, without
    duplicates."""
    seen = {entity.name.casefold()}
    results = []
    for name in (*entity.synonyms, *entity.lay, *entity.abbreviations):
        if name.casefold() not in seen:
            seen.add(name.casefold())
            results.append(name)
    return results


def _line(text: str) -> str:
    return " ".join(clean(text).split())


def sparse(column: array[int]) -> list[list[int]]:
    """Encode the non-zero values of a column.

    Args:
        column: one value an entity.

    Returns:
        two lists of equal length: distances between the indices of non-zero values (the first from 0),
        and the values.
    """
    # delta encoding of the indices: small numbers deflate well
    indices = [index for index, value in enumerate(column) if value]
    return [
        [index - before for before, index in zip([0, *indices], indices, strict=False)],
        [column[index] for index in indices],
    ]
