"""What can be typed: the verbs, their options and an example of each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

import medxiaohe
from medxiaohe.cli import describe_options, eval_options, trace_options
from medxiaohe.plugins import nearest

ABOUT = """\
medical corpora and an open vision-language model in; a medical model, and the evidence of how good it is, out.

Research software. Not for clinical use."""  # noqa: E501

EXAMPLES = """\
examples:
  medxiaohe run recipes/quickstart.yaml                    every stage, from corpora to a scored model
  medxiaohe run recipes/quickstart.yaml --set seed=1 --out out/seed1
  medxiaohe doctor                                         what is installed, what is missing, how to get it
  medxiaohe list tasks; medxiaohe show tasks chest_xray    what there is, and what it does
  medxiaohe ask --model out/quickstart/rl/1 "Is there an effusion?" --image x.png

`medxiaohe VERB --help` has an example of each verb. Exit codes: 0 done, 1 found problems, 2 wrong use, 3 failed."""  # noqa: E501

# verb and its second word -> (the stage it runs, one line about it, the inputs of the example)
STAGE_VERBS = {
    ("tree", "build"): ("entity.build", "build the Medical Entity Tree from vocabularies", ""),
    ("tree", "place"): (
        "data.place",
        "entities without parents get the likeliest",
        "--input tree=work/entity_build/1",
    ),
    ("tree", "attach"): (
        "data.attach",
        "new entities of passages join a frozen tree",
        "--input tree=work/entity_build/1 --input corpus=work/data_read/1",
    ),
    ("tree", "tagger"): (
        "entity.tagger",
        "train a mention tagger on annotated text",
        "--input tree=work/entity_build/1",
    ),
    ("data", "read"): (
        "data.read",
        "read corpora and link mentions to the tree",
        "--input tree=work/entity_build/1",
    ),
    ("data", "link"): (
        "data.link",
        "link mentions in text to entities of the tree",
        "--input tree=work/entity_build/1 --set path=texts.jsonl",
    ),
    ("data", "classify"): (
        "data.classify",
        "classify texts as medical or general",
        "--input corpus=work/data_read/1",
    ),
    ("data", "curate"): (
        "data.curate",
        "filter, deduplicate and decontaminate",
        "--input corpus=work/data_read/1",
    ),
    ("data", "deidentify"): (
        "data.deidentify",
        "de-identify text",
        "--input corpus=work/data_curate/1",
    ),
    ("data", "gather"): (
        "data.gather",
        "collect raw items for long-tail entities",
        "--input tree=work/entity_build/1 --input corpus=work/data_curate/1",
    ),
    ("data", "align"): (
        "data.align",
        "drop rows whose text contradicts their labels",
        "--input tree=work/entity_build/1 --input corpus=work/data_gather/1",
    ),
    ("data", "synth"): (
        "data.synthesise",
        "synthesise rows for long-tail entities",
        "--input tree=work/entity_build/1 --input corpus=work/data_curate/1",
    ),
    ("data", "teach"): (
        "data.teach",
        "generate chains of thought with teacher models; keep those that pass two checks",
        "--input tree=work/entity_build/1 --input corpus=work/data_synthesise/1",
    ),
    ("data", "reconstruct"): (
        "data.reconstruct",
        "make questions for training of the middle of each cluster; drop those that are always answered",
        "--input corpus=work/data_curate/1",
    ),
    ("data", "mix"): (
        "data.mixture",
        "balance by entity, source and modality",
        "--input data=work/data_curate/1",
    ),
    ("knowledge", "build"): (
        "data.index",
        "documents become a store that is searched",
        "--set path=asset:open_medicine",
    ),
    ("train", "pack"): (
        "train.pack",
        "plan sequence packing and report utilisation",
        "--input data=work/data_mixture/1",
    ),
    ("train", "cpt"): ("train.cpt", "continual pretraining on documents", "--input data=work/data_mixture/1"),
    ("train", "sft"): (
        "train.sft",
        "supervised fine-tuning on instructions",
        "--input data=work/data_mixture/1",
    ),
    ("train", "preferences"): (
        "train.preferences",
        "build preference pairs from answers with and without knowledge",
        "--input data=work/data_mixture/1",
    ),
    ("train", "dpo"): (
        "train.dpo",
        "direct preference optimisation (DPO) on pairs",
        "--input data=work/train_preferences/1",
    ),
    ("train", "rl"): (
        "train.rl",
        "reinforcement learning with a task's scorer as reward",
        "--input data=work/data_mixture/1",
    ),
    ("train", "tool-need"): (
        "train.tool_need",
        "find prompts that need a tool: ask without, with, and with forced tool use",
        "--input data=work/data_mixture/1",
    ),
    ("train", "agentic"): (
        "train.agentic",
        "reinforcement learning over several turns with tools",
        "--input data=work/data_mixture/1",
    ),
    ("train", "select"): (
        "train.select",
        "prompts that a model gets right 60 to 80 % of the time",
        "--input data=work/data_mixture/1",
    ),
    ("train", "rft"): (
        "train.rft",
        "rare right answers of a model become rows to fine-tune on",
        "--input data=work/data_mixture/1",
    ),
    ("train", "demonstrate"): (
        "train.demonstrate",
        "record expert demonstrations with real tool calls",
        "--input data=work/data_mixture/1",
    ),
    ("train", "retriever"): (
        "train.retriever",
        "an embedder, a cross-encoder, or heads of images and words, from pairs of question and passage",
        "--input data=work/data_curate/1",
    ),
    ("train", "queries"): (
        "train.queries",
        "rows and pairs that teach which queries each knowledge source answers",
        "--input data=work/data_mixture/1",
    ),
    ("train", "moe"): (
        "train.moe",
        "a mixture of experts that answers closed questions from image, words and rationale",
        "--input data=work/data_mixture/1",
    ),
    ("train", "motor"): (
        "train.motor",
        "tower and projector from images and their reports, with knowledge of a graph and of similar reports",
        "--input data=work/data_mixture/1",
    ),
    ("train", "reward"): (
        "train.reward_model",
        "a reward model from pairs and their fact-invariant variants",
        "--input data=work/pairs",
    ),
    ("page", ""): (
        "pages.run",
        "one HTML page and a model card",
        "--input comparison=work/evals_compare/1",
    ),
}
GROUPS = {"tree": "build, search and count the Medical Entity Tree", "data": "read, curate and mix corpora",
          "knowledge": "build, search and check stores of documents",
          "tools": "offer tools to other programs",
          "train": "pretrain, fine-tune, reinforce"}  # fmt: skip

HELP = "medxiaohe.cli.look:print_help"
RENAMED_VERBS = {"report": "page"}  # verbs of earlier versions -> their names of today


class Parser(argparse.ArgumentParser):
    """argparse that answers wrong use with one sentence, the nearest valid word and where the help is."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice" in message:
            typed = message.partition("invalid choice: '")[2].partition("'")[0]
            renamed = RENAMED_VERBS.get(typed, "")
            hint = f"; it is now called {renamed!r}" if renamed else nearest(typed, self.choices())
            message = f"no verb {typed!r}{hint}"
        print(f"medxiaohe: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)

    def choices(self) -> list[str]:
        return [
            name
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name in action.choices
        ]


def parser() -> Parser:
    top = Parser(
        prog="medxiaohe",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"medxiaohe {medxiaohe.__version__}")
    top.set_defaults(do=HELP, shown=top, json=False, debug=False)
    verbs = top.add_subparsers(title="verbs", metavar="VERB")

    run = _verb(
        verbs,
        "run",
        "run a recipe: every stage that is not done yet",
        "medxiaohe run recipes/quickstart.yaml",
        "runs:run",
    )
    run.add_argument("recipe", type=Path, help="a YAML file, or the name of a recipe, such as quickstart")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="parameter=value or stage.setting=value; repeatable",
    )
    run.add_argument("--out", type=Path, help="the run folder, instead of the recipe's `out:`")
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would run; write nothing",
    )
    run.add_argument("--full", action="store_true", help="with --dry-run: every setting, defaults too")
    run.add_argument("--until", default="", metavar="STAGE", help="stop after this stage")
    run.add_argument(
        "--accept-change",
        action="store_true",
        help="run finished stages again whose settings, inputs or code changed",
    )
    _code_options(run)

    about = "what a run has finished, what runs now"
    status = _verb(verbs, "status", about, "medxiaohe status out/quickstart", "runs:status")
    status.add_argument("out", type=Path, metavar="OUT", help="the folder of a run")
    init = _verb(verbs, "init", "write a commented recipe or file to start from", "medxiaohe init own_data",
                 "init:init")  # fmt: skip
    init.add_argument("what", choices=("own_data", "benchmark", "workflow", "gpu"), help="what to write")
    init.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where; this folder when left out"
    )

    doctor = _verb(
        verbs,
        "doctor",
        "check the installation and print what is missing",
        "medxiaohe doctor --online",
        "doctor:doctor",
    )
    doctor.add_argument("--online", action="store_true", help="also try to reach the model hub")
    doctor.add_argument(
        "--licences", action="store_true", help="the licence of each package that is installed"
    )
    doctor.add_argument(
        "--sbom", type=Path, metavar="FILE", help="write a bill of materials (CycloneDX JSON)"
    )

    kinds = "readers, filters, vocabularies, scoring, tools, tasks, workflows, models, verifiers, stages"
    kinds += " or assets"
    list_ = _verb(verbs, "list", "list the names of a kind", "medxiaohe list tasks", "look:list_names")
    every = f"{kinds}, all of them when left out; or reasoning: the branches of a review with what runs each"
    list_.add_argument("kind", nargs="?", default="", help=every)
    show = _verb(
        verbs,
        "show",
        "show one name: docstring, parameters, licence, example",
        "medxiaohe show tasks chest_xray",
        "look:show",
    )
    show.add_argument("kind", help=kinds)
    show.add_argument("name", help="a name of that kind, or file.py:function")

    assets = _verb(
        verbs,
        "assets",
        "download package files used as data",
        "medxiaohe assets mondo pubmed_2021",
        "look:assets",
    )
    assets.add_argument("names", nargs="*", metavar="NAME", help="all of them when left out")
    assets.add_argument(
        "--list", action="store_true", help="what there is and what is here already; obtain nothing"
    )

    _stage_verbs(verbs)
    eval_options.add(verbs, _verb, _stage_options)
    example = "medxiaohe stage data.read --out work --with read.yaml --input tree=work/entity_build/1"
    stage = _verb(verbs, "stage", "run any one stage", example, "runs:stage")
    stage.add_argument("uses", help="a name of `medxiaohe list stages`, or file.py:function")
    _stage_options(stage)

    deid = _verb(
        verbs,
        "deid",
        "de-identify DICOM, images and text",
        "medxiaohe deid scans --out clean --key key.hex",
        "deid:deid",
    )
    deid.add_argument(
        "path", type=Path, help="a file or folder: DICOM, pictures, .txt, .md, .csv, .tsv, .json, .jsonl"
    )
    deid.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder; a second call resumes"
    )
    deid.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the key of pseudonyms, made if not there; or MEDXIAOHE_DEID_KEY",
    )
    deid.add_argument(
        "--pixels",
        default="ocr",
        choices=("ocr", "trust"),
        help="look for text in pixels, or trust that there is none",
    )
    deid.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="YAML, boxes to blank: [{when: {Modality: US}, boxes: [[0, 0, 800, 60]]}]",
    )
    deid.add_argument(
        "--keep",
        default="",
        metavar="A,B",
        help="JSON fields and columns to copy as they are, such as source,license",
    )
    deid.add_argument(
        "--sources",
        type=Path,
        metavar="FILE",
        help="write the paths of quarantined files here, for you alone",
    )

    example = 'medxiaohe ask --model out/quickstart/rl/1 "Is there an effusion?" --image x.png'
    ask = _verb(verbs, "ask", "ask a model one question", example, "ask:ask")
    ask.add_argument("question", metavar="QUESTION", help="the text of the question")
    ask.add_argument(
        "--model",
        required=True,
        action="append",
        help="starter, a folder in hub layout, a finished training stage, a hub id, URL#NAME, or"
        " file.py:function; ROLE=MODEL for a role of the workflow, repeatable",
    )
    ask.add_argument("--image", action="append", default=[], type=Path, help="a file; repeatable")
    ask.add_argument("--backend", default="", help="of `medxiaohe list models`, when another is meant")
    ask.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="an option of the backend, or workflow.K=V one of the workflow; repeatable",
    )
    ask.add_argument("--workflow", default="answer", metavar="NAME", help="of `medxiaohe list workflows`")
    ask.add_argument("--tools", default="", metavar="A,B", help="names of `medxiaohe list tools`")
    ask.add_argument(
        "--library",
        action="append",
        default=[],
        metavar="FILE",
        help="passages for the tool search; NAME=FILE makes search_NAME, graph=DIR and cases=FILE serve tools"
        " that need a graph or cases; repeatable",
    )
    ask.add_argument(
        "--trace", type=Path, metavar="DIR", help="append the trace to this folder: see `medxiaohe trace`"
    )
    ask.add_argument("--key", type=Path, metavar="FILE", help="a private key that signs the traces")
    describe_options.add(verbs, _verb)
    trace_options.add(verbs, _verb)
    completion = _verb(verbs, "completion", "print what makes a shell complete verbs and options",
                       "medxiaohe completion bash > ~/.local/share/bash-completion/completions/medxiaohe",
                       "look:completion")  # fmt: skip
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that is set up")
    about = "list tasks with modality, licence and where their data is"
    tasks = _verb(verbs, "tasks", about, "medxiaohe tasks --check", "tasks:tasks")
    tasks.add_argument("names", nargs="*", metavar="TASK", help="all of them when left out")
    tasks.add_argument(
        "--check", action="store_true", help="read the items: how many there are, and whether they changed"
    )
    _code_options(tasks)
    _name_words(verbs)
    return top


