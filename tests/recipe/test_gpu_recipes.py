"""Recipes of real size: they fit the GPUs they are for by the project's own estimate, and run whole with a
tiny model of the same family, where only sizes are changed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine
import pytest
import tiny_families

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.recipe.load import load
from medxiaohe.recipe.settings import without_inputs

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
ROOT = Path(__file__).parent.parent.parent
GPU = ROOT / "recipes" / "gpu"
MADE_FOR = {  # the GPUs that a recipe's first lines name
    "qwen3_vl_4b_lora": "4090", "medgemma_4b_lora": "4090", "qwen2_5_vl_7b_full": "h100:8",
    "lingshu_7b": "h200:8", "rl_vllm": "h200",
}  # fmt: skip
FAMILY = {
    "qwen3_vl_4b_lora": "qwen3_vl", "medgemma_4b_lora": "gemma3", "qwen2_5_vl_7b_full": "qwen2_5_vl",
    "lingshu_7b": "qwen2_5_vl", "rl_vllm": "qwen3_vl",
}  # fmt: skip


def estimated(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, dict[str, Any]]:
    code = main(["train", "estimate", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_recipe_of_the_folder_is_here_and_names_its_gpu() -> None:
    assert {path.stem for path in GPU.glob("*.yaml")} == set(MADE_FOR)
    for name, gpu in MADE_FOR.items():
        assert f"train estimate recipes/gpu/{name}.yaml --gpu {gpu}" in (GPU / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", MADE_FOR)
def test_a_recipe_fits_the_gpus_it_is_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = estimated(capsys, GPU / f"{name}.yaml", "--gpu", MADE_FOR[name])
    assert code == 0 and all(stage["fits"] and not stage["changes"] for stage in found["stages"])
    assert all(stage["hours"] > 0 and sum(stage["needs"].values()) > 2**33 for stage in found["stages"])


def test_what_does_not_fit_says_what_to_change_and_the_change_fits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = GPU / "qwen2_5_vl_7b_full.yaml"
    alone = ("--set", "sft.sharding=none", "--set", "sft.per_device_train_batch_size=4")
    assert main(["train", "estimate", str(recipe), "--gpu", "h100:8", *alone]) == 1
    said = capsys.readouterr().out
    assert "does not fit: set per_device_train_batch_size: 1, gradient_accumulation_steps: 32" in said
    assert "sharding: fsdp; then it takes" in said
    changed = ("--set", "sft.per_device_train_batch_size=1", "--set", "sft.gradient_accumulation_steps=32")
    assert estimated(capsys, recipe, "--gpu", "h100:8", *changed)[0] == 0
    code, found = estimated(capsys, recipe, "--gpu", "l4", *alone)
    assert code == 1 and "quantize: 4bit" in found["stages"][0]["changes"]


def test_more_of_everything_takes_more(capsys: pytest.CaptureFixture[str]) -> None:
    def of(*arguments: str) -> tuple[float, float]:
        _, found = estimated(capsys, GPU / "qwen3_vl_4b_lora.yaml", "--gpu", *arguments)
        (stage,) = found["stages"]
        return sum(stage["needs"].values()), stage["hours"]

    memory, hours = of("h100")
    assert of("h100", "--set", "sft.max_length=6144")[0] > memory
    assert of("h100", "--set", "sft.gradient_checkpointing=false")[0] > memory
    assert of("h100", "--tokens", "2048")[1] > 1.5 * hours and of("h100", "--mfu", "0.7")[1] < 0.6 * hours
    assert of("a100")[1] == pytest.approx(hours * 989 / 312) and of("h100:2")[1] < 0.6 * hours


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "h900"), "no GPU 'h900': it is one of b200, h200"),
        (("--gpu", "h200:0"), "'h200:0': behind the colon stands how many"),
        (("--gpu", "h200", "--mfu", "2"), "--mfu is a share of the peak"),
        (
            ("--gpu", "h200", "--set", "model=nobody/unknown-9b"),
            "the size of 'nobody/unknown-9b' is not known",
        ),
    ],
)
def test_a_wrong_question_is_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "estimate", str(GPU / "rl_vllm.yaml"), *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["qwen3_vl", "gemma3", "starter"])
def test_a_model_without_memory_is_estimated_as_the_one_that_is_loaded(
    name: str, families_folder: Path
) -> None:
    """tests/cli/test_outputs.py compares `estimate.memory` of a loaded model with the memory of a process."""
    from medxiaohe.models import checkpoint, shapes
    from medxiaohe.train.loop import estimate
    from medxiaohe.train.loop.parts import Parts, prepare

    if package := tiny_families.missing(name):
        pytest.skip(f"{name} needs {package}")
    folder = str(tiny_families.build(name, families_folder))
    for parts in (Parts(language="lora", lora_r=4), Parts(language="full", vision=True)):
        loaded = prepare(checkpoint.load(folder).model, parts, 0)
        empty = prepare(shapes.empty(folder, torch.float32), parts, 0)
        assert {weight.device.type for weight in empty.parameters()} == {"meta"}
        assert estimate.memory(empty, 700, 3, 4, True) == estimate.memory(loaded, 700, 3, 4, True)


# ---- run whole ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    script = [sys.executable, ROOT / "examples" / "make_own_data.py", folder]
    subprocess.run(script, check=True, capture_output=True)
    (folder / "tree.tsv").write_text("id\tname\tkind\nmy:1\tred cell\tanatomy\nmy:2\tanaemia\tdisease\n")
    return folder


@pytest.fixture(scope="module")
def url(tiny_vlm: Path) -> Iterator[str]:
    command = [sys.executable, ROOT / "tests" / "servers" / "openai_server.py", tiny_vlm]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().split()[1]}/v1"
    finally:
        process.kill()
        process.wait()


def small(name: str, own_rows: Path) -> list[str]:
    """Sizes of a test: few rows, two steps, short answers; a reader of one's own tree."""
    with without_inputs():
        recipe = load(GPU / f"{name}.yaml")
    changes = [f"tree.vocabularies=[{{reader: tsv, path: {own_rows}/tree.tsv, license: CC0-1.0}}]"]
    if "corpus" in recipe.params and name != "lingshu_7b":
        changes += [f"corpus={own_rows / 'rows.jsonl'}", "license=CC0-1.0", "mixture.instructions=24"]
    else:
        changes += ["corpus.sources=[{task: chest_xray, limit: 60}]", "mixture.prompts=8"]
    if name == "lingshu_7b":
        changes += [
            "curated.against=[{task: chest_xray}]", "images.instructions=8", "mixture.instructions=12",
            "mixture.by_source={chest_xray: 1.0}",
        ]  # fmt: skip
    for stage in recipe.stages:
        if stage.uses == "train.sft":
            changes += [f"{stage.name}.max_steps=2", f"{stage.name}.gradient_accumulation_steps=2"]
        elif stage.uses == "train.rl":
            sizes = (
                "per_device_train_batch_size=4",
                "num_generations=2",
                "max_completion_length=4",
                "max_steps=2",
            )
            changes += [f"{stage.name}.{size}" for size in sizes]
        elif stage.uses == "evals.run":
            task = "chest_xray" if name in ("lingshu_7b", "rl_vllm") else "held_out"
            changes += [f"{stage.name}.tasks=[{{name: {task}, limit: 4}}]", f"{stage.name}.max_new_tokens=4"]
            changes += [f"{stage.name}.perplexity=0"]  # of documents, which the test has none of
    return changes


