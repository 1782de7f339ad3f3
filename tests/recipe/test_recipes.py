"""The shipped recipes are sound, and one's own rows go through every stage to a page, here with a tiny
model."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import engine
import pytest
import tiny_families

from medxiaohe import io
from medxiaohe.recipe.load import load
from medxiaohe.types import Sample

ROOT = Path(__file__).parent.parent.parent
TREE = "id\tname\tkind\nmy:1\tred cell\tanatomy\nmy:2\tanaemia\tdisease\n"


@pytest.fixture(scope="module")
def own_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    subprocess.run(
        [sys.executable, ROOT / "examples" / "make_own_data.py", folder], check=True, capture_output=True
    )
    (folder / "tree.tsv").write_text(TREE)
    return folder


@pytest.mark.parametrize("name", ["quickstart", "starter_135m", "loop", "lingshu"])
def test_a_recipe_that_reads_package_files_only_is_sound(name: str) -> None:
    recipe = load(ROOT / "recipes" / f"{name}.yaml")
    assert [stage.uses for stage in recipe.stages][-1] == "pages.run"
    assert load(ROOT / "recipes" / f"{name}.yaml", ["model=Qwen/Qwen3-VL-4B-Instruct", "corpus=hub:org/name"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["qwen3_vl", *(pytest.param(name, marks=pytest.mark.long) for name in ("gemma3", "internvl"))]
)
def test_a_model_of_another_family_is_one_line(
    name: str, own_rows: Path, families_folder: Path, tmp_path: Path
) -> None:
    """The same recipe to its page, and the same model examined by itself."""
    if package := tiny_families.missing(name):
        pytest.skip(f"{name} needs {package}")
    model = tiny_families.build(name, families_folder)
    sets = [
        f"corpus={own_rows / 'rows.jsonl'}", "license=CC0-1.0", f"model={model}", "sft.max_steps=2",
        f"tree.vocabularies=[{{reader: tsv, path: {own_rows}/tree.tsv, license: CC0-1.0}}]",
    ]  # fmt: skip
    flags = [flag for value in sets for flag in ("--set", value)]
    recipe = ROOT / "recipes" / "own_data.yaml"
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "out", "--json", *flags)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out/report/1/index.html").stat().st_size > 10_000
    trained = io.read_json(tmp_path / "out/sft/1/stage.json")["summary"]
    assert trained["rows_with_pixels"] > 50 and trained["trained_parameters"] > 0
    alone = engine.medxiaohe(
        "eval", "run", "--model", tmp_path / "out/sft/1/model", "--tasks", "held_out", "--limit", "4",
        "--input", f"data={tmp_path / 'out/corpus/1'}", "--out", tmp_path / "alone", "--json",
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr[-3000:]


@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA is not set")
def test_the_data_pack_recipe_finds_every_file() -> None:
    assert len(load(ROOT / "recipes" / "data_pack.yaml").stages) >= 10


@pytest.mark.parametrize("reader", ["chat_jsonl", pytest.param("hub", marks=pytest.mark.long)])
def test_own_rows_become_a_trained_and_examined_model(
    reader: str, own_rows: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    """A JSON lines file, and the same rows as a folder in hub layout; three lines are changed, the rest is
    size."""
    corpus = own_rows / "rows.jsonl"
    if reader == "hub":
        corpus = tmp_path / "hub"
        shutil.copytree(own_rows / "img", corpus / "img")
        rows = list(io.read_jsonl(own_rows / "rows.jsonl"))
        io.write_jsonl(corpus / "train.jsonl", rows[:90])
        io.write_jsonl(corpus / "test.jsonl", rows[90:])
    small = [
        "sft.max_steps=2",
        f"tree.vocabularies=[{{reader: tsv, path: {own_rows}/tree.tsv, license: CC0-1.0}}]",
    ]
    sets = [f"corpus={corpus}", "license=CC0-1.0", f"model={tiny_vlm}", f"reader={reader}", *small]
    flags = [flag for value in sets for flag in ("--set", value)]
    done = engine.medxiaohe(
        "run", ROOT / "recipes" / "own_data.yaml", "--out", tmp_path / "out", "--json", *flags
    )
    assert done.returncode == 0, done.stderr[-3000:]
    json.loads(done.stdout)
    samples: dict[str, list[Sample]] = {"train": [], "test": []}
    for sample in io.read_samples(tmp_path / "out/corpus/1/samples.jsonl"):
        samples[sample.split].append(sample)
    assert len(samples["train"]) + len(samples["test"]) == 120
    assert not {s.patient_id for s in samples["train"]} & {s.patient_id for s in samples["test"]}
    summary = io.read_json(tmp_path / "out/eval_sft/1/stage.json")["summary"]
    assert summary["held_out"]["n"] == len(samples["test"]) > 10
    page = (tmp_path / "out/report/1/index.html").read_text()
    assert "not for clinical use" in page.casefold()


FEW = [
    (
        "tree.vocabularies=[{reader: mondo, limit: 600}, {reader: uberon, limit: 600}, {reader: hpo, limit:"
        " 600}, {reader: chebi, limit: 600}]"
    ),
    (
        "corpus.sources=[{reader: pubmed_xml, path: 'asset:pubmed_2020', name: pubmed, limit: 60}, {task:"
        " chest_xray, limit: 40}, {task: entity_kind, limit: 40}]"
    ),
    "mixture.instructions=24",
    "mixture.prompts=16",
]
EXAM = "tasks=[{name: chest_xray, limit: 6}, {name: entity_kind, limit: 6}]"


def few(recipe: str) -> list[str]:
    """The recipe made small: few rows, two steps, short answers."""
    changes = list(FEW)
    for stage in load(ROOT / "recipes" / f"{recipe}.yaml").stages:
        if stage.uses in ("train.sft", "train.cpt"):
            changes += [f"{stage.name}.max_steps=2", f"{stage.name}.per_device_train_batch_size=4"]
        elif stage.uses == "train.rl":
            for setting in (
                "per_device_train_batch_size=4",
                "num_generations=2",
                "max_completion_length=4",
                "max_steps=2",
            ):
                changes.append(f"{stage.name}.{setting}")
        elif stage.uses == "train.rft":
            changes += [f"{stage.name}.draws=2", f"{stage.name}.rare=1.0", f"{stage.name}.right=0.01"]
        elif stage.uses == "train.select":
            changes += [f"{stage.name}.draws=2", f"{stage.name}.low=0.0", f"{stage.name}.high=1.0"]
        elif stage.uses == "evals.run":
            changes += [f"{stage.name}.{EXAM}", f"{stage.name}.perplexity=2"]
    if recipe == "loop":  # rejection sampling needs a model that is right sometimes
        learns = ("sft.parts={language: full}", "sft.learning_rate=0.005", "sft.max_steps=40", "rft.draws=8")
        return [*changes, "mixture.documents=8", *learns]
    return [*changes, "images.instructions=8"]


@pytest.mark.long
@pytest.mark.filled_cache("mondo", "uberon", "hpo", "chebi", "pubmed_2020", "chest_xray")
@pytest.mark.parametrize("recipe", ["loop", "lingshu"])
def test_the_whole_schedule_runs(recipe: str, tiny_vlm: Path, tmp_path: Path) -> None:
    """Every stage of the loop and of the four stages, with a tiny model of random weights; only the size is
    changed."""
    flags = [flag for value in (f"model={tiny_vlm}", *few(recipe)) for flag in ("--set", value)]
    done = engine.medxiaohe(
        "run", ROOT / "recipes" / f"{recipe}.yaml", "--out", tmp_path / "out", "--json", *flags, seconds=1500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for stage in load(ROOT / "recipes" / f"{recipe}.yaml").stages:
        assert (tmp_path / "out" / stage.name / "1" / "stage.json").is_file(), stage.name
    order = io.read_json(tmp_path / "out/comparison/1/comparison.json")["stages"]
    assert order == (
        ["base", "sft", "rl", "alignment"]
        if recipe == "loop"
        else ["base", "shallow", "deep", "instruction", "rl"]
    )


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="MEDXIAOHE_DATA is not set")
def test_raw_files_become_a_mixture_and_a_page_that_accounts_for_every_row(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    """recipes/corpus.yaml, all of its stages, on a few rows of four sources."""
    data = Path(os.environ["MEDXIAOHE_DATA"])
    vocabularies = [
        {
            "reader": "obo",
            "path": str(data / "ontology/doid_2016-09-01.obo"),
            "kind": "disease",
            "license": "CC0-1.0",
        },
        {
            "reader": "obo",
            "path": str(data / "ontology/hp_2014-11-14.obo"),
            "kind": "phenotype",
            "license": "HPO licence",
        },
        {"reader": "do_relations", "path": str(data / "ontology/disease-symptom.tsv")},
        {"reader": "modality"},
    ]
    dialogues = {
        "columns": {"user": "Summarise.\n\n{dialogue}", "assistant": "section_text"},
        "license": "CC BY 4.0",
    }
    sources = [
        {"reader": "medquad_xml", "path": str(data / "corpus/medquad"), "name": "medquad", "limit": 250},
        {
            "reader": "table",
            "path": str(data / "dialogue/mts_dialog"),
            "name": "mts_dialog",
            "limit": 60,
            "options": dialogues,
        },
        {"task": "pubmedqa", "limit": 60},
        {
            "reader": "examples/docstrings.py:docstrings",
            "path": "examples/modules.txt",
            "name": "docstrings",
            "limit": 120,
        },
    ]
    tests = [{"task": "pubmedqa"}, {"task": "mts_dialog"}]
    values: dict[str, object] = {
        "tree.vocabularies": vocabularies, "corpus.sources": sources, "classified.medical": ["medquad"],
        "classified.seeds": 60,
        "curated.against": tests, "written.against": tests, "deidentified.sources": ["mts_dialog"],
        "tail": 30,
        "gathered.kinds": ["disease", "phenotype"], "written.kinds": ["disease", "phenotype"],
        "mixture.documents": 10, "mixture.instructions": 150, "mixture.prompts": 10,
        "mixture.prompt_sources": ["pubmedqa"],
        "mixture.trust": {"pubmedqa": 4.0}, "packed.model": str(tiny_vlm), "packed.max_length": 512,
    }  # fmt: skip
    flags = [word for name, value in values.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    done = subprocess.run(
        [sys.executable, "-m", "medxiaohe", "run", "recipes/corpus.yaml", "--out", str(tmp_path / "out"),
        *flags],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    accounts = re.findall(
        r"(\S+): read ([\d,]+) = written ([\d,]+) \+ dropped ([\d,]+).*? \+ dead ([\d,]+)", done.stderr
    )
    assert {"data.read", "data.link", "data.classify", "data.curate", "data.deidentify", "data.mixture"} <= {
        name for name, *_ in accounts
    }
    for name, *numbers in accounts:
        read, *others = (int(number.replace(",", "")) for number in numbers)
        assert read == sum(others), name
    checked = io.read_json(tmp_path / "out/mixture/1/mixture.json")["contamination"]["checked"]
    assert set(checked) == {"pubmedqa", "mts_dialog"}
    page = (tmp_path / "out/report/1/index.html").read_text()
    titles = (
        "Accounts",
        "Why records were lost",
        "Coverage before and after",
        "Contamination",
        "Written for the tail",
        "De-identified",
    )
    for title in titles:
        assert title in page
    rows = [
        *io.read_samples(tmp_path / "out/mixture/1/documents.jsonl"),
        *io.read_samples(tmp_path / "out/mixture/1/instructions.jsonl"),
    ]
    assert any(row.source.startswith("synth_") for row in rows) and not any(
        row.source == "docstrings" for row in rows
    )
