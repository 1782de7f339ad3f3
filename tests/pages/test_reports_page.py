"""Drafts of reports, their revisions by every policy and the page of them; and the recipe that ships, whole,
with a tiny model on a made-up pack."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import engine
import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.revision import RevisionSettings, revision
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.evals.statistics import report_errors
from medxiaohe.pages.reports import ReportsPageSettings, reports
from medxiaohe.recipe.load import load
from medxiaohe.tasks._common import hash_split

ROOT = Path(__file__).parent.parent.parent
RECIPE = ROOT / "recipes/report_starter.yaml"
EVIL = "<script>document.title='owned'</script>"
FINDINGS = "There is a small left pleural effusion. Heart size is normal. No pneumothorax."
IMPRESSION = "Small left effusion."
BOT = f"""
def bot(messages):
    return "Large right pleural effusion. The heart is enlarged. No pneumothorax. {EVIL}"
"""
YES = ["yes"]


def pack(folder: Path, test: int = 4) -> Path:
    """The files of the data pack that reports need: reports, labels, and smears."""
    pytest.importorskip("PIL")
    from PIL import Image

    from medxiaohe.tools.vision.drawn import CELLS, smear

    names = ("uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression")
    uids = [str(n) for n in range(60) if hash_split("iu_impression", str(n), 0.6, 0.1) == "test"][:test]
    (folder / "cxr/iu_reports").mkdir(parents=True)
    with open(folder / "cxr/iu_reports/indiana_reports.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(names)
        rows.writerows([uid, "", "", "", "Cough", "None.", FINDINGS, IMPRESSION] for uid in uids)
    marked = ["Is there an effusion?", YES, [], {"path": "pleura_diseases_pleural effusion"}]
    (folder / "cxr/radrestruct").mkdir()
    io.write_jsonl(folder / "cxr/radrestruct/qa_pairs.jsonl", [{"uid": uids[0], "qa": [marked]}])
    for part in ("Annotations", "JPEGImages"):
        (folder / "vqa/bccd" / part).mkdir(parents=True)
    boxes = "".join(
        f"<object><name>WBC</name><bndbox><xmin>{x - r}</xmin><ymin>{y - r}</ymin><xmax>{x + r}</xmax>"
        f"<ymax>{y + r}</ymax></bndbox></object>"
        for x, y, r in CELLS
    )
    for name in [f"p{n}" for n in range(60) if hash_split("bccd", f"p{n}", 0.6, 0.1) == "test"][:2]:
        (folder / f"vqa/bccd/Annotations/{name}.xml").write_text(f"<annotation>{boxes}</annotation>")
        Image.fromarray(smear()).save(folder / f"vqa/bccd/JPEGImages/{name}.jpg")
    return folder


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, and the evaluation of a bot that writes the same wrong impression of every report."""
    place = tmp_path_factory.mktemp("reports")
    pack(place / "pack")
    (place / "bot.py").write_text(BOT)
    task = TaskRun("iu_impression", args={"path": str(place / "pack/cxr/iu_reports/indiana_reports.csv")})
    run(RunSettings((task,), model=f"{place}/bot.py:bot", backend="python"), place / "drafts")
    return place


def revised(place: Path, out: Path, **settings: object) -> dict[str, object]:
    out.mkdir()
    made = RevisionSettings(labels=str(place / "pack/cxr/radrestruct/qa_pairs.jsonl"), **settings)  # type: ignore[arg-type]
    return revision(made, out, drafts=place / "drafts")


