"""The page of a trace: rulings in word and symbol, what a sentence rests on marked, closed records, hostile
words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, axe, browser, executable
from trace_bundles import bundle

from medxiaohe import cli

pytest.importorskip("PIL")
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traces of a question with a picture and a passage, and of one that fails; a redacted copy; a report."""
    place = tmp_path_factory.mktemp("trace_page")
    bundle(place / "t", [0, 5])
    assert cli.main(["trace", "redact", str(place / "t"), "--keep", "claim", "--out", str(place / "r")]) == 0
    (place / "draft.txt").write_text(f"Small left effusion. The heart is enlarged. {EVIL}")
    (place / "findings.txt").write_text(f"There is a small left effusion. Heart size is normal. {EVIL}")
    words = ["--draft", str(place / "draft.txt"), "--evidence", str(place / "findings.txt")]
    assert cli.main(["describe", *words, "--out", str(place / "report")]) == 0
    return place


def page(folder: Path, name: str, which: str = "0") -> Path:
    out = folder / f"{name}{which}.html"
    if not out.exists():
        assert cli.main(["trace", "show", str(folder / name), which, "--html", str(out)]) == 0
    return out


def test_the_page_asks_for_nothing_and_runs_only_its_own_script(folder: Path) -> None:
    for path in (page(folder, "t"), page(folder, "r"), folder / "report/report.html"):
        text = path.read_text()
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
        assert policy and policy[1].startswith("default-src &#x27;none&#x27;; img-src data:")
        assert "unsafe" not in policy[1] and not re.search(r'(?:src|href)="(?!data:|#)', text)
        assert " style=" not in text and text.count("not for clinical use") >= 2


def test_equal_folders_have_equal_pages(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    assert cli.main(["trace", "show", str(folder / "t"), "0", "--html", str(again)]) == 0
    assert again.read_bytes() == page(folder, "t").read_bytes()


def test_sentences_have_rulings_in_word_and_symbol_and_levels_their_state(folder: Path) -> None:
    text = page(folder, "t").read_text()
    for sign, word in (("✓", "supported"), ("✗", "contradicted"), ("○", "not judged"), ("·", "no claim")):
        assert f'<span aria-hidden="true">{sign}</span> {word}' in text
    for name in ("intact", "resolved", "replayed", "regenerated", "entailed"):
        assert f'<th scope="row">{name}</th>' in text
    assert text.count("<rect") == 1 and text.count("data:image/jpeg") == 1
    report = (folder / "report/report.html").read_text()
    assert "Removed from the draft" in report and "The heart is enlarged." in report
    assert "<img src=x" not in report and report.count("<script>") == 1


def test_a_redacted_copy_shows_what_is_open_and_a_forged_one_names_its_record(
    folder: Path, tmp_path: Path
) -> None:
    text = page(folder, "r").read_text()
    assert "Question 0" not in text and "Closed: this copy does not open it." in text
    copy = tmp_path / "f"
    copy.mkdir()
    for name in ("log.jsonl", "openings.jsonl", "checkpoint"):
        data = (folder / "t" / name).read_text()
        (copy / name).write_text(data.replace("Question 0", "Question 9"))
    assert cli.main(["trace", "show", str(copy), "0", "--html", str(tmp_path / "f.html")]) == 0
    assert "trace 0, source/0: its opening is not what was sealed" in (tmp_path / "f.html").read_text()


def test_a_page_needs_the_number_of_a_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", "show", str(folder / "t"), "--html", str(folder / "x.html")]) == 2
    assert "give its number" in capsys.readouterr().err and not (folder / "x.html").exists()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.mark.skipif(not executable(), reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 400])
def test_choosing_a_sentence_marks_its_span_and_its_box(tab: Browser, folder: Path, width: int) -> None:
    tab.open(page(folder, "t").as_uri(), width=width)
    chosen = "[...document.querySelectorAll('.chosen')].map((one) => one.tagName.toLowerCase())"
    marked = "getComputedStyle(document.querySelector('.piece mark')).fontWeight"
    assert tab.do(chosen) == [] and tab.do(marked) == "400"
    tab.do("document.querySelector('.sentence').click()")
    assert sorted(tab.do(chosen)) == ["article", "article", "rect"] and tab.do(marked) == "600"
    assert tab.do("document.querySelector('rect.chosen').getBoundingClientRect().width") > 10
    assert tab.do("document.getElementById('marked').textContent") == "2 pieces of evidence are marked."
    tab.do("document.querySelector('.sentence').click()")
    assert tab.do(chosen) == [] and tab.do("document.documentElement.scrollWidth") <= width
    columns = tab.do("[...document.querySelectorAll('.role')].map((one) => one.offsetTop)")
    assert (len(set(columns)) == 1) == (width > 860), "roles are side by side where there is room"
    tab.open((folder / "report/report.html").as_uri(), width=width)
    assert tab.do("document.title") == "Trace 0 of the workflow report"
    assert not [e for e in tab.events if e["method"] == "Network.requestWillBeSent"
                and not e["params"]["request"]["url"].startswith(("file:", "data:", "about:"))]  # fmt: skip


@pytest.mark.skipif(not executable() or axe() is None, reason="no Chromium, or MEDXIAOHE_AXE names no file")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing_wrong(tab: Browser, folder: Path, width: int, dark: bool) -> None:
    script = axe()
    assert script is not None
    paths = [page(folder, "t"), page(folder, "t", "1"), page(folder, "r"), folder / "report/report.html"]
    for path in paths:
        tab.open(path.as_uri(), width=width, dark=dark)
        tab.do("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        tab.do("document.querySelector('.sentence')?.click()")
        assert tab.violations(script) == [], path.name
