"""The page of `tree coverage`: self-contained, safe whatever a name holds, and it works in a real browser."""

import base64
import json
import re
import zlib
from array import array
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browser, executable

from medxiaohe.data.coverage.entity_counts import Tally
from medxiaohe.data.coverage.entity_table import Coverage, coverage, summary
from medxiaohe.entity.tree.rollup import Rollup
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.pages.elements.frame import STATEMENT
from medxiaohe.pages.sections.coverage_page import page, sparse
from medxiaohe.types import Entity

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&\u2028\ud800'
VOID = {"meta", "br", "img", "input", "hr", "col"}


def measured(
    entities: list[Entity], named: list[dict[str, int]], names: tuple[str, ...] = ("MedQuAD",)
) -> tuple[Coverage, dict[str, Any]]:
    """Coverage of corpora whose documents each name what `named` says, one dictionary a corpus: id ->
    documents."""
    tree = Tree(entities)
    rollup = Rollup(tree)
    tallies = {}
    for name, counts in zip(names, named, strict=True):
        tally = Tally.of(len(rollup))
        own = array("q", [counts.get(id, 0) for id in rollup.ids])
        for column in ("documents", "mentions", "passages"):
            tally.columns[column] = own
        for column in ("documents_below", "passages_below"):
            tally.columns[column] = rollup.total(own)
        tally.totals.update(
            rows=sum(own), documents=max(1, sum(own)), documents_with_mentions=sum(own), passages=sum(own)
        )
        tallies[name] = tally
    found = coverage(tree, rollup, tallies, None)
    made = {
        "by": "medxiaohe 0",
        "tree": {"sha256": "0" * 64, "vocabularies": ["MONDO"]},
        "linking": "linker",
        "corpora": {"corpus": []},
    }
    return found, {**summary(found), "reviewed_items": {"items": 0}, "made": made, "amcs": None}


def small(name: str = "asthma") -> list[Entity]:
    return [
        Entity("MET:disease", "disease", "disease"),
        Entity("D:lung", "lung disease", "disease", ("MET:disease",), definition="Of the lungs."),
        Entity("D:asthma", name, "disease", ("D:lung",), xrefs=("ORPHA:1",)),
        Entity("D:cold", "cold", "disease", ("D:lung",)),
        Entity("D:scurvy", "scurvy", "disease", ("MET:disease",)),
        Entity("D:gout", "gout", "disease", ("MET:disease",), ("podagra", "Gout"), abbreviations=("UA",)),
        Entity("MET:anatomy", "anatomy", "anatomy"),
        Entity("A:heart", "heart", "anatomy", ("MET:anatomy",)),
        Entity("A:lung", "lung", "anatomy", ("MET:anatomy",)),
    ]


NAMED = {"D:asthma": 5, "D:scurvy": 1, "A:heart": 2}
OTHER = {"D:asthma": 1, "D:gout": 9}


def unpacked(text: str) -> dict[str, Any]:
    data = re.search(r'<script type="text/plain" id="packed">([A-Za-z0-9+/=]*)</script>', text)
    assert data
    return dict(json.loads(zlib.decompress(base64.b64decode(data[1]), wbits=-15)))


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Page:
    found = Page()
    found.feed(text)
    found.close()
    assert not found.open
    return found


def test_the_page_is_well_formed_and_asks_for_nothing() -> None:
    for names, named in ((("MedQuAD",), [NAMED]), (("MedQuAD", "PubMed"), [NAMED, OTHER])):
        text = page(*measured(small(), named, names))
        tags = parsed(text).tags
        assert not [t for t in tags if t[0] in ("link", "iframe", "object", "img")]
        assert not [
            a
            for _, attributes in tags
            for key, a in attributes.items()
            if key in ("src", "href") and not str(a).startswith("#") and a != "coverage.csv"
        ]
        outside = re.findall(r"(?:https?:)?//[\w.]+\.\w+", re.sub(r'id="packed">[^<]*<', "<", text))
        assert set(outside) <= {"http://www.w3.org"}  # a namespace, not an address
        assert "url(" not in text and "@import" not in text
        policy = next(attributes["content"] for name, attributes in tags if attributes.get("http-equiv"))
        assert str(policy).startswith("default-src 'none'; ") and "innerHTML" not in text
        assert text.count(STATEMENT) == 2


