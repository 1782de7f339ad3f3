"""A model cannot see the gold, and how it is asked does not depend on the gold (MEK-2, MX-34).

Every task's example, with a canary in place of each gold field, goes through its workflow to a real server
process; every byte sent is searched. New tasks and workflows are found here by themselves.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.tap import Tap

from medxiaohe import images, io, plugins
from medxiaohe.errors import MedError
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.models.asking import Client
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.tasks import _common, _definition, _fields, _prompts, _yaml
from medxiaohe.tools.toolbox import task_tools
from medxiaohe.types import ImageRef, Message, Part, Sample, Task, Tool

CANARY = "zq7canary"
SERVERS = Path(__file__).parent.parent / "servers"
TASKS = plugins.available("tasks")
FACTS = {"patient": [{"topic": "history", "text": "My gums bleed."}], "results": []}


@pytest.fixture(scope="module")
def tap(tiny_vlm: Path) -> Iterator[Tap]:
    """A tap in front of a process of its own that serves the tiny model."""
    command = [sys.executable, str(SERVERS / "openai_server.py"), str(tiny_vlm)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        tap = Tap(int(process.stdout.readline().split()[1]))
        yield tap
        tap.close()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> ImageRef:
    """A picture whose folder, name and metadata all give the gold away."""
    pil, info = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.PngImagePlugin").PngInfo()
    info.add_text("Comment", CANARY)
    path = tmp_path_factory.mktemp(f"data-{CANARY}") / f"{CANARY}.png"
    pil.new("RGB", (16, 16), "gray").save(path, pnginfo=info)
    assert CANARY.encode() in path.read_bytes()
    return images.ref(path)


def planted(sample: Sample, picture: ImageRef, gold: str = CANARY) -> Sample:
    """The sample with `gold` in every field that a model must not see."""
    asked = tuple(
        replace(m, parts=tuple(_shown(part, picture) for part in m.parts)) for m in sample.prompt.messages
    )
    return replace(
        sample, id=f"{sample.id}/{gold}", messages=(*asked, Message("assistant", (gold,))), target=gold,
        entities=(gold,), source=gold,
        license=gold, patient_id=gold, study_id=gold, meta={"gold": gold, gold: [gold]},
        facts=sample.facts or FACTS,
    )  # fmt: skip


def _shown(part: Part, picture: ImageRef) -> Part:
    return picture if isinstance(part, ImageRef) else part


def made(name: str) -> Task:
    return plugins.load("tasks", name)()


def tools_of(task: Task) -> list[Tool]:
    """The tools of a task; none where they read a library that is not on this machine."""
    try:
        return list(task_tools(task))
    except MedError:
        return []


def sent(tap: Tap, workflow: str, sample: Sample, tools: list[Tool]) -> list[bytes]:
    """Every byte that reaches the server when a workflow answers the sample, one piece for each request."""
    tap.taken()
    model: Any = openai_compatible("tiny", tap.url, max_new_tokens=4, workers=1, retries=0)
    found = plugins.load("workflows", workflow)
    if found.about.ranks is True:  # a server gives no likelihoods: nothing of a ranking is sent
        model = Client(model)
        model.choice_nats = lambda talks, offered: [[float(len(one)) for one in row] for row in offered]
    found([sample.prompt], model, tools)
    return tap.taken()


def words(request: bytes) -> str:
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    parts = [
        m["content"] if isinstance(m["content"], str) else "".join(p.get("text", "") for p in m["content"])
        for m in body["messages"]
    ]
    return "\n".join(parts)


# ---- the gold is not in any byte ---------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_no_byte_of_the_gold_is_sent_and_another_gold_sends_the_same_bytes(
    name: str, tap: Tap, picture: ImageRef
) -> None:
    task = made(name)
    requests = sent(tap, task.workflow, planted(task.example, picture), tools_of(task))
    assert requests and task.example.prompt.messages[-1].text.strip() in words(requests[0])
    assert not [one for one in requests if CANARY.encode() in one]
    assert requests == sent(tap, task.workflow, planted(task.example, picture, "yes"), tools_of(task))


@pytest.mark.parametrize("workflow", plugins.available("workflows"))
def test_no_workflow_sends_the_gold(workflow: str, tap: Tap, picture: ImageRef) -> None:
    for sample in (made("chest_xray").example, made("medqa").example):
        requests = sent(tap, workflow, planted(sample, picture), [])
        assert requests and not [one for one in requests if CANARY.encode() in one]


def test_the_tap_sees_what_is_sent(tap: Tap, picture: ImageRef) -> None:
    leaky = replace(
        made("medqa").example, messages=(Message("user", (f"The answer is {CANARY}. What is the answer?",)),)
    )
    assert any(CANARY.encode() in one for one in sent(tap, "answer", leaky, []))


TOY = f"""
from medxiaohe.scoring.exact import exact
from medxiaohe.types import Message, Sample, Task

def toy():
    def samples(split):
        for i in range(4):
            messages = (Message("user", (f"Question {{i}}?",)), Message("assistant", ("{CANARY}",)))
            yield Sample(f"toy/{{split}}/{{i}}", messages, "{CANARY}", patient_id="{CANARY}", split=split, meta={{"gold": "{CANARY}"}})
    return Task("toy", samples, (exact,), next(samples("test")), "{CANARY}")
