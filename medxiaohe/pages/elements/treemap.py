"""Treemaps of the entity tree: area is the number of entities, colour the number of samples that mention
them.

Each map shows the first division of one entity and links to the maps of those. Positions are
percentages, so one drawing fits any width while its letters keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.pages.elements.html import Html, count, details, share, tag, text
from medxiaohe.pages.sections.reach import ROOT, Reach

CELLS = 28  # children drawn in one map; the rest share one cell
MAPS = 48
INSIDE = 10  # grandchildren drawn inside a cell
LISTED = (30, 20, 8)  # how many children the outline shows, by layer
LEVELS = (
    ("no sample", 0),
    ("1 to 9", 1),
    ("10 to 99", 10),
    ("100 to 999", 100),
    ("1,000 to 9,999", 1_000),
    ("10,000 and more", 10_000),
)
WIDE, HIGH = 960.0, 460.0  # the shape the cells are made square for


def level(samples: int) -> int:
    """Map a number of samples to a colour level.

    Args:
        samples: number of samples that mention an entity or anything below it.

    Returns:
        an index of `LEVELS`.
    """
    return max(i for i, (_, least) in enumerate(LEVELS) if samples >= least)


def maps(reach: Reach) -> Html:
    """Draw the tree as linked treemaps: area is entities in a subtree, colour is samples that mention one.

    Args:
        reach: counts of each subtree.

    Returns:
        at most `MAPS` maps, of which the first is visible; links work without scripts.
    """
    shown = _worth_a_map(reach)
    number = {id: i for i, id in enumerate(shown)}
    parent = {child: id for id in shown for child in reach.branches(id) if child in number}
    drawn = [_map(reach, id, number, parent) for id in shown]
    keys = [
        tag("span", tag("span", class_=f"key c{i}"), name, class_="item")
        for i, (name, _) in enumerate(LEVELS)
    ]
    return tag("div", tag("p", "Samples: ", keys, class_="legend"), drawn, class_="maps")


def _worth_a_map(reach: Reach) -> list[str]:
    """Select the entities that get a map: from the root down, the larger subtrees first, at most `MAPS`."""
    shown, rank = [ROOT], 0
    while rank < len(shown) and len(shown) < MAPS:
        for child in reach.branches(shown[rank])[:CELLS]:
            if len(shown) < MAPS and child not in shown and len(reach.branches(child)) > 1:
                shown.append(child)
        rank += 1
    return shown


def _map(reach: Reach, id: str, number: dict[str, int], parent: dict[str, str]) -> Html:
    children = reach.branches(id)
    first, rest = children[:CELLS], children[CELLS:]
    areas = [float(reach.below[child]) for child in first]
    cells: list[Html] = []
    if rest:
        # one cell stands for the rest: at most a quarter of the map, so that the drawn children stay readable
        areas.append(min(float(sum(reach.below[child] for child in rest)), sum(areas) / 3))
    boxes = squarify(areas, WIDE, HIGH)
    for child, box in zip(first, boxes, strict=False):
        cells.append(_cell(reach, child, box, number.get(child)))
        cells += _inside(reach, child, box, number)
    if rest:
        cells.append(
            _box(
                boxes[-1],
                "rest",
                f"{len(rest):,} smaller",
                "each with fewer entities than those drawn",
                "",
                None,
            )
        )
    svg = tag(
        "svg",
        cells,
        class_="treemap",
        role="group",
        aria_label=f"Map of {reach.name(id)}: {len(children):,} groups",
    )
    return tag("div", _path(reach, id, number, parent), svg, class_="map", id=f"map-{number[id]}")


def _path(reach: Reach, id: str, number: dict[str, int], parent: dict[str, str]) -> Html:
    chain = [id]
    while chain[0] in parent:
        chain.insert(0, parent[chain[0]])
    links: list[object] = []
    for step in chain[:-1]:
        links += [tag("a", reach.name(step), href=f"#map-{number[step]}"), " \u203a "]
    note = (
        f"{count(reach.samples.get(id, 0))} samples; {count(reach.covered.get(id, 0))} of"
        f" {count(reach.below[id])} entities mentioned"
    )
    return tag("p", links, tag("strong", reach.name(id)), tag("span", note, class_="quiet"), class_="path")


def _cell(reach: Reach, id: str, box: Sequence[float], link: int | None) -> Html:
    samples, below, covered = reach.samples.get(id, 0), reach.below[id], reach.covered.get(id, 0)
    note = f"{samples:,} samples; {covered:,} of {below:,} entities mentioned"
    return _box(box, f"c{level(samples)}", reach.name(id), note, count(samples), link)


def _inside(reach: Reach, id: str, box: Sequence[float], number: dict[str, int]) -> list[Html]:
    """Draw small cells of the grandchildren below the name of a large cell; they link to their own map or
    the cell's."""
    x, y, width, height = box
    children = reach.branches(id)[:INSIDE]
    if width < 120 or height < 80 or len(children) < 2:
        return []
    boxes = squarify([float(reach.below[child]) for child in children], width - 12, height - 48)
    inner_boxes = [(x + 6 + left, y + 42 + top, across, down) for left, top, across, down in boxes]
    return [
        _cell(reach, child, inner, number.get(child, number.get(id)))
        for child, inner in zip(children, inner_boxes, strict=True)
    ]