def _name_words(verbs: argparse._SubParsersAction[Parser]) -> None:
    """List the second words of each verb in the help of the first, and let a verb alone print its help."""
    for action in verbs._choices_actions:
        made = verbs.choices[action.dest]
        if words := made.choices():
            action.help = f"{action.help} ({', '.join(words)})"
            made.set_defaults(do=HELP, shown=made, json=False, debug=False)


def _stage_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    groups: dict[str, argparse._SubParsersAction[Parser]] = {}
    for (verb, word), (uses, about, inputs) in STAGE_VERBS.items():
        if word and verb not in groups:
            groups[verb] = group_of(verbs, verb, GROUPS[verb])
        example = " ".join(filter(None, ["medxiaohe", verb, word, "--out work --with settings.yaml", inputs]))
        made = _verb(groups[verb] if word else verbs, word or verb, about, example, "runs:stage")
        made.set_defaults(uses=uses)
        _stage_options(made)
    find = _verb(groups["tree"], "find", "entities by a name, a synonym or an id; or what a text mentions",
                 'medxiaohe tree find "heart attack" --tree out/quickstart/tree/1',
                 "look:tree_find")  # fmt: skip
    find.add_argument("text", metavar="TEXT", help="a name, a part of one, an id, or a sentence")
    stats = _verb(groups["tree"], "stats", "how many entities, names, kinds and layers",
                  "medxiaohe tree stats --tree out/quickstart/tree/1", "look:tree_stats")  # fmt: skip
    show = _verb(groups["tree"], "show", "one entity: names, codes, facts, and who says so",
                 "medxiaohe tree show DOID:1909 --why --tree out/tree/tree/1", "trees:show")  # fmt: skip
    show.add_argument("id", metavar="ID", help="of the entity, or of any term that became one with it")
    show.add_argument(
        "--why",
        action="store_true",
        help="what each vocabulary says, with its license, and why the terms are one",
    )
    coverage = _verb(groups["tree"], "coverage", "what a corpus has about every entity: a table and a page",
                     "medxiaohe tree coverage corpus/medquad --tree out/tree/tree/1 --out out/coverage",
                     "coverage:coverage")  # fmt: skip
    coverage.add_argument(
        "corpora", nargs="+", metavar="CORPUS", help="a stage's folder, a file or folder, or READER:PATH"
    )
    coverage.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder for the table and the page, written whole",
    )
    coverage.add_argument(
        "--compare", nargs="+", default=[], metavar="CORPUS", help="a second corpus, beside the first"
    )
    coverage.add_argument(
        "--reviewed", nargs="+", default=[], metavar="CORPUS", help="what people reviewed: gold sets, cases"
    )
    coverage.add_argument("--reader", default="", help="of the corpora that name none; guessed when left out")
    coverage.add_argument("--name", default="", help="what to call the corpus")
    coverage.add_argument("--compare-name", default="", help="what to call the second one")
    coverage.add_argument(
        "--amcs", type=Path, metavar="FILE", help="what `tree amcs --out` wrote, to show on the page"
    )
    check = _verb(groups["data"], "check", "what is wrong with data, row by row, before it is read",
                  "medxiaohe data check mine.jsonl --reader chat_jsonl", "check:data")  # fmt: skip
    check.add_argument("path", help="a file, a folder, or asset:NAME")
    check.add_argument(
        "--reader", default="", help="a name of `medxiaohe list readers`; guessed when left out"
    )
    check.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="an option of the reader; repeatable"
    )
    check.add_argument("--limit", type=int, help="look at the first N rows only")
    leaks = _verb(groups["data"], "contamination",
    "show contaminated rows beside the test items they match, as a page",
                  "medxiaohe data contamination out/quickstart/curated/1 --out leaks.html",
                  "contamination:contamination")  # fmt: skip
    leaks.add_argument(
        "report",
        type=Path,
        metavar="REPORT",
        help="the folder of a data.curate stage, or its contamination.json",
    )
    leaks.add_argument("--out", type=Path, metavar="FILE", help="the page (default contamination.html)")
    _knowledge_verbs(groups["knowledge"])
    made = verbs.add_parser("tools", help=GROUPS["tools"], description=GROUPS["tools"])
    _tools_verbs(made.add_subparsers(title="verbs", metavar="VERB", required=True))
    _trainer_verbs(groups["train"])
    for made in (find, stats, show, coverage):
        made.add_argument("--tree", type=Path, required=True, help="a folder that `tree build` finished")
    amcs = _verb(groups["tree"], "amcs", "how near sets of terms are to the last one, in both directions",
                 "medxiaohe tree amcs medquad_xml:corpus/medquad#focus out/tree/tree/1 --kind disease",
                 "amcs:amcs")  # fmt: skip
    amcs.add_argument(
        "sets",
        nargs="+",
        metavar="SET",
        help="a tree, a text file, VOCABULARY[:PATH], READER:PATH#KEY or FILE.jsonl#KEY; the tree last",
    )
    amcs.add_argument(
        "--encoder",
        default="minilm",
        help="minilm, e5 (a hundred languages), ngrams (no weights), or a folder with a sentence encoder",
    )
    amcs.add_argument("--kind", default="", help="only entities of this kind, of trees and vocabularies")
    amcs.add_argument("--synonyms", action="store_true", help="all names of an entity, not only its main one")
    amcs.add_argument(
        "--sample",
        type=int,
        default=20_000,
        metavar="N",
        help="average over at most N terms; 0 for all (default 20000)",
    )
    amcs.add_argument("--seed", type=int, default=0, help="of the sample and of the interval")
    amcs.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the vectors here: a killed run goes on, the next one starts from them",
    )
    amcs.add_argument(
        "--out", type=Path, metavar="FILE", help="write the result as JSON, for `tree coverage --amcs`"
    )