"""  # noqa: E501


def test_a_whole_run_sends_no_gold(tap: Tap, tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    tap.taken()
    options = {"url": tap.url, "workers": 1, "retries": 0}
    task = TaskRun(f"{tmp_path}/toy.py:toy")
    run(
        RunSettings((task,), model="tiny", backend="openai_compatible", options=options, max_new_tokens=4),
        tmp_path / "out",
    )
    requests = tap.taken()
    assert len(requests) == 4 and "Question 3?" in "".join(map(words, requests))
    assert not [one for one in requests if CANARY.encode() in one]


# ---- how a model is asked does not depend on the gold ------------------------------------------------


YAML = [
    name
    for name in TASKS
    if hasattr(plugins.load("tasks", name), "file") and plugins.load("tasks", name).file.endswith(".yaml")
]


@pytest.mark.parametrize("name", YAML)
def test_a_question_never_reads_the_column_of_the_answer(name: str) -> None:
    about = _definition.read(Path(plugins.load("tasks", name).file))
    asked = {
        about.doc_to_text,
        *about.visuals,
        *_fields.FIELD.findall(" ".join([about.doc_to_text, *about.visuals])),
    }
    asked |= (
        {about.doc_to_choice}
        if isinstance(about.doc_to_choice, str)
        else set(_fields.FIELD.findall(" ".join(about.doc_to_choice)))
    )
    gold = {about.doc_to_target, *_fields.FIELD.findall(str(about.doc_to_target))}
    assert not (asked & gold) - {""}


@pytest.mark.parametrize("name", YAML)
def test_a_row_with_another_answer_is_asked_alike(name: str) -> None:
    about = _definition.read(Path(plugins.load("tasks", name).file))
    column = str(about.doc_to_target)
    if column not in about.example:
        pytest.skip("the answer is made of several columns, or is the same for every row")
    prompts = [
        _yaml._sample(about, row, "1", "test", Path("example"), io.confined(None))
        for row in other_answers(about, column)
    ]
    assert len({(s.prompt.messages, s.prompt.choices) for s in prompts}) == 1
    assert len({s.target for s in prompts}) > 1


def other_answers(about: _definition.Definition, column: str) -> list[Mapping[str, Any]]:
    """The example's row with every kind of answer that its definition knows."""
    given, row = about.example[column], dict(about.example)
    options = _yaml._choices(about, row)
    if about.answers:
        others: list[Any] = [
            key if not re.search(r"[*?\[]", key) else "something else" for key in about.answers
        ]
    elif options and (isinstance(given, int) or str(given).isdigit()):
        others = [type(given)(about.first_choice + i) for i in range(len(options))]
    elif options:
        others = list(LETTERS[: len(options)]) if set(str(given)) <= set(LETTERS) else list(options)
    else:
        others = ["yes", "no", "3", "something else"]
    return [{**row, column: other} for other in others]


def test_which_option_is_right_does_not_change_a_multiple_choice_question() -> None:
    texts = ["Liver", "Pancreas", "Spleen", "Kidney"]
    made = [
        _common.multiple_choice("t/1", "Which?", gold, [t for t in texts if t != gold], key="1")
        for gold in texts
    ]
    assert len({(s.prompt.messages, s.prompt.choices) for s in made}) == 1 and {
        s.target for s in made
    } == set("ABCD")


@pytest.mark.parametrize("name", TASKS)
def test_an_example_is_asked_in_the_way_of_its_task(name: str) -> None:
    assert asked_as_named(made(name), made(name).example)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_every_sample_is_asked_in_the_way_of_its_task(name: str) -> None:
    """What stands around the question is a property of the task and the options alone."""
    task = made(name)
    assert [sample.id for sample in found(task) if not asked_as_named(task, sample)] == []


def asked_as_named(task: Task, sample: Sample) -> bool:
    """Whether the prompt has the words of the way to ask that the task names; True for a way of its own."""
    if task.prompt not in _prompts.PROMPTS:
        return True
    before, after = _prompts.asked(task.prompt, "\0", sample.choices).split("\0")
    text = sample.prompt.messages[-1].text
    return text.startswith(before) and text.endswith(after)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_no_kind_of_answer_has_instructions_of_its_own(name: str) -> None:
    """Where a task's samples end in different instructions, each of them goes with every kind of answer."""
    samples = found(made(name), most=2000)
    if len(samples) < 50:
        pytest.skip("too few samples on this machine")
    kinds: dict[str, Counter[str]] = {}
    for sample in samples:
        kinds.setdefault(instruction(sample), Counter())[kind(sample)] += 1
    shared = {
        words: counts for words, counts in kinds.items() if counts.total() >= max(20, len(samples) // 20)
    }
    everywhere = Counter(kind(sample) for sample in samples)
    for words, counts in shared.items():
        missing = [k for k, n in everywhere.items() if n >= len(samples) // 5 and not counts[k]]
        assert not missing, f"{words!r} is never said where the answer is {missing}"


def found(task: Task, most: int = 200) -> list[Sample]:
    """Samples of the task, [] where its data is not on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDXIAOHE_OFFLINE", "1")
        try:
            return [sample for _, sample in zip(range(most), task.samples(task.splits[-1]), strict=False)]
        except MedError:
            return []


def instruction(sample: Sample) -> str:
    """The last sentence of the prompt, with the options left out."""
    text = sample.prompt.messages[-1].text.strip()
    for option in sorted(sample.choices, key=len, reverse=True):
        text = text.replace(option, "…")
    return re.split(r"(?<=[.?!。？！])\s+|\n", text)[-1]


def kind(sample: Sample) -> str:
    """What kind of answer the gold is: yes or no, a letter, a number, a structure, or words."""
    gold = sample.target.strip().lower()
    if gold in ("yes", "no", "maybe"):
        return "yes or no"
    if sample.choices:
        return "an option"
    return (
        "a number"
        if re.fullmatch(r"-?[\d.,]+.{0,12}", gold)
        else "a structure"
        if gold.startswith(("{", "["))
        else "words"
    )
