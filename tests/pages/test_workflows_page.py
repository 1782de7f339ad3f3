"""The page about workflows: costs, tests at equal budget, the ladder, conversations that fold; and the recipe
that ships, from end to end with a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import engine
import pytest
import tiny
from browser import Browser, browser, executable

from medxiaohe import io
from medxiaohe.evals.compare import CompareSettings, compare
from medxiaohe.evals.ladder import LadderSettings, ladder
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.pages.workflows import WorkflowsPageSettings, workflows
from medxiaohe.recipe.load import load
from medxiaohe.retrieval.graph import build_graph
from medxiaohe.types import Relation

ROOT = Path(__file__).parent.parent.parent
EVIL = "</script><script>document.title='owned'</script><b>bold</b>"
BOT = f"""
def bot(messages):
    "Right alone, wrong in a panel: a workflow that loses."
    last = messages[-1].text
    return "Answer: A" if len(messages) == 1 and "attempt" not in last else "Answer: C " + {EVIL!r}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("flows")
    (place / "bot.py").write_text(BOT)
    flows = {
        "answer": {"name": "answer"},
        "votes_2": {"name": "self_consistency", "samples": 2},
        "panel": {"name": "panel", "rounds": 1},
    }
    for name, flow in flows.items():
        settings = RunSettings(
            (TaskRun(str(ROOT / "examples/custom_task.yaml")),),
            model=f"{place}/bot.py:bot",
            backend="python",
            workflow=flow,
        )
        run(settings, place / name)
    stages = {name: place / name for name in flows}
    (place / "comparison").mkdir()
    compare(CompareSettings(), place / "comparison", **stages)
    (place / "ladder").mkdir()
    ladder(LadderSettings(("self_consistency", "plan"), (0.6,), 60), place / "ladder")
    return place


def page(finished: Path, out: Path, **settings: object) -> str:
    out.mkdir()
    stages = {name: finished / name for name in ("answer", "votes_2", "panel")}
    made = WorkflowsPageSettings(**settings)  # type: ignore[arg-type]
    workflows(made, out, comparison=finished / "comparison", ladder=finished / "ladder", **stages)
    return (out / "index.html").read_text(encoding="utf-8")


def test_the_page_has_costs_losses_the_ladder_and_every_conversation(finished: Path, tmp_path: Path) -> None:
    text = page(finished, tmp_path / "a")
    assert text == page(finished, tmp_path / "b")
    assert text.count("not for clinical use") == 2
    assert "Tokens in" in text and "1 of 3 on the frontier" in text
    assert "self_consistency" in text and "as computed" in text
    assert text.count('class="talk"') == 3 * 8 and "<b>bold</b>" not in text
    found = io.read_json(finished / "comparison/comparison.json")
    assert {(row["b"], row["a"]) for row in found["equal_budget"]} == {
        ("votes_2", "answer"), ("panel", "answer"), ("panel", "votes_2"),
    }  # fmt: skip
    few = page(finished, tmp_path / "few", conversations=2)
    assert few.count('class="talk"') == 3 * 2 and "the first 2 are here" in few
    mute = page(finished, tmp_path / "mute", words=False)
    assert "document.title" not in mute and "stiff neck" not in mute and mute.count('class="talk"') == 24


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.mark.skipif(not executable(), reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_button_folds_all_steps_of_a_role(tab: Browser, finished: Path, tmp_path: Path, width: int) -> None:
    page(finished, tmp_path / "page")
    tab.open((tmp_path / "page/index.html").as_uri(), width=width)
    talk = "[...document.querySelectorAll('.talk')].at(-1)"
    tab.do(f"{talk}.parentElement.open = {talk}.open = true")
    opened = f"[...{talk}.querySelectorAll('.step')].filter((s) => s.open).map((s) => s.dataset.role)"
    assert tab.do(opened) == []
    press = f"{talk}.querySelector('button[data-role=director]').click()"
    tab.do(press)
    assert set(tab.do(opened)) == {"director"} and len(tab.do(opened)) >= 2
    tab.do(press)
    assert tab.do(opened) == [] and tab.do("document.title") == "Workflows"
    assert tab.do("document.documentElement.scrollWidth") <= width
    assert tab.do("document.querySelectorAll('main b').length") == 0


def test_the_recipe_runs_every_workflow_that_ships_but_talks_and_reports() -> None:
    recipe = load(ROOT / "recipes/agents.yaml")
    used = {stage.settings.workflow["name"] for stage in recipe.stages if stage.uses == "evals.run"}
    shipped = {path.stem for path in (ROOT / "medxiaohe/agents").glob("*.py")} - {
        "__init__",
        "patient",
        "report",
    }
    assert used == shipped and recipe.stages[-1].uses == "pages.workflows"


@pytest.mark.long
def test_the_recipe_runs_to_its_page(tmp_path: Path) -> None:
    """Two items and a tiny model, its own passages and graph in the place of assets."""
    rows = [{"id": f"p{n}", "text": f"A fever of {n} days needs a doctor.", "source": "s"} for n in range(9)]
    io.write_jsonl(tmp_path / "passages.jsonl", rows)
    (tmp_path / "graph").mkdir()
    build_graph(tmp_path / "graph", [Relation("fever", "sign of", "meningitis", source="made up")])
    sets = [
        f"model={tiny.build(tmp_path / 'model')}", f"task={ROOT}/examples/custom_task.yaml", "limit=2",
        "tokens=8", "ladder.cases=20", f"pathway.stores.graph={tmp_path}/graph", "hetero.tools=[search]",
        *(f"{s}.library={tmp_path}/passages.jsonl" for s in "react rwr hetero research aide panel".split()),
    ]  # fmt: skip
    flags = [flag for value in sets for flag in ("--set", value)]
    recipe = ROOT / "recipes/agents.yaml"
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "out", *flags, seconds=900)
    assert done.returncode == 0, done.stderr[-3000:]
    found = io.read_json(tmp_path / "out/comparison/1/comparison.json")
    spent = {row["workflow"]: row for row in found["costs"]["custom_task"]}
    assert len(spent) == len(load(recipe).stages) - 3 - 3 and spent["panel"]["calls"] > 8
    assert all(not row["estimated"] or name == "adapter_ranker" for name, row in spent.items())
    text = (tmp_path / "out/page/1/index.html").read_text(encoding="utf-8")
    assert text.count('class="talk"') == 2 * (len(spent) + 3)