def test_no_name_gets_out_of_its_place() -> None:
    found, said = measured(small(HOSTILE), [NAMED, OTHER], (HOSTILE, "B"))
    said["amcs"] = {"encoder": HOSTILE, "pairs": []}
    text = page(found, said)
    text.encode()
    tags = parsed(text).tags
    assert [t[0] for t in tags].count("script") == 2 and "img" not in [t[0] for t in tags]
    assert "alert(1)" in unpacked(text)["names"]
    assert unpacked(text)["names"].count("\n") == len(small()) - 1


def test_the_packed_columns_are_the_counts() -> None:
    found, said = measured(small("a\nb"), [NAMED, OTHER], ("A", "B"))
    raw = unpacked(page(found, said))
    ids = raw["ids"].split("\n")
    assert ids == found.rollup.ids and raw["names"].split("\n")[2] == "a b"
    for side, known in zip(raw["sides"], found.sides, strict=True):
        for name in ("documents", "documents_below"):
            steps, values = side["columns"][name]
            column, place = [0] * len(ids), 0
            for step, value in zip(steps, values, strict=True):
                place += step
                column[place] = value
            assert column == known.tally.columns[name].tolist()
    assert raw["layer"] == "".join(map(str, found.layers)) and raw["parents"][2] == [1]
    assert [int(flag) & 1 for flag in raw["flags"]] == list(map(int, found.rare))
    assert sparse(array("q", [0, 0, 7, 0, 1])) == [[2, 2], [7, 1]]


def test_the_three_counts_stand_apart_and_the_page_says_what_made_it() -> None:
    found, said = measured(small(), [NAMED])
    said["amcs"] = {"encoder": "all-MiniLM-L6-v2, mean pooling", "pairs": []}
    words = re.sub(
        r"<[^>]+>", " ", re.sub(r"<(style|script).*?</\1>", "", page(found, said), flags=re.DOTALL)
    )
    for word in (
        "Named",
        "Evidence",
        "Reviewed",
        "similarity coverage is not knowledge",
        "all-MiniLM-L6-v2",
        "sha256",
        "MONDO",
    ):
        assert word.lower() in words.lower()
    said["amcs"] = None
    assert "no similarity was computed" in page(found, said)


def test_a_tree_of_the_size_of_the_real_one_fits() -> None:
    """A quarter of 176 thousand entities, long names, two corpora: under a quarter of 12 MB."""
    entities = [Entity("MET:disease", "disease", "disease")]
    for n in range(44_000):
        words = f"disease of the {n * 7919 % 10_007}th kind with {n * 104_729 % 99_991} manifestations"
        entities.append(
            Entity(f"D:{n:07d}", words, "disease", (f"D:{n // 12 - 1:07d}",) if n >= 12 else ("MET:disease",))
        )
    counts = {f"D:{n:07d}": n % 50 + 1 for n in range(0, 44_000, 9)}
    found, said = measured(entities, [counts, counts], ("A", "B"))
    assert len(page(found, said)) < 3e6


# ---- in a browser ----------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(not executable(), reason="no Chromium is installed")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def shown(tab: Browser) -> list[str]:
    return list(
        tab.do(
            "[...document.querySelectorAll('#cells .tile:not(.small) > span')].map((tile) =>"
            " tile.textContent)"
        )
    )