def _tools_verbs(group: argparse._SubParsersAction[Parser]) -> None:
    serve = _verb(group, "serve", "an MCP server of tools, over stdin and stdout or on this machine's HTTP",
                  "medxiaohe tools serve --tools clinical,drug,calculators --http 8765",
                  "tools:serve")  # fmt: skip
    serve.add_argument(
        "--tools",
        default="",
        metavar="A,B",
        help="names of `medxiaohe list tools` (default: all that can be)",
    )
    serve.add_argument(
        "--library", type=Path, metavar="PATH", help="a store or passages, for search and visit"
    )
    serve.add_argument("--images", type=Path, metavar="FOLDER", help="images that tools may look at, by name")
    serve.add_argument("--http", type=int, metavar="PORT", help="serve http://127.0.0.1:PORT/mcp")


def _knowledge_verbs(group: argparse._SubParsersAction[Parser]) -> None:
    store = "out/data_index/1"
    search = _verb(group, "search", "parts of documents that match a query, best first",
                   f'medxiaohe knowledge search "rate control" --store {store}',
                   "knowledge:search")  # fmt: skip
    search.add_argument(
        "query", nargs="?", default="", metavar="QUERY", help="words, or a question; left out with --image"
    )
    search.add_argument("--top", type=int, default=5, metavar="N", help="how many (default 5)")
    search.add_argument("--image", type=Path, metavar="FILE", help="search an image store by this image")
    search.add_argument("--level", action="append", default=[], metavar="A-E", help="only of this authority")
    search.add_argument(
        "--source", action="append", default=[], metavar="WORDS", help="only from sources so named"
    )
    search.add_argument(
        "--since", default="", metavar="DATE", help="only from this date on: YYYY, YYYY-MM ..."
    )
    search.add_argument("--until", default="", metavar="DATE", help="only up to this date")
    append = _verb(group, "append", "a new version of a store with more documents, none of it rebuilt",
                   f"medxiaohe knowledge append --store {store} --path more.jsonl --out out/data_index/2",
                   "knowledge:append")  # fmt: skip
    append.add_argument("--path", required=True, help="passages, Samples, or asset:NAME")
    append.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the new version")
    get = _verb(group, "get", "the whole document of an id",
                f"medxiaohe knowledge get 'guideline/esc_acs_2023/antiplatelet#2' --store {store}",
                "knowledge:get")  # fmt: skip
    get.add_argument("id", metavar="ID", help="of a document, as `knowledge search` prints it")
    stats = _verb(group, "stats", "how many documents and chunks",
                  f"medxiaohe knowledge stats --store {store}", "knowledge:stats")  # fmt: skip
    check = _verb(group, "check", "whether every file is as it was written and every document can be read",
                  f"medxiaohe knowledge check --store {store}", "knowledge:check")  # fmt: skip
    for made in (search, get, append, stats, check):
        combined = ", or a YAML file that combines stores" if made in (search, get) else ""
        made.add_argument(
            "--store", type=Path, required=True, help=f"a folder that `knowledge build` finished{combined}"
        )