def _box(box: Sequence[float], color: str, name: str, note: str, under: str, link: int | None) -> Html:
    x, y, width, height = box[0] / WIDE * 100, box[1] / HIGH * 100, box[2] / WIDE * 100, box[3] / HIGH * 100
    position = {"x": f"{x:.2f}%", "y": f"{y:.2f}%", "width": f"{width:.2f}%", "height": f"{height:.2f}%"}
    letters = None
    if width > 4 and height > 4:
        words = [tag("span", name), tag("small", under)] if height > 9 else [tag("span", name)]
        letters = tag("foreignObject", tag("div", words, class_="cell"), **position)
    inside = [tag("title", f"{name}: {note}"), tag("rect", **position), letters]
    if link is None:
        return tag("g", inside, class_=color)
    return tag("a", inside, href=f"#map-{link}", class_=color, aria_label=f"{name}: {note}. Open")


def squarify(areas: Sequence[float], width: float, height: float) -> list[tuple[float, float, float, float]]:
    """Lay out a squarified treemap (Bruls, Huizing, van Wijk 2000).

    Args:
        areas: positive and descending, in any unit; they are scaled to fill the rectangle.
        width: of the rectangle.
        height: of the rectangle.

    Returns:
        boxes (x, y, width, height) from the top left corner, in the order of `areas`.
    """
    # scale areas so that together they fill the rectangle
    scale = width * height / (sum(areas) or 1)
    remaining, x, y = [area * scale for area in areas], 0.0, 0.0
    boxes: list[tuple[float, float, float, float]] = []
    while remaining:
        # lay a row along the shorter side of the free rectangle
        side = min(width, height)
        # extend the row while its worst aspect ratio does not increase
        row = 1
        while row < len(remaining) and _worst(remaining[: row + 1], side) <= _worst(remaining[:row], side):
            row += 1
        # thickness of the row: its area over its length; each box gets its share of the length
        thick, along = sum(remaining[:row]) / side, 0.0
        for area in remaining[:row]:
            length = area / thick
            boxes.append((x + along, y, length, thick) if width < height else (x, y + along, thick, length))
            along += length
        # cut the row off the free rectangle
        if width < height:
            y, height = y + thick, height - thick
        else:
            x, width = x + thick, width - thick
        remaining = remaining[row:]
    return boxes


def _worst(row: Sequence[float], side: float) -> float:
    """Largest aspect ratio of the boxes when `row` is laid along `side`."""
    # max over boxes r of max(w^2 r / s^2, s^2 / (w^2 r)), with side w and area s of the row; its largest and
    # smallest box give the maximum (Bruls, Huizing, van Wijk 2000)
    total = sum(row)
    return max(side * side * max(row) / total**2, total**2 / (side * side * min(row)))


# ---- the same as a list ----------------------------------------------------------------------------


def outline(reach: Reach) -> Html:
    """List the largest branches of the first `len(LISTED)` layers of the tree, to unfold.

    Args:
        reach: counts of each subtree.
    """
    return tag("ul", _items(reach, ROOT, 0), class_="outline")


def _items(reach: Reach, id: str, layer: int) -> list[Html]:
    children = reach.children(id)
    items = [_item(reach, child, layer + 1) for child in children[: LISTED[layer]]]
    if len(children) > len(items):
        items.append(tag("li", f"and {len(children) - len(items):,} smaller ones", class_="quiet"))
    return items


def _item(reach: Reach, id: str, layer: int) -> Html:
    samples, below, covered = reach.samples.get(id, 0), reach.below[id], reach.covered.get(id, 0)
    note = f" \u00b7 {covered:,} of {below:,} entities, {share(covered, below) or '0 %'}" if below > 1 else ""
    line = [
        tag("span", class_=f"key c{level(samples)}"),
        tag("span", reach.name(id), class_="entity"),
        tag("span", f"{samples:,} samples{note}", class_="quiet"),
    ]
    if layer == len(LISTED) or not reach.tree.children(id):
        return tag("li", tag("div", line, class_="leaf"))
    return tag("li", details(text(line), tag("ul", _items(reach, id, layer))))