@pytest.mark.long
@pytest.mark.filled_cache("chest_xray")
@pytest.mark.parametrize("name", MADE_FOR)
def test_a_recipe_runs_whole_with_a_tiny_model_of_its_family(
    name: str, own_rows: Path, families_folder: Path, url: str, tmp_path: Path
) -> None:
    if package := tiny_families.missing(FAMILY[name]):
        pytest.skip(f"{FAMILY[name]} needs {package}")
    model = tiny_families.build(FAMILY[name], families_folder)
    sets = [f"model={model}", *small(name, own_rows)]
    if name == "rl_vllm":  # vLLM needs a GPU: another server of its protocol draws the answers
        sets += ["vllm=false", f"server={url}"]
    flags = [flag for value in sets for flag in ("--set", value)]
    recipe = ("run", str(GPU / f"{name}.yaml"), "--out", str(tmp_path / "out"), *flags)
    if "fsdp" in (GPU / f"{name}.yaml").read_text():  # two processes share the weights, as eight would
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [*launch, "-m", "medxiaohe", *recipe]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    else:
        done = engine.medxiaohe(*recipe, seconds=900)
    assert done.returncode == 0, done.stderr[-3000:]
    with without_inputs():
        stages = load(GPU / f"{name}.yaml").stages
    for stage in stages:
        record = io.read_json(tmp_path / "out" / stage.name / "1" / "stage.json")
        if stage.uses.startswith("train."):
            assert record["summary"]["steps"] == 2, stage.name
    assert (tmp_path / "out/report/1/index.html").stat().st_size > 10_000


def test_a_copy_of_a_recipe_extends_what_shipped_beside_it(tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_bytes((GPU / "qwen3_vl_4b_lora.yaml").read_bytes())
    with without_inputs():
        mine, shipped = load(copy), load(GPU / "qwen3_vl_4b_lora.yaml")
    assert [stage.settings for stage in mine.stages] == [stage.settings for stage in shipped.stages]
