"""Every fenced block of the documentation is run, parsed, or marked with what a test lacks."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doc_blocks
import pytest
import yaml
from doc_blocks import ROOT, Block

from medxiaohe.cli.parser import parser
from medxiaohe.recipe import load

FENCES = doc_blocks.blocks()
DATA = [block for block in FENCES if block.language in ("yaml", "yml", "json", "jsonl", "toml")]
CODE = [block for block in FENCES if block.language in ("python", "sh", "bash")]
RUN = [block for block in CODE if not block.needs and not doc_blocks.is_record(block)]
PARSER = functools.cache(parser)
PRINTED = re.compile(r"medxiaohe\s+(precision|recall) ")  # a row of a table that a benchmark prints
TREE = (
    "id\tname\tkind\tsynonyms\nmy:1\tred cell\tanatomy\t\n"
    "my:2\tmyocardial infarction\tdisease\theart attack\n"
)
TOGETHER = ("examples", "recipes", "benchmarks")  # what a clone has beside the pages


def by_name(block: Block) -> str:
    return block.name


@pytest.mark.parametrize("block", FENCES, ids=by_name)
def test_a_block_has_a_language_and_a_mark_that_are_known(block: Block) -> None:
    known = ("python", "sh", "bash", "yaml", "yml", "json", "jsonl", "toml", "text", "html", "bibtex")
    assert block.language in known, f"{block.name}: write one of {', '.join(known)} behind the fence"
    unknown = [one for one in block.needs if one not in doc_blocks.NEEDS]
    assert not unknown, f"{block.name}: {unknown} is none of {', '.join(doc_blocks.NEEDS)}"
    assert block.runs_in in ("", *doc_blocks.RUNS_IN), f"{block.name}: runs in {block.runs_in!r}"


@pytest.mark.parametrize("block", DATA, ids=by_name)
def test_a_block_of_data_is_parsed_and_its_stages_have_such_settings(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.jsonl", "passages.jsonl"):  # files of the reader that settings must find
        (tmp_path / name).write_text("")
    if block.language in ("json", "jsonl"):
        for value in block.text.strip().split("\n") if block.text.count("\n{") else [block.text]:
            json.loads(value)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        try:
            values = [yaml.safe_load(block.text)]
        except yaml.YAMLError:  # alternatives, one a line
            values = [yaml.safe_load(line) for line in block.text.split("\n")]
        for name, body in stages_in(values):
            load.stage(name, body["uses"], filled(body.get("with", {})), body.get("needs", {}))


def stages_in(value: Any, name: str = "stage") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict) and "uses" in value:
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from stages_in(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from stages_in(inner, name)


def filled(value: Any) -> Any:
    """Settings without references to parameters of a recipe that the block leaves out."""
    return {k: v for k, v in value.items() if not (isinstance(v, str) and v.startswith("${"))}


@pytest.mark.parametrize("block", CODE, ids=by_name)
def test_a_block_can_be_typed(block: Block) -> None:
    """Python compiles and imports what is there; verbs, options and files of commands exist."""
    if block.language == "python":
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "medxiaohe":
                module = importlib.import_module(str(node.module))
                for name in node.names:
                    if not hasattr(module, name.name):
                        importlib.import_module(f"{node.module}.{name.name}")
        return
    for line, _ in doc_blocks.statements(block.text):
        if doc_blocks.is_record(block) and (not doc_blocks.is_command(line) or PRINTED.match(line)):
            continue  # what the command printed
        for words in doc_blocks.commands(line):
            accepted(words, block.name)


def accepted(words: list[str], where: str) -> None:
    if (arguments := doc_blocks.typed(words)) is not None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                PARSER().parse_args([a for a in arguments if a != "..."])
            except SystemExit as error:
                needed = re.search(r"required: (.*)", said.getvalue())
                if error.code and not ("..." in arguments and needed):
                    pytest.fail(f"{where}: {shlex.join(words)}: {said.getvalue().strip()[-300:]}")
    elif words[0] in ("python", "python3", "pytest", "torchrun"):
        files = [
            word
            for word in words[1:]
            if re.fullmatch(r"(benchmarks|examples|tests|docs|constraints)/[\w./]+", word)
        ]
        missing = [file for file in files if not (ROOT / file).exists()]
        assert not missing, f"{where}: there is no {missing}"
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(w for w in words[1:] if "=" not in w and w[0] != "-") <= set(targets), f"{where}: {words}"
    else:
        assert words[0] in doc_blocks.PROGRAMS, f"{where}: what is {words[0]}?"


def test_commands_inside_sentences_can_be_typed() -> None:
    wrong = []
    for path in doc_blocks.pages():
        if path.name == "CHANGELOG.md":
            continue  # verbs as they were called then
        text = re.sub(
            r"^( *)(`{3,}).*?^\1\2\s*$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for command in re.findall(r"`(medxiaohe [a-z][^`\n]*)`", text):
            # "data link|align" and "medxiaohe trace" are names in a sentence, without the arguments they need
            for words in doc_blocks.commands(re.sub(r"(^|\s)#.*|\|\S+", "", command)):
                try:
                    accepted([w for w in words if w != "..."], str(path.name))
                except (AssertionError, pytest.fail.Exception) as error:
                    if "required" not in str(error) and words[0] == "medxiaohe":
                        wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


def groups(runs_in: tuple[str, ...]) -> list[tuple[str, list[Block]]]:
    """Pages with their blocks that run in such a folder, in order."""
    names = sorted({block.page for block in RUN if block.runs_in in runs_in})
    return [
        (name, [block for block in RUN if block.page == name and block.runs_in in runs_in]) for name in names
    ]


def run_page(found: list[Block], folder: Path, models: dict[str, str]) -> None:
    """Run the blocks of a page in order, in one folder; a name of `models` is replaced by its checkpoint."""
    for name in TOGETHER:
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    names: dict[str, Any] = {"__name__": "docs"}
    with contextlib.chdir(folder):
        for block in found:
            text = block.text
            for name, path in models.items():
                text = re.sub(rf"(?<=--model ){name}\b|(?<=\"){name}(?=\")", path, text)
            if block.language == "python":
                exec(compile(text, block.name, "exec"), names)
                continue
            for line, comment in doc_blocks.statements(text):
                expected = int(re.findall(r"exit code (\d)", comment)[0]) if "exit code" in comment else 0
                code, said = run_line(line)
                assert code == expected, f"{block.name}: {line}\nexit code {code}\n{said[-2000:]}"


def run_line(line: str) -> tuple[int, str]:
    """Run a line of shell: one command of medxiaohe in this process, anything else by bash."""
    parts = doc_blocks.commands(line)
    if len(parts) == 1 and parts[0][0] == "medxiaohe" and not set("|<>") & set(line):
        from medxiaohe.cli import main

        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(parts[0][1:])
        return code, said.getvalue()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, env=env, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("page", "found"), groups(("",)), ids=lambda v: v if isinstance(v, str) else "")
def test_blocks_run_as_written(page: str, found: list[Block], tmp_path: Path) -> None:
    run_page(found, tmp_path, {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_vlm: Path) -> Path:
    """A folder with what pages speak of: out/quickstart, made with a tiny model; rows, a table, an image."""
    from medxiaohe.cli import main

    folder = tmp_path_factory.mktemp("finished")
    example = [sys.executable, str(ROOT / "examples" / "make_own_data.py"), str(folder)]
    subprocess.run(example, check=True, capture_output=True)
    first = next((folder / "img").glob("*.png")) if (folder / "img").is_dir() else next(folder.rglob("*.png"))
    shutil.copy(first, folder / "x.png")
    (folder / "tree.tsv").write_text(TREE)
    (folder / "labels.csv").write_text("file,label\nx.png,no\n")
    sets = [
        f"corpus={folder}/rows.jsonl", f"model={tiny_vlm}", "sft.max_steps=2",
        "eval_base.tasks=[{name: held_out, limit: 4}]",
        "eval_sft.tasks=[{name: held_out, limit: 4}]",
        f"tree.vocabularies=[{{reader: tsv, path: {folder}/tree.tsv, license: CC0-1.0}}]",
    ]  # fmt: skip
    flags = [flag for value in sets for flag in ("--set", value)]
    out = str(folder / "out" / "quickstart")
    assert main(["run", str(ROOT / "recipes" / "own_data.yaml"), "--out", out, *flags]) == 0
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "found"), groups(doc_blocks.RUNS_IN), ids=lambda v: v if isinstance(v, str) else ""
)
def test_blocks_run_in_a_folder_with_a_finished_run(
    page: str, found: list[Block], finished: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(finished, folder, symlinks=True)
    run_page(found, folder, {"starter": str(tiny_vlm)})