def _trainer_verbs(verbs: argparse._SubParsersAction[Parser]) -> None:
    export = _verb(verbs, "export", "data and settings for ms-swift, LLaMA-Factory or verl",
                   "medxiaohe train export out/quickstart/mixture/1 --to ms_swift --kind sft --model Qwen/Qwen3-VL-4B-Instruct --out swift",  # noqa: E501
                   "exporting:export")  # fmt: skip
    export.add_argument("data", type=Path, metavar="DATA", help="the folder of a stage with rows to train on")
    export.add_argument("--to", required=True, metavar="TRAINER", help="ms_swift, llama_factory or verl")
    export.add_argument("--model", required=True, help="the model to train there: a hub id or a folder")
    export.add_argument(
        "--kind",
        default="",
        choices=("", "cpt", "sft", "rl", "dpo"),
        help="what to train there; or it is guessed",
    )
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, written whole")
    export.add_argument(
        "--with",
        type=Path,
        dest="settings",
        metavar="FILE",
        help="settings of train.sft, train.rl, ... as YAML",
    )
    export.add_argument("--set", action="append", default=[], metavar="K=V", help="one setting; repeatable")
    export.add_argument(
        "--template", default="", help="of LLaMA-Factory, for models it does not know by name"
    )
    forecast = _verb(verbs, "estimate", "memory and hours of a recipe's training on GPUs that are not here",
                     "medxiaohe train estimate recipes/lingshu.yaml --gpu h200:8 --set model=Qwen/Qwen2.5-VL-7B-Instruct",  # noqa: E501
                     "forecast:estimate")  # fmt: skip
    forecast.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file, or the name of a recipe")
    forecast.add_argument(
        "--gpu",
        required=True,
        metavar="NAME[:N]",
        help="b200, h200, h100, a100, a100-40, l40s, l4, 4090 or 3090, and how many: h200:8",
    )
    forecast.add_argument("--set", action="append", default=[], metavar="K=V", help="as in `run`; repeatable")
    forecast.add_argument(
        "--tokens", type=int, default=1024, metavar="N", help="of a row or prompt, on average (default 1024)"
    )
    forecast.add_argument("--images", type=int, default=1, metavar="N", help="of a row (default 1)")
    forecast.add_argument(
        "--pixels", type=int, default=1_000_000, metavar="N", help="of an image (default 1000000)"
    )
    forecast.add_argument(
        "--mfu", type=float, default=0.35, metavar="SHARE", help="of the GPU's peak (assumed: 0.35)"
    )
    _code_options(forecast)
    merge = _verb(verbs, "merge", "fold an adapter into its model",
                  "medxiaohe train merge Qwen/Qwen3-VL-4B-Instruct adapter --out merged",
                  "exporting:merge")  # fmt: skip
    merge.add_argument(
        "model", metavar="MODEL", help="starter, a folder, or a hub id: what the adapter was trained on"
    )
    merge.add_argument(
        "adapter", type=Path, metavar="ADAPTER", help="a folder with adapter_config.json and safetensors"
    )
    merge.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder: a checkpoint in hub layout"
    )