@needs_browser
def test_clicks_keys_filters_and_the_address_move_the_map(tab: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page(*measured(small(), [NAMED, OTHER], ("A", "B"))))
    address = (tmp_path / "index.html").as_uri()
    tab.open(address)
    assert shown(tab) == ["disease", "anatomy"]
    tab.do("document.querySelector('#cells .tile').click()")
    assert sorted(shown(tab)) == ["gout", "lung disease", "scurvy"]
    assert tab.do("decodeURIComponent(location.hash)") == "#node=MET:disease"
    assert tab.do("document.getElementById('path').textContent") == "All entities \u203a disease"
    assert "Named by documents06" in tab.do("document.getElementById('panel').textContent")
    escape = (
        "document.querySelector('#cells .tile').dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape',"
        " bubbles: true}))"
    )
    tab.do(escape)
    assert tab.do("document.getElementById('path').textContent") == "All entities"
    tab.open(f"{address}?again#node=D:lung&rare=1")
    assert shown(tab) == ["asthma"]
    # of what is named, only asthma is rare
    assert tab.do("document.querySelector('#thin-table tbody').rows.length") == 1
    tab.open(f"{address}?kind#kind=anatomy")
    assert sorted(shown(tab)) == ["heart", "lung"]
    assert tab.do(
        "[...document.querySelectorAll('#empty-table tbody th')].map((cell) => cell.textContent)"
    ) == ["lung"]


@needs_browser
def test_tables_sort_and_search_and_the_comparison_shows_both(tab: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page(*measured(small(), [NAMED, OTHER], ("A", "B"))))
    tab.open((tmp_path / "index.html").as_uri())
    names = (
        "[...document.querySelectorAll('#compare-table tbody th')].map((cell) =>"
        " cell.textContent.replace('rare', ''))"
    )
    assert tab.do(names)[0] == "gout" and sorted(tab.do(names)) == ["asthma", "gout", "heart", "scurvy"]
    tab.do("document.querySelector('#compare-table thead button').click()")
    assert tab.do(names) == ["asthma", "gout", "heart", "scurvy"]
    tab.do("document.querySelector('#compare-table thead button').click()")
    assert tab.do(names) == ["scurvy", "heart", "gout", "asthma"]
    search = "document.querySelector('#compare-table input')"
    tab.do(f"{search}.value = 'OUT', {search}.dispatchEvent(new Event('input'))")
    assert tab.do(names) == ["gout"]
    assert tab.do("document.querySelectorAll('#scatter circle').length") > 0
    assert tab.do("document.querySelectorAll('#bars .diverging').length") == 2


@needs_browser
def test_an_entity_is_found_by_any_of_its_names_and_no_result_is_a_result(
    tab: Browser, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(page(*measured(small(), [NAMED, OTHER], ("A", "B"))))
    tab.open((tmp_path / "index.html").as_uri())
    find = "document.querySelector('.finder input')"
    listed = "[...document.querySelectorAll('#found li')].map((row) => row.textContent)"
    for words, first in {
        "Podagra": "gout (podagra) disease, 9 documents",
        "ua": "gout (UA) disease, 9 documents",
        "d:gout": "gout disease, 9 documents",
        "heart attack": "No name, synonym or code holds \u201cheart attack\u201d.",
    }.items():
        tab.do(f"{find}.value = {json.dumps(words)}, {find}.dispatchEvent(new Event('input'))")
        rows = tab.do(listed)
        assert len(rows) == 1 and rows[0].replace(", 0 documents", ", 9 documents") == first
    assert tab.do("document.querySelector('a[href=\"coverage.csv\"]').textContent") == "coverage.csv"


@needs_browser
def test_hostile_names_run_nothing_and_nothing_leaves_the_page(tab: Browser, tmp_path: Path) -> None:
    entities = [
        replace(entity, name=f"{entity.name} {HOSTILE}", synonyms=(f"a\tb\n{HOSTILE}",)) for entity in small()
    ]
    (tmp_path / "index.html").write_text(page(*measured(entities, [NAMED, OTHER], ("A <b>", "B"))))
    for width, dark in ((1280, False), (400, True)):
        tab.events.clear()
        tab.open(f"{(tmp_path / 'index.html').as_uri()}?{width}#node=D:lung", width=width, dark=dark)
        assert tab.do("document.querySelectorAll('img, main b').length") == 0
        assert tab.do("document.documentElement.scrollWidth") <= width
        methods = [event["method"] for event in tab.events]
        assert "Page.javascriptDialogOpening" not in methods and "Runtime.exceptionThrown" not in methods
        asked = [
            event["params"]["request"]["url"]
            for event in tab.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert len(asked) == 1 and asked[0].startswith("file:")
    assert "alert(1)" in tab.do("document.getElementById('path').textContent")
