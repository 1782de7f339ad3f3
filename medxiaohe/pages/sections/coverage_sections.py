"""Static sections of the coverage page: the three counts, by kind, similarity, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medxiaohe.pages.elements.html import Html, count, decimal, interval, plural, section, share, table, tag

SIDES = (1, 3)  # series colours of the one corpus and of the other
WARNING = (
    "Three different counts, never added up: a name in a text explains nothing, a passage was reviewed by"
    " nobody, and similarity coverage is not knowledge."
)


def summary_section(summary: Mapping[str, Any]) -> Html:
    """Show the three counts of each corpus: entities named, with evidence, and reviewed.

    Args:
        summary: summary.json of `tree coverage`.
    """
    total, corpora = summary["all"], summary["corpora"]
    several = len(corpora) > 1

    def sides(key: str) -> list[Html]:
        values = [side[key] for side in total["corpora"]]
        return [
            tag(
                "strong",
                f"{value:,}",
                tag("small", f" {share(value, total['entities']) or '0 %'}"),
                class_=f"side{i}",
            )
            for i, value in enumerate(values)
        ]

    reviewed = tag(
        "strong",
        f"{total['reviewed']:,}",
        tag("small", f" {share(total['reviewed'], total['entities']) or '0 %'}"),
    )
    images = " and ".join(f"{side['images']:,}" for side in total["corpora"])
    items = plural(summary["reviewed_items"]["items"], "item")
    tiles = [
        (
            "Entities in the tree",
            tag("strong", f"{total['entities']:,}"),
            f"diseases, signs, anatomy, drugs; {total['definition']:,} defined",
        ),
        ("Named", sides("documents"), f"in a text, by any of their names; {_of(corpora)}"),
        ("Evidence", sides("passages"), f"a passage has them in its title; {images} with an image"),
        ("Reviewed", reviewed, f"by a person: {items} with a gold annotation or a diagnosis"),
    ]
    shown = [
        tag("div", tag("dt", name), tag("dd", value, tag("span", note, class_="quiet")))
        for name, value, note in tiles
    ]
    keys = [
        tag("span", tag("span", class_=f"key s{SIDES[i]}"), corpus["name"], class_="item")
        for i, corpus in enumerate(corpora)
    ]
    return section(
        "summary",
        "Three counts",
        tag("p", keys, class_="legend") if several else None,
        tag("dl", shown, class_="tiles several" if several else "tiles"),
        tag("p", WARNING, class_="quiet"),
    )


def _of(corpora: list[Mapping[str, Any]]) -> str:
    return (
        "; ".join(f"{item['documents_with_mentions']:,} of {item['documents']:,}" for item in corpora)
        + " documents name one"
    )


def kinds_section(summary: Mapping[str, Any]) -> Html:
    """Tabulate the counts by kind, layer and rarity of entities.

    Args:
        summary: summary.json of `tree coverage`.
    """
    rare = f"Rare: {summary['rare_is']}. Layers: 1 domain, 2 chapter, 3 group, 4 entity, 5 variant."
    groups = {
        "By kind": summary["kinds"],
        "By layer": {f"layer {name}": value for name, value in summary["layers"].items()},
        "Diseases, rare and other": summary["rare"],
    }
    tables = [_table(caption, rows, summary["corpora"]) for caption, rows in groups.items()]
    return section(
        "kinds",
        "By kind, layer and rarity",
        tag("p", "How many entities have at least one of each. ", rare),
        tables,
    )


def _table(caption: str, groups: Mapping[str, Any], corpora: list[Mapping[str, Any]]) -> Html:
    heads = ["", "Entities", "Definition"]
    for item in corpora:
        before = f"{item['name']}: " if len(corpora) > 1 else ""
        heads += [f"{before}named", "Share", f"{before}passage", f"{before}image"]
    rows = []
    for name, having in groups.items():
        if having["entities"]:
            cells = [name, count(having["entities"]), count(having["definition"])]
            for side in having["corpora"]:
                cells += [
                    count(side["documents"]),
                    share(side["documents"], having["entities"]) or "0 %",
                    count(side["passages"]),
                ]
                cells.append(count(side["images"]))
            rows.append([*cells, count(having["reviewed"])])
    return table(caption, [*heads, "Reviewed"], rows, numbers=range(1, len(heads) + 1))


def similarity_section(summary: Mapping[str, Any]) -> Html | None:
    """Tabulate the AMCS between sets of names (MedXIAOHE).

    Args:
        summary: summary.json of `tree coverage`.

    Returns:
        None if no AMCS was measured.
    """
    amcs = summary.get("amcs")
    if not amcs:
        return None
    rows = []
    for pair in amcs["pairs"]:
        for direction, a, b in (("forward", pair["a"], pair["b"]), ("backward", pair["b"], pair["a"])):
            scores = pair[direction]
            rows.append(
                (
                    f"{a} \u2192 {b}", decimal(scores["score"]), interval(scores["low"], scores["high"]),
                    share(scores["equal"], 1) or "0 %",
                    decimal(scores["control"]), f"{scores['n']:,} of {scores['of']:,}",
                    count(scores["against"]),
                )
            )  # fmt: skip
    words = (
        "How near, on average, the nearest name of the second set is to each name of the first; encoder:"
        f" {amcs['encoder']}. The floor is the same with shuffled vectors. A set with all of another's names"
        " is at 1, whatever else it has."
    )
    heads = ("From \u2192 to", "AMCS", "95 % interval", "Equal names", "Floor", "Averaged over", "Against")
    return section(
        "similarity",
        "Similarity of names",
        tag("p", words),
        tag(
            "p", "Similarity coverage is not knowledge: a near name may be another disease.", class_="notice"
        ),
        table("Both directions", heads, rows, numbers=(1, 2, 3, 4, 5, 6)),
    )


def made_section(summary: Mapping[str, Any]) -> Html:
    """List the provenance of the page: corpora, tree, vocabularies, linking, encoder, version.

    Args:
        summary: summary.json of `tree coverage`.
    """
    provenance, roles = (
        summary["made"],
        {"corpus": "Corpus", "compared": "Compared with", "reviewed": "Reviewed items from"},
    )
    facts = [
        (roles[role], "; ".join(f"{item['name']} (reader {item['reader']})" for item in several))
        for role, several in provenance["corpora"].items()
    ]
    for corpus in summary["corpora"]:
        numbers = (
            f"{plural(corpus['rows'], 'row')}, {plural(corpus['documents'], 'document')},"
            f" {plural(corpus['dead'], 'rejected row')}"
        )
        facts.append((corpus["name"], f"{numbers}; sha256 of ids and texts {corpus['fingerprint']}"))
    encoder = summary["amcs"]["encoder"] if summary.get("amcs") else "none: no similarity was computed"
    facts += [
        ("Tree", f"{summary['entities']:,} entities, sha256 {provenance['tree']['sha256'][:16]}"),
        ("Vocabularies", ", ".join(provenance["tree"]["vocabularies"]) or "not recorded"),
        ("Linking", f"exact names, longest match, whole words; {provenance['linking']}"),
        ("Encoder", encoder),
        ("Made by", provenance["by"]),
    ]
    rows = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    return section("made", "What this page was made from", tag("dl", rows, class_="facts"))
