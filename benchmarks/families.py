"""What works with which family of models: runs the tests of the matrix and writes docs/models.md.

    python benchmarks/families.py                      runs the tests (minutes) and prints the page
    python benchmarks/families.py --write docs/models.md
    python benchmarks/families.py --report A.xml B.xml --seconds 700
                                                makes the page of reports of pytest that are there, and of the
                                                seconds of processors that `time` showed for them

Each cell is one test on a tiny random checkpoint of the family's real classes, with its real chat template.
It is "yes" where the test passed, "refused" where it checked that one sentence refuses what cannot be, "no"
where it failed, and "-" where the family has no such thing or a package is missing here.
"""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    "tests/models/test_families.py",
    "tests/models/test_tools_and_thinking.py",
    "tests/train/test_families_train.py",
    "tests/train/test_families_together.py",
)
COLUMNS = {  # heading -> what its test checks, by the name of the test
    "batch = alone": "test_a_batch_of_all_shapes_gives_each_row_the_logits_it_has_alone",
    "pixels count": "test_pixels_change_what_is_said_of_them",
    "image tokens": "test_every_image_has_as_many_tokens_as_features",
    "loss on answers": "test_a_prompt_is_the_beginning_of_training_and_only_assistants_carry_loss",
    "ask": "test_replies_to_a_batch_are_those_to_each_alone_in_any_order",
    "several images": "test_a_batch_of_all_shapes_gives_each_row_the_logits_it_has_alone",
    "rank": "test_answers_are_ranked_by_the_likelihood_they_have_alone",
    "tools": "test_tools_reach_every_model",
    "counted from headers": "test_tokens_are_counted_from_headers_as_they_are_rendered",
    "calls": "test_calls_are_trained_and_read_back_and_results_are_seen_with_their_images",
    "images of tools": "test_calls_are_trained_and_read_back_and_results_are_seen_with_their_images",
    "rollout = training": "test_rollouts_are_the_rows_of_training_whatever_the_template_does_to_thoughts",
    "cpt": "test_pretraining_reads_documents_with_images",
    "sft LoRA": "test_lora_moves_the_language_model_alone_and_is_merged",
    "sft full": "test_everything_is_trained_and_recomputed_activations_change_nothing",
    "recomputed": "test_everything_is_trained_and_recomputed_activations_change_nothing",
    "packing": "test_packed_rows_are_those_alone_token_by_token",
    "dpo": "test_preferences_between_replies_are_learnt",
    "rl": "test_the_policys_likelihoods_are_those_of_each_row_alone",
    "agentic": "test_agents_are_trained_with_a_tool",
    "preferences": "test_images_are_compared_by_what_the_model_sees",
    "reward model": "test_a_reward_model_starts_from_the_language_half_with_its_exact_hidden_states",
    "merge": "test_lora_moves_the_language_model_alone_and_is_merged",
    "4-bit": "test_a_language_model_in_four_bits_learns_with_lora",
    "DDP, FSDP2": "test_two_processes_make_of_a_family_what_one_makes_of_the_same_batches",
    "resume": "test_a_killed_run_goes_on_to_the_same_bits",
}
TITLES = {
    "starter": "starter (LLaVA)", "qwen2_5_vl": "Qwen2.5-VL", "qwen3_vl": "Qwen3-VL",
    "gemma3": "Gemma 3, MedGemma", "internvl": "InternVL (hf)", "smolvlm": "SmolVLM", "idefics3": "Idefics3",
    "llava_onevision": "LLaVA-OneVision", "qwen3": "Qwen3 (text)",
    "llama": "Llama 3 (text)", "gemma": "Gemma (text)",
}  # fmt: skip
TEXT_ONLY = ("qwen3", "llama", "gemma")
OF_IMAGES = ("several images", "images of tools")  # columns that say nothing of a model that reads text only
REFUSED = {  # cells whose test checks a refusal
    "preferences": TEXT_ONLY,
}


def measure(report: Path) -> float:
    """Run the tests of the matrix, one process; returns the seconds of processors they took, which do not
    change with what else the machine does."""
    start = sum(os.times()[2:4])
    command = [sys.executable, "-m", "pytest", *TESTS, "-q", f"--junitxml={report}", "-p", "no:cacheprovider"]
    subprocess.run(command, cwd=ROOT, check=False)
    return sum(os.times()[2:4]) - start


def cases(reports: Sequence[Path]) -> list[xml.Element]:
    """The tests of all reports."""
    return [case for report in reports for case in xml.parse(report).iter("testcase")]


def results(reports: Sequence[Path]) -> dict[tuple[str, str], str]:
    """(name of the test, family) -> passed, failed or skipped; the worst where a test has several."""
    worst = ("passed", "skipped", "failed")
    found: dict[tuple[str, str], str] = {}
    for case in cases(reports):
        name, _, options = str(case.get("name")).partition("[")
        family = next((one for one in re.split(r"[-\]]", options)[::-1] if one in TITLES), "")
        children = {child.tag for child in case}
        kind = (
            "failed" if children & {"failure", "error"} else "skipped" if "skipped" in children else "passed"
        )
        before = found.get((name, family), "passed")
        found[name, family] = max(before, kind, key=worst.index)
    return found


def cell(column: str, family: str, outcome: str) -> str:
    if column in OF_IMAGES and family in TEXT_ONLY:
        return "-"
    if outcome == "passed":
        return "refused" if family in REFUSED.get(column, ()) else "yes"
    return {"failed": "no", "skipped": "-"}.get(outcome, "-")


def page(reports: Sequence[Path], seconds: float, note: str = "") -> str:
    """The page of docs/models.md; the note says how the seconds came to be."""
    found = results(reports)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "torchvision", "transformers", "trl")
    )
    rows = [
        "| " + " | ".join(["", *TITLES.values()]) + " |",
        "|---" * (len(TITLES) + 1) + "|",
    ]
    shown = 0
    for column, test in COLUMNS.items():
        cells = [cell(column, family, found.get((test, family), "")) for family in TITLES]
        rows.append("| " + " | ".join([column, *cells]) + " |")
        shown += sum(one != "-" for one in cells)
    text = (ROOT / "benchmarks" / "families.md").read_text(encoding="utf-8")
    made = (
        f"{len(cases(reports))} tests for {shown} cells in {seconds:.0f} s of processors{note}; {versions}."
    )
    return text.replace("{TABLE}", "\n".join(rows)).replace("{MADE}", made)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", type=Path, nargs="+", help="JUnit reports of these tests that are there")
    parser.add_argument("--seconds", type=float, default=0.0, help="of processors, that the reports took")
    parser.add_argument("--note", default="", help="behind the seconds: on what machine they were taken")
    parser.add_argument("--write", type=Path, help="write the page to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = args.report or [Path(folder) / "report.xml"]
        text = page(reports, args.seconds if args.report else measure(reports[0]), args.note)
    if args.write:
        args.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