def test_cutting_takes_out_what_is_false_and_adding_puts_in_what_is_left_out(
    drafted: Path, tmp_path: Path
) -> None:
    summary = revised(drafted, tmp_path / "a")
    assert summary["reports"] == 4 and summary["labelled"] == 1
    found = io.read_json(tmp_path / "a/revision.json")
    means = {arm: {key: one["mean"] for key, one in row.items()} for arm, row in found["arms"].items()}
    floor = found["floor"]
    assert floor["H text"]["mean"] == 0 and floor["O text"]["mean"] == 0 and floor["H labels"]["n"] == 1
    # of three sentences with a finding two are false; nothing of the human impression is there
    assert means["draft"]["H text"] == pytest.approx(2 / 3) and means["draft"]["O text"] == 1
    assert means["cut"]["H text"] == 0 and means["cut"]["O text"] == 1
    assert means["cut + add"]["H text"] == 0 and means["cut + add"]["O text"] == 0
    # the draft names an effusion, if on the wrong side: nothing is added beside it
    assert means["add"] == means["draft"]
    assert means["hedge"]["H text"] >= means["cut"]["H text"]
    assert means["cut + add"]["H labels"] == 0 and means["draft"]["O labels"] == 0
    by = {(one["arm"], one["measure"]): one for one in found["changes"]}
    assert by["cut + add", "H text"]["share"] == [-1, -1, -1]
    assert all(one["p_holm"] >= one["difference"]["p"] for one in found["changes"])
    rows = list(io.read_jsonl(tmp_path / "a/revised.jsonl"))
    assert len(rows) == 4 * 8
    cut = next(row for row in rows if row["arm"] == "cut")
    assert {one["text"] for one in cut["cut"]} >= {"The heart is enlarged."} and all(
        one["why"] for one in cut["cut"]
    )
    assert "| model | cut + add | 4 |" in (tmp_path / "a/revision.md").read_text()
    revised(drafted, tmp_path / "b")
    for name in ("revision.json", "revised.jsonl", "revision.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_settings_and_drafts_that_cannot_be_revised_are_refused(drafted: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cut \+ add"):
        RevisionSettings(("draft", "cut + ad"))
    with pytest.raises(ConfigError, match="'draft'"):
        RevisionSettings(("cut",))
    with pytest.raises(ConfigError, match="group"):
        RevisionSettings(findings="Findings: .+")
    with pytest.raises(ConfigError, match="regular expression"):
        RevisionSettings(findings="(")
    with pytest.raises(DataError, match="findings"):
        revised(drafted, tmp_path / "none", findings="^No such heading: (.+)$")
    broken = tmp_path / "labels.jsonl"
    broken.write_text(json.dumps({"uid": "1", "qa": [["?", YES]]}) + "\n")
    with pytest.raises(DataError, match=r"labels\.jsonl, line 1"):
        report_errors.labels(broken)


def test_the_page_shows_policies_revisions_and_evaluations(drafted: Path, tmp_path: Path) -> None:
    revised(drafted, tmp_path / "revised")

    def page(name: str, **settings: object) -> str:
        (tmp_path / name).mkdir()
        made = ReportsPageSettings(**settings)  # type: ignore[arg-type]
        reports(made, tmp_path / name, revised=tmp_path / "revised", drafts=drafted / "drafts")
        return (tmp_path / name / "index.html").read_text(encoding="utf-8")

    text = page("a")
    assert text == page("b") and text.count("not for clinical use") >= 2 and EVIL not in text
    assert "human impression" in text and "keep only supported" in text and "findings.grounded" in text
    assert "cardiomegaly is denied" in text and text.count('class="talk"') == 4
    assert "1 of 4 reports" in page("one", reports=1)
    mute = page("mute", words=False)
    assert "heart is enlarged" not in mute and "0 of 4 reports" in mute
    with pytest.raises(ConfigError, match="no evaluation"):
        reports(ReportsPageSettings(), tmp_path, revised=tmp_path / "revised", drafts=tmp_path)


def test_the_recipe_is_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDXIAOHE_DATA", str(pack(tmp_path / "pack")))
    stages = {stage.name: stage for stage in load(RECIPE).stages}
    assert [stage.uses for stage in stages.values()][-1] == "pages.reports"
    assert stages["smears"].settings.workflow["name"] == "report" and not stages["unaided"].settings.workflow
    assert load(RECIPE, ["limit=3", "split=validation"]).stages[0].settings.tasks[0].split == "validation"


@pytest.mark.long
def test_the_recipe_runs_to_its_page(tiny_vlm: Path, tmp_path: Path) -> None:
    given = pack(tmp_path / "pack")
    sets = [flag for one in (f"model={tiny_vlm}", "tokens=8", "limit=2") for flag in ("--set", one)]
    done = engine.medxiaohe(
        "run", RECIPE, "--out", tmp_path / "out", *sets, seconds=900, MEDXIAOHE_DATA=str(given)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = io.read_json(tmp_path / "out/revised/1/revision.json")
    assert found["reports"] == 2 and found["arms"]["cut + add"]["O text"]["mean"] == 0
    smears = io.read_json(tmp_path / "out/smears/1/summary.json")
    unaided = io.read_json(tmp_path / "out/unaided/1/summary.json")
    # what the tool measured is in the report, whatever the model wrote
    assert smears["bccd_report"]["mean"] == 1 and unaided["bccd_report"]["mean"] < 1
    text = (tmp_path / "out/page/1/index.html").read_text(encoding="utf-8")
    assert "human impression" in text and text.count('class="talk"') == 2 * 3
