import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("PIL", reason="the page shows images")

from fixture_run import break_image, write_run

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.pages.elements import treemap
from medxiaohe.pages.elements.charts import decades, ticks
from medxiaohe.pages.elements.html import decimal, p_value, share, tag
from medxiaohe.pages.run import PageSettings
from medxiaohe.pages.run import run as run_page
from medxiaohe.pages.sections.artefacts import load
from medxiaohe.pages.sections.run_page import CONTENTS, STATEMENT
from medxiaohe.pages.sections.verdicts import verdicts
from medxiaohe.recipe.load import load as load_recipe
from medxiaohe.recipe.load import stage
from medxiaohe.recipe.run import run

CORE = ("tree", "corpus", "curated", "mixture", "comparison")
NASTY = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def run_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_run(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture(scope="module")
def made(run_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert run_page(PageSettings(), out, **run_folders) == {"page": "index.html", "card": "MODEL_CARD.md"}
    return out


class Targets(HTMLParser):
    """Everything an HTML page could make a browser fetch or run, and the tags it has."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.targets: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "formaction"):
                self.targets.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(f"{name}={value}")


def page_of(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def edit(path: Path, **changes: object) -> None:
    io.write_json(path, {**io.read_json(path), **changes})


def copy(folders: dict[str, Path], root: Path) -> dict[str, Path]:
    import shutil

    run = next(iter(folders.values())).parent.parent
    shutil.copytree(run, root / run.name)
    return {role: root / run.name / path.relative_to(run) for role, path in folders.items()}


def test_the_page_asks_for_nothing_from_anywhere(made: Path) -> None:
    parsed = Targets(page_of(made))
    assert all(target.startswith(("#", "data:image/jpeg;base64,")) for target in parsed.targets)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page_of(made))
    assert "default-src &#x27;none&#x27;" in page_of(made) and not parsed.handlers


def test_the_policy_names_the_hashes_of_the_style_and_the_script(made: Path) -> None:
    import base64
    import hashlib

    for name in ("style", "script"):
        inside = re.search(rf"<{name}>(.*?)</{name}>", page_of(made), re.S)
        assert inside and base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode() in page_of(
            made
        )


def test_every_section_is_there_and_every_link_inside_the_page_leads_somewhere(made: Path) -> None:
    ids = set(re.findall(r' id="([^"]+)"', page_of(made)))
    assert {name for name, _ in CONTENTS} <= ids
    assert {target[1:] for target in Targets(page_of(made)).targets if target.startswith("#")} <= ids
    assert page_of(made).count(STATEMENT) == 2


def test_every_table_has_a_caption_and_every_drawing_and_picture_a_name(made: Path) -> None:
    text = page_of(made)
    assert text.count("<table") == text.count("<caption")
    assert all("aria-label=" in svg for svg in re.findall(r"<svg[^>]*>", text))
    assert all(" alt=" in image for image in re.findall(r"<img[^>]*>", text))


def test_a_run_reports_the_same_bytes_twice_and_in_another_folder(
    made: Path, run_folders: dict[str, Path], tmp_path: Path
) -> None:
    moved = copy(run_folders, tmp_path)
    run_page(PageSettings(), tmp_path / "again", **moved)
    for name in ("index.html", "MODEL_CARD.md"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()


def test_names_and_answers_with_markup_stay_text(tmp_path: Path) -> None:
    folders = write_run(tmp_path / "run", name=NASTY)
    run_page(PageSettings(title=NASTY), tmp_path / "out", **folders)
    text = page_of(tmp_path / "out")
    assert (
        Targets(text).tags.count("script") == 1
        and "<script>alert" not in text
        and "&lt;script&gt;alert(1)" in text
    )
    assert "<script>alert" not in (tmp_path / "out" / "MODEL_CARD.md").read_text().split("---", 2)[2]


def test_surrogates_and_control_characters_do_not_break_the_page(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    folders = copy(run_folders, tmp_path)
    (folders["curated"] / "contamination.json").write_text(json.dumps({"checked": {"a\x00b\ud800": 1}}))
    run_page(PageSettings(), tmp_path, **folders)
    assert "\x00" not in page_of(tmp_path)


def test_a_stage_that_does_not_help_is_said_not_to(made: Path) -> None:
    assert re.search(
        r"RL: no measurable change on chest_xray against sft, [+\u2212]0\.0\d\d \(p = [01]\.\d\d, n ="
        r" 160\)\.",
        page_of(made),
    )
    assert "not measurably better than always giving the same answer" in page_of(made)


def test_how_replies_were_read_is_a_table_by_task_and_by_model(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    folders = copy(run_folders, tmp_path)
    known = {"n": 200, "unparsed": 0.07, "refused": 0.03, "truncated": 0.05, "wrong": 0.5, "left_out": 0.59}
    edit(
        folders["comparison"] / "comparison.json",
        readings={"chest_xray": {"stages": {"base": known}}},
        by_model={"base": {key: known[key] for key in ("n", "unparsed", "refused", "truncated")}},
        warnings=["base leaves 15 % unread"],
    )
    run_page(PageSettings(), tmp_path, **folders)
    page = page_of(tmp_path)
    table, behind = page[page.index("How replies were read") :].split("</table>")[:2]
    rows = [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.split(r"</t[dh]>", row)[:-1]]
        for row in re.split(r"<tr\b[^>]*>", table)[1:]
    ]
    assert rows == [
        ["Task", "Stage", "n", "Unparsed", "Refused", "Truncated", "Mean by parser", "Unread left out"],
        ["chest_xray", "base", "200", "7.0 %", "3.0 %", "5.0 %", "strict 0.500", "0.590"],
        ["all tasks", "base", "200", "7.0 %", "3.0 %", "5.0 %", "", ""],
    ]
    assert "base leaves 15 % unread" in behind


def test_holm_decides_and_fewer_bits_are_better(run_folders: dict[str, Path], tmp_path: Path) -> None:
    folders = copy(run_folders, tmp_path)
    row = {"a": "base", "b": "sft", "difference": 0.1, "low": 0.01, "high": 0.2, "p": 0.02, "n": 50}
    rows = [{**row, "task": "near", "p_holm": 0.06}, {**row, "task": "sure", "p_holm": 0.04}]
    bits = {"stages": [], "paired": [{**row, "task": "bits per token", "p_holm": 0.04}]}
    edit(folders["comparison"] / "comparison.json", paired=rows, perplexity=bits)
    found = verdicts(load({role: folders[role] for role in CORE}, {}))
    assert [v.outcome for v in found] == ["same", "better", "worse"]


def test_examples_show_failures_as_well_as_successes(made: Path) -> None:
    shown = set(re.findall(r'data-outcome="([^"]+)"', page_of(made)))
    assert {"fixed", "broken", "still-wrong", "unparsed", "right-throughout"} <= shown
    assert "Nobody chose the examples" in page_of(made)


def test_an_image_that_is_gone_is_named_and_its_folder_is_not(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    folders = copy(run_folders, tmp_path)
    path = folders["eval_base"] / "traces.jsonl"
    rows = [{**row, "sample": break_image(io.sample_from_json(row["sample"]))} for row in io.read_jsonl(path)]
    io.write_jsonl(path, rows)
    run_page(PageSettings(), tmp_path, **folders)
    assert "no such image: lost.png" in page_of(tmp_path) and "/nowhere" not in page_of(tmp_path)


def test_pictures_can_be_left_out(run_folders: dict[str, Path], tmp_path: Path) -> None:
    run_page(PageSettings(images=False), tmp_path, **run_folders)
    assert "<img" not in page_of(tmp_path)


def test_words_of_records_can_be_left_out(run_folders: dict[str, Path], tmp_path: Path) -> None:
    run_page(PageSettings(words=False), tmp_path, **run_folders)
    text = page_of(tmp_path)
    assert "patchy opacity" not in text and "both lungs" not in text and "<img" not in text
    assert "Items by outcome" in text and "61 \u00b7 6.6 %" in text


def test_absolute_paths_of_settings_are_shortened(made: Path) -> None:
    assert (
        "models/base" in page_of(made)
        and "/home/someone" not in page_of(made) + (made / "MODEL_CARD.md").read_text()
    )


def test_a_run_without_training_or_evaluations_of_stages_still_makes_a_page(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    core = {role: run_folders[role] for role in CORE}
    run_page(PageSettings(), tmp_path, **core, eval_base=run_folders["eval_base"])
    assert "This run trained no model." in page_of(tmp_path)


def test_a_run_without_reinforcement_and_perplexity_makes_a_page(tmp_path: Path) -> None:
    run_page(
        PageSettings(),
        tmp_path / "out",
        **write_run(tmp_path / "run", stages=("base", "sft"), perplexity=False),
    )
    assert "Perplexity" not in page_of(tmp_path / "out")


def test_optional_files_may_be_missing(run_folders: dict[str, Path], tmp_path: Path) -> None:
    folders = copy(run_folders, tmp_path)
    for role, name in (
        ("corpus", "dead.jsonl"),
        ("curated", "dropped.jsonl"),
        ("curated", "contamination.json"),
        ("curated", "coverage.json"),
    ):
        (folders[role] / name).unlink()
    edit(folders["comparison"] / "comparison.json", buckets={}, paired=[])
    run_page(PageSettings(), tmp_path, **folders)
    assert "No evaluation task was checked against the corpus." in page_of(tmp_path)


def test_the_card_has_front_matter_and_every_section(made: Path) -> None:
    import yaml

    _, front, body = (made / "MODEL_CARD.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert (
        matter["base_model"] == "HuggingFaceTB/SmolVLM-256M-Instruct"
        and matter["license"]
        and matter["language"] == ["en"]
    )
    assert matter["model-index"][0]["results"][0]["metrics"][0]["value"] > 0
    for heading in (
        "Base model",
        "Intended use",
        "Training data",
        "Training",
        "Evaluation",
        "Contamination",
        "Limits",
        "What made these numbers",
    ):
        assert re.search(rf"^## {heading}\n\n\S", body, re.M), heading
    assert "Not for clinical use" in body and "CC BY-NC-ND 4.0" in body and "eval\\_rl@1, seed 0" in body


def test_a_card_with_a_hole_names_the_field(run_folders: dict[str, Path], tmp_path: Path) -> None:
    folders = copy(run_folders, tmp_path)
    record = io.read_json(folders["corpus"] / "stage.json")
    record["summary"]["sources"]["openi"]["license"] = ""
    io.write_json(folders["corpus"] / "stage.json", record)
    with pytest.raises(DataError, match="licence of the source 'openi' is empty"):
        run_page(PageSettings(), tmp_path, **folders)
    run_page(PageSettings(licenses={"openi": "CC BY-NC-ND 4.0"}), tmp_path, **folders)
    with pytest.raises(DataError, match="'license'"):
        run_page(PageSettings(license=""), tmp_path, **folders)


def test_the_stage_is_found_by_its_name_and_its_settings_come_from_yaml() -> None:
    roles = (*CORE, "rl")
    built = stage(
        "report",
        "pages.run",
        {"title": "Eyes", "examples": 3, "licenses": {"a": "b"}},
        {role: role for role in roles},
    )
    assert built.settings == replace(PageSettings(), title="Eyes", examples=3, licenses={"a": "b"})
    with pytest.raises(ConfigError, match="examples must be 0 to 20"):
        stage("report", "pages.run", {"examples": 99}, {role: role for role in roles})


def test_a_stage_that_is_neither_training_nor_evaluation_is_refused(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"needs.more: stage tree neither trained nor examined"):
        run_page(
            PageSettings(), tmp_path, **{role: run_folders[role] for role in CORE}, more=run_folders["tree"]
        )


BACKEND = """
from medxiaohe.models.backends.scripted import scripted

def always(model, **options):
    return scripted(model, lambda conversation: model)
"""
RECIPE = """
out: out
stages:
  tree: {uses: entity.build, with: {vocabularies: [{reader: tsv, path: names.tsv}]}}
  read: {uses: data.read, needs: {tree: tree}, with: {sources: [{task: entity_kind}]}}
  curate: {uses: data.curate, needs: {corpus: read, tree: tree}, with: {against: [{task: entity_kind}], filters: []}}
  mix: {uses: data.mixture, needs: {data: curate}, with: {instructions: 8}}
  base: {uses: evals.run, needs: {tree: tree}, with: {tasks: [{name: entity_kind}], model: anatomy, backend: "backend.py:always"}}
  sft: {uses: evals.run, needs: {tree: tree}, with: {tasks: [{name: entity_kind}], model: disease, backend: "backend.py:always"}}
  compare: {uses: evals.compare, needs: {corpus: read, base: base, sft: sft}}
  report:
    uses: pages.run
    needs: {tree: tree, corpus: read, curated: curate, mixture: mix, comparison: compare, eval_base: base, eval_sft: sft}
"""  # noqa: E501


def test_a_recipe_of_real_stages_ends_in_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    letters = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    rows = [
        f"{kind}:{x}\t{x}{noun}\t{kind}\tCC0-1.0"
        for kind, noun in (("disease", "itis"), ("anatomy", "duct"))
        for x in letters
    ]
    (tmp_path / "names.tsv").write_text("\n".join(["id\tname\tkind\tlicense", *rows]) + "\n")
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    done = run(load_recipe(tmp_path / "recipe.yaml"), say=lambda line: None)
    assert "SFT: no measurable change on entity_kind against base" in page_of(done[-1].folder)


def test_boxes_of_a_map_have_the_areas_asked_for_and_stay_inside() -> None:
    boxes = treemap.squarify([6, 6, 4, 3, 2, 2, 1], 600, 400)
    assert [round(w * h / 10_000) for _, _, w, h in boxes] == [6, 6, 4, 3, 2, 2, 1]
    assert all(
        x >= -1e-6 and y >= -1e-6 and x + w <= 600 + 1e-6 and y + h <= 400 + 1e-6 for x, y, w, h in boxes
    )


def test_axes_cover_their_data_with_round_numbers() -> None:
    assert ticks(0.13, 0.87) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(5, 5)[0] < 5 < ticks(5, 5)[-1]
    assert decades(250) == [1, 10, 100, 1000] and decades(1) == [1, 10]


def test_numbers_are_told_without_lies() -> None:
    assert share(1, 100_000) == "< 0.1 %" and share(99_999, 100_000) == "> 99.9 %" and share(1, 0) == ""
    assert decimal(-0.0001) == "0.000" and decimal(-0.25) == "\u22120.250"
    assert p_value(0.0004) == "< 0.001" and p_value(0.41) == "= 0.41" and p_value(None) == "not computed"


def test_text_is_escaped_unless_it_is_markup() -> None:
    assert tag("p", "<b>", tag("i", "x"), title='"') == '<p title="&quot;">&lt;b&gt;<i>x</i></p>'
    assert json.loads(json.dumps(tag("br"))) == "<br>"


def test_why_a_stage_stopped_and_what_it_answered_are_on_the_page(
    run_folders: dict[str, Path], tmp_path: Path
) -> None:
    """Pain 16: a run that stops because nothing can be learnt says so where its curves are; its answers stand
    below."""
    folders = copy(run_folders, tmp_path)
    record = io.read_json(folders["rl"] / "stage.json")
    edit(
        folders["rl"] / "stage.json",
        summary={**record["summary"], "stopped": "every one is wrong: take easier prompts"},
    )
    rows = [
        {
            "sample": f"q/{i}",
            "answer": f"<b>answer {i}</b>",
            "reward": i / 40,
            "status": "judged",
            "why": "",
            "parts": {"format": 0.5},
        }
        for i in range(40)
    ]
    io.write_jsonl(folders["rl"] / "rollouts.jsonl", rows)
    pages = {}
    for words in (True, False):
        run_page(PageSettings(words=words), tmp_path / str(words), **folders)
        pages[words] = page_of(tmp_path / str(words))
    assert "stopped before its last step: every one is wrong: take easier prompts" in pages[True]
    assert "answered at first and at last" in pages[True] and "format 0.5" in pages[True]
    assert "&lt;b&gt;answer" in pages[True] and "<b>answer" not in pages[True]
    assert "answered at first and at last" not in pages[False]