def _stage_options(made: Parser, rows: bool = True) -> None:
    made.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="finished as DIR/<stage>/1; a second call resumes" + (" (default: out/STAGE)" if rows else ""),
    )
    if rows:
        made.add_argument(
            "--data", metavar="PATH", help="rows to work on: a file or folder of any known format"
        )
        made.add_argument("--model", default="", help="what to start from: starter, a folder or a hub id")
    made.add_argument("--with", type=Path, dest="settings", metavar="FILE",
                      help="a YAML mapping of the stage's settings, or a recipe with such a stage")  # fmt: skip  # noqa: E501
    made.add_argument("--set", action="append", default=[], metavar="K=V", help="one setting; repeatable")
    made.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="ROLE=DIR",
        help="the folder of a finished stage; repeatable",
    )
    made.add_argument(
        "--accept-change", action="store_true", help="run again although settings, inputs or code changed"
    )
    _code_options(made)


def group_of(verbs: Any, verb: str, about: str) -> argparse._SubParsersAction[Parser]:
    """The second words of a verb, such as `build` of `tree`; the verb alone prints its help."""
    made = verbs.add_parser(verb, help=about, description=about)
    words: argparse._SubParsersAction[Parser] = made.add_subparsers(title="verbs", metavar="VERB")
    return words


def _code_options(made: Parser) -> None:
    made.add_argument(
        "--allow-code",
        action="store_true",
        help="the recipe or settings file may name Python code: such a file is a program, so read it first",
    )
    made.add_argument(
        "--code",
        action="append",
        default=[],
        metavar="FILE.py:NAME",
        help="code that rows or files of data may name; repeatable",
    )


def _verb(verbs: argparse._SubParsersAction[Parser], name: str, about: str, example: str, do: str) -> Parser:
    about = about.replace("%", "%%")  # argparse formats help texts
    made = verbs.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="machine-readable result on stdout")
    made.add_argument("--debug", action="store_true", help="a traceback when something fails")
    made.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a machine that may be sent what is asked, such as 10.0.0.7:8000; repeatable",
    )
    made.add_argument(
        "--allow-env",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of the environment that a recipe may read; repeatable",
    )
    made.set_defaults(do=f"medxiaohe.cli.{do}")
    return made
