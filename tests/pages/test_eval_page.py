"""The page of an evaluation: whole, escaped, bounded, the same every time, and alive in a real browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser, executable

from medxiaohe import images, io
from medxiaohe.errors import DataError
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.pages.compare import ComparisonSettings, compare
from medxiaohe.pages.evaluation import EvaluationSettings, evaluation
from medxiaohe.pages.sections.eval_items import _shares

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>&\u2028"
TASK = """
from medxiaohe.images import ref
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.types import Message, Sample, Task
from pathlib import Path

def looked(size: int = 30):
    def samples(split):
        for i in range(size):
            picture = ref(Path(__file__).parent / f"{i % 5}.png")
            gold = "yes" if i % 2 else "no"
            messages = (Message("user", (picture, f"Question {i} EVIL Is it? Answer yes or no.")), Message("assistant", (gold,)))
            yield Sample(f"looked/{i}", messages, gold, study_id=f"s{i % 7}", split=split, license="CC0-1.0")
    return Task("looked", samples, (yes_no,), next(iter(samples("test"))), "CC0-1.0")
"""  # noqa: E501


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pil = pytest.importorskip("PIL.Image")
    place = tmp_path_factory.mktemp("page")
    for i in range(5):
        pil.new("RGB", (300, 200), (40 * i, 90, 10)).save(place / f"{i}.png")
    (place / "looked.py").write_text(
        TASK.replace("EVIL", EVIL.replace("'", "\\'").replace("\u2028", "\\u2028"))
        .replace('f"Question', "f'Question")
        .replace('yes or no."))', "yes or no.'))")
    )
    (place / "bot.py").write_text(
        f"def answer(messages):\n    return 'Yes. ' + {EVIL!r} if messages[-1].images else 'No.'\n"
    )
    settings = RunSettings(
        (TaskRun(f"{place}/looked.py:looked"),),
        model=f"{place}/bot.py:answer",
        backend="python",
        baselines=("random", "blind"),
        perturb=("all",),
    )
    run(settings, place / "run")
    assert images.ref(place / "0.png").sha256
    return place / "run"


needs_browser = pytest.mark.skipif(not executable(), reason="no Chromium is installed")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


def page(finished: Path, out: Path, **settings: object) -> str:
    assert evaluation(EvaluationSettings(**settings), out, run=finished) == {"page": "index.html"}  # type: ignore[arg-type]
    return (out / "index.html").read_text()


def data(text: str, name: str = "item-data") -> list:
    return json.loads(re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]


def test_every_item_is_there_with_its_verdict_and_its_changes(finished: Path, tmp_path: Path) -> None:
    text = page(finished, tmp_path)
    items = data(text)
    assert len(items) == 30 and {item["s"] for item in items} == {"right", "wrong"}
    assert all({"t", "i", "p", "g", "a", "r", "w", "m"} <= set(item) for item in items)
    changes = {name for item in items for name, _, _ in item["v"]}
    assert {"image_removed", "image_blank", "image_swapped", "typo"} <= changes
    assert len(data(text, "picture-data")) == 5, "an image that is asked about six times is kept once"
    assert text == page(finished, tmp_path / "b"), "the same bytes every time"
    assert "not for clinical use" in text and "Worst case" in text and "without the image" in text


def test_nothing_an_item_says_becomes_markup(finished: Path, tmp_path: Path) -> None:
    text = page(finished, tmp_path)
    assert "owned" in json.dumps(data(text)), "the words are there"
    assert "<script>document" not in text and "<img src=x" not in text and "\u2028" not in text
    assert text.count("<script") == 3 and "default-src &#x27;none&#x27;" in text
    assert not re.search(r"(?:src|href)=\"http|url\(|@import", text), "it asks for nothing from anywhere"


def test_what_is_embedded_is_bounded(finished: Path, tmp_path: Path) -> None:
    few = page(finished, tmp_path, items=7, thumbnails=2, side=32)
    assert (
        len(data(few)) == 7 and len(data(few, "picture-data")) == 2 and "23 more are in traces.jsonl" in few
    )
    none = page(finished, tmp_path / "b", words=False)
    assert 'id="item-data"' not in none and "owned" not in none
    assert _shares({"a": 5, "b": 100, "c": 100}, 65) == {"a": 5, "b": 30, "c": 30} and _shares(
        {"a": 2}, 10
    ) == {"a": 2}


def test_calibration_and_nodes_have_their_panels(finished: Path, tmp_path: Path) -> None:
    changed = tmp_path / "run"
    shutil.copytree(finished, changed)
    whole = io.read_json(changed / "results.json")
    from medxiaohe.evals.statistics.calibration import Answered, report

    whole["tasks"]["looked"]["calibration"] = report(
        [Answered((0.5 + i / 300, 0.5 - i / 300), i % 2) for i in range(100)]
    )
    io.write_json(changed / "results.json", whole)
    row = {
        "node": "E:1",
        "name": "fever",
        "kind": "phenotype",
        "layer": 4,
        "n": 30,
        "mean": 0.5,
        "low": 0.3,
        "high": 0.7,
        "clusters": 7,
        "training_mentions": 12,
    }
    part = {
        key: {"x": {k: row[k] for k in ("n", "mean", "low", "high", "clusters")}}
        for key in ("layers", "kinds", "rarity")
    }
    io.write_json(
        changed / "slices.json",
        {"all": {"nodes": [row], "items": 30, "warning": "by chance", **part}, "tasks": {}, "min_items": 10},
    )
    text = page(changed, tmp_path / "page")
    assert (
        "looked: reliability" in text
        and "answering only when sure" in text
        and "Training mentions" in text
        and "by chance" in text
    )


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs a browser")
@pytest.mark.slow
def test_a_browser_shows_a_page_of_items_and_runs_nothing_else(finished: Path, tmp_path: Path) -> None:
    page(finished, tmp_path)
    words = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/c",
        "--dump-dom",
        f"file://{tmp_path}/index.html",
    ]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=120).stdout
    assert shown.count('<article class="answered') == 20 and "page 1 of 2" in shown
    assert (
        "<title>owned" not in shown
        and 'src="data:image/jpeg;base64,' in shown
        and "<button" in shown.split("<tbody>")[0]
    )


def other_run(finished: Path, out: Path) -> Path:
    """The same items, where the model looks at nothing and says no."""
    whole = io.read_json(finished / "results.json")
    out.mkdir(parents=True)
    rows = list(io.read_jsonl(finished / "traces.jsonl"))
    from medxiaohe.scoring.yes_no import yes_no
    from medxiaohe.types import Message, Trace

    for row in rows:
        sample = io.sample_from_json(row["sample"])
        trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", ("=No.",))))
        row["trace"] = io.to_json(trace)
        row["scores"] = [io.to_json(yes_no(sample, trace))]
    io.write_jsonl(out / "traces.jsonl", rows)
    whole["model"] = {**whole["model"], "name": "naysayer"}
    io.write_json(out / "results.json", whole)
    return out


def test_a_comparison_says_of_each_item_what_became_of_it(finished: Path, tmp_path: Path) -> None:
    other = other_run(finished, tmp_path / "other")
    compare(ComparisonSettings(), tmp_path / "page", base=finished, other=other)
    text = (tmp_path / "page" / "index.html").read_text()
    items = data(text)
    # the base says yes to everything: right on the odd items, whose gold is yes
    assert {(item["g"], item["c"]) for item in items} == {("yes", "broke"), ("no", "fixed")} and len(
        items
    ) == 30
    assert all(item["b"]["a"] == "=No." for item in items)
    assert f"naysayer against {finished.parent.name}/bot.py:answer</h1>" in text
    assert "#items?task=looked&amp;verdict=broke" in text and "not for clinical use" in text
    again = tmp_path / "again"
    compare(ComparisonSettings(), again, base=finished, other=other)
    assert (again / "index.html").read_text() == text
    (other / "traces.jsonl").write_text("")
    with pytest.raises(DataError, match="no item in common"):
        compare(ComparisonSettings(), tmp_path / "none", base=finished, other=other)


def test_sections_that_were_not_asked_for_are_not_there(finished: Path, tmp_path: Path) -> None:
    text = page(finished, tmp_path)
    assert 'id="calibration"' not in text and 'href="#calibration"' not in text
    assert text.index('id="scores"') < text.index('id="items"') < text.index('id="perturbed"')


@needs_browser
def test_the_address_keeps_filters_and_names_an_item(tab: Browser, finished: Path, tmp_path: Path) -> None:
    page(finished, tmp_path)
    address = (tmp_path / "index.html").as_uri()
    tab.open(address)
    choose = "document.querySelector('[name=verdict]').value = 'wrong';"
    changed = "document.querySelector('.filters').dispatchEvent(new Event('input', {bubbles: true}))"
    tab.do(choose + changed)
    assert tab.do("location.hash") == "#items?verdict=wrong"
    number = int(tab.do("document.querySelectorAll('.answered').length"))
    tab.open(address + "#items?verdict=wrong")
    assert tab.do("document.querySelector('[name=verdict]').value") == "wrong"
    assert int(tab.do("document.querySelectorAll('.answered').length")) == number
    link = tab.do("document.querySelector('.answered a').getAttribute('href')")
    tab.open(address + link)
    assert tab.do("document.querySelectorAll('.answered').length") == 1
    tab.do("document.querySelector('.answered .picture').click()")
    assert tab.do("document.querySelector('dialog.zoom').open") is True


@needs_browser
def test_a_cell_that_a_spreadsheet_would_run_is_text(tab: Browser, finished: Path, tmp_path: Path) -> None:
    other = other_run(finished, tmp_path / "other")
    compare(ComparisonSettings(), tmp_path / "page", base=finished, other=other)
    tab.open((tmp_path / "page" / "index.html").as_uri())
    keep = "(blob) => { blob.text().then((text) => saved.push(text)); return 'data:,'; }"
    stop = "HTMLAnchorElement.prototype.click = () => {}"
    tab.do(f"window.saved = []; URL.createObjectURL = {keep}; {stop}; 0")
    tab.do("document.querySelector('.saves button').click()")
    text = tab.do("new Promise((done) => setTimeout(() => done(saved[0]), 200))")
    assert text.count("\r\n") == 31 and '"\'=No."' in text and ',"=No."' not in text
