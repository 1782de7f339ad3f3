"""Task files of lm-eval and lmms-eval (`lm_eval/*.yaml`, written after the layout of published medical ones)
are read, and score as those harnesses score: the values were worked out by hand from their rules."""

from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="templates are rendered as chat templates are")

from medxiaohe import permission, plugins
from medxiaohe.agents.engine.likeliest import likeliest
from medxiaohe.errors import CodeRefused, ConfigError, DataError
from medxiaohe.models.backends.scripted import Scripted
from medxiaohe.tasks import _lm_eval, make
from medxiaohe.tasks._lm_eval import filters
from medxiaohe.tasks._lm_eval.task import RANKED
from medxiaohe.types import Message, Sample, Task, Trace

FOLDER = Path(__file__).parent / "lm_eval"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "concepts")
FIRST = {" A": 1.0, " B": 2.0, " C": 3.0, " D": 4.0, " yes": 1.0, " no": 2.0, " maybe": 3.0}


@pytest.fixture(autouse=True)
def code_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As --allow-code does for these files, and for nothing else."""
    monkeypatch.setenv(permission.VARIABLE, "[]")
    permission.allow([name for stem in FILES for name in _lm_eval.functions(FOLDER / f"{stem}.yaml")])


def task_of(stem: str, **options: object) -> Task:
    return make(str(FOLDER / f"{stem}.yaml"), None, options)


def items(task: Task, split: str = "test") -> list[Sample]:
    return list(task.samples(split))


def means(task: Task, traces: list[Trace], split: str = "test") -> list[float | None]:
    """The mean of each scorer; None where an item is unjudged."""
    found: list[float | None] = []
    for scorer in task.scorers:
        values = [scorer(s, t).value for s, t in zip(items(task, split), traces, strict=True)]
        found.append(None if None in values else sum(v for v in values if v is not None) / len(values))
    return found


def ranked(task: Task, nats: dict[str, float], split: str = "test") -> list[float | None]:
    model = Scripted("scripted", "", nats=lambda talk, answer: nats[answer])
    return means(task, likeliest([s.prompt for s in items(task, split)], model), split)


def said(task: Task, replies: list[str], split: str = "test") -> list[float | None]:
    prompts = [s.prompt for s in items(task, split)]
    return means(
        task,
        [Trace(p, (*p.messages, Message("assistant", (r,)))) for p, r in zip(prompts, replies, strict=True)],
        split,
    )


@pytest.mark.parametrize("stem", FILES)
def test_a_published_task_file_is_read(stem: str) -> None:
    task = task_of(stem)
    split = next(iter(task.splits)) if "test" not in task.splits else "test"
    found = items(task, split)
    assert task.name == f"t_{stem}" and found
    for sample in found:
        assert sample.prompt.messages[-1].role in ("document", "user") and sample.target
        if task.workflow == RANKED:
            assert sample.target in sample.choices


def test_the_text_of_medqa_is_what_its_function_makes() -> None:
    (first, *_) = items(task_of("medqa"))
    assert first.prompt.messages == (
        Message(
            "document",
            ("Question: A child has a barking cough.\nA. Croup\nB. Asthma\nC. Otitis\nD. Measles\nAnswer:",),
        ),
    )
    assert first.target == "A" and first.choices == ("A", "B", "C", "D")


# the model takes A, or yes, everywhere: 1 of 3, 1 of 2, 1 of 3, 1 of 2 are right
@pytest.mark.parametrize(
    ("stem", "right"),
    [
        ("medqa", [1 / 3, 1 / 3]),
        ("medmcqa", [1 / 2, 1 / 2]),
        ("pubmedqa", [1 / 3]),
        ("careqa", [1 / 2]),
        ("concepts_easy", [1 / 2]),
        ("mmlu_anatomy", [1 / 3]),
    ],
)
def test_acc_is_the_share_of_items_whose_likeliest_option_is_right(stem: str, right: list[float]) -> None:
    assert ranked(task_of(stem), FIRST) == pytest.approx(right)


def test_acc_norm_divides_by_the_characters_of_an_option() -> None:
    nats = {
        " Ulna": 8.0,
        " The long bone called femur": 13.0,
        " Oxygen": 6.0,
        " A gas that is named helium": 26.0,
    }
    # sums: Ulna (wrong), Oxygen (right); per character 2.0 and 0.5, 1.0 and 1.0: femur, the first of equals
    assert ranked(task_of("headqa"), nats) == [0.5, 1.0]


def test_an_option_that_a_server_wrote_is_read_and_acc_norm_is_unjudged() -> None:
    assert said(task_of("medqa"), ["The answer is A.", "B", "The answer is B."]) == [
        pytest.approx(2 / 3),
        None,
    ]


def test_first_n_puts_the_first_examples_of_the_split_before_the_question() -> None:
    (first, _) = items(task_of("concepts_easy"))
    assert first.prompt.messages[0].text == (
        "Answer A,B,C,D according to the answer to this multiple choice question.\n"
        "Code E11?\nA. Type 2 diabetes\nB. Gout\nC. Asthma\nD. Flu\nAnswer: A\n\n"
        "Code J45?\nA. Gout\nB. Flu\nC. Asthma\nD. Scurvy\nAnswer: C\n\n"
        "Code I10?\nA. Hypertension\nB. Gout\nC. Asthma\nD. Flu\nAnswer:"
    )
    assert "Code" not in items(task_of("concepts_easy", num_fewshot=0))[0].text.partition("Code I10")[0]


def test_default_draws_examples_as_random_sample_does_from_seed_1234() -> None:
    import random

    dice = random.Random(1234)
    where = ["femur", "ulna", "stapes", "patella", "hyoid"]
    for sample in items(task_of("mmlu_anatomy")):
        drawn = dice.sample(range(5), 2)
        text = sample.text
        assert [bone for bone in where if f"Where is the {bone}?" in text] == [
            where[i] for i in sorted(drawn)
        ]
        assert text.index(where[drawn[0]]) < text.index(where[drawn[1]])


def test_a_filter_takes_the_letter_out_of_a_chain_of_thought() -> None:
    replies = ["It barks. Final Answer: **A**", "Final Answer: C", "Lupus it is."]
    assert said(task_of("medqa_cot"), replies) == [pytest.approx(1 / 3)]
    task = task_of("medqa_cot")
    last = items(task)[2]
    trace = Trace(last.prompt, (*last.prompt.messages, Message("assistant", (replies[2],))))
    assert task.scorers[0](last, trace).status == "unparsed"


def test_generated_mmlu_stops_at_a_line_and_ignores_case_and_punctuation() -> None:
    assert said(task_of("mmlu_generated"), [" a.\nB", "B", "The answer is C"]) == [pytest.approx(2 / 3)]


def test_filters_do_what_those_of_lm_eval_do() -> None:
    number = {"function": "regex", "regex_pattern": r"(-?\d+)", "group_select": -1}
    assert filters.filtered(["it is 3 or 12"], [number]) == ["12"]
    assert filters.filtered(["none"], [number]) == ["[invalid]"]
    either = {"function": "regex", "regex_pattern": r"is (\w)|: (\w)", "fallback": "?"}
    assert filters.filtered(["answer: B", "x"], [either, {"function": "take_first"}]) == ["B"]
    table = {"function": "map", "mapping_dict": {"1": "A"}, "default_value": "none"}
    assert filters.filtered(["1", "2"], [table]) == ["A", "none"]


def test_a_picture_of_a_function_and_the_words_around_a_question() -> None:
    task = task_of("slake")
    found = items(task)
    assert [len(s.images) for s in found] == [1, 1] and task.license == "CC-BY-4.0"
    assert found[0].prompt.messages[0].text == "Which organ is it?\nAnswer with a single word or phrase."
    assert said(task, ["liver.", "No"]) == [0.5]


def test_a_picture_of_a_column() -> None:
    task = task_of("vqa_rad")
    assert items(task)[0].images[0].uri.endswith("chest.png")
    assert said(task, ["No.", "on the left"]) == [0.5]


def test_a_conversation_of_doc_to_messages() -> None:
    task = task_of("mmmu_medicine")
    (only,) = items(task, "validation") if "validation" in task.splits else items(task)
    assert [m.role for m in only.prompt.messages] == ["system", "user"] and len(only.images) == 1
    assert said(task, ["B"]) == [1.0]


def test_a_group_stands_for_its_tasks_in_its_order() -> None:
    found = _lm_eval.members(FOLDER / "concepts.yaml")
    assert [Path(one).stem for one in found] == ["concepts_easy", "mmlu_anatomy"]
    with pytest.raises(ConfigError, match="is a group of tasks"):
        plugins.load("tasks", str(FOLDER / "concepts.yaml"))


def test_functions_are_refused_in_one_sentence_until_code_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(permission.VARIABLE, "[]")
    with pytest.raises(CodeRefused, match=r"helpers.py:medqa_question.*--allow-code") as refused:
        task_of("medqa")
    assert "\n" not in str(refused.value)
    assert items(task_of("medmcqa"))  # has no code


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("output_type: loglikelihood_rolling", "output_type 'loglikelihood_rolling' is not done here"),
        ("doc_to_chioce: [A]", "unknown key 'doc_to_chioce'; did you mean 'doc_to_choice'"),
        (
            "filter_list: [{name: x, filter: [{function: regexp}]}]\noutput_type: generate_until",
            "no filter 'regexp'",
        ),
        ("metric_list: [{metric: bleu}]", "no metric 'bleu' for multiple_choice here"),
        ("custom_dataset: x", "a data set made by code is not done here"),
        ("test_split: ''", "name the split to ask about"),
    ],
)
def test_what_is_not_done_here_is_one_sentence(tmp_path: Path, change: str, words: str) -> None:
    text = (FOLDER / "medmcqa.yaml").read_text()
    changed = [line.partition(":")[0] for line in change.splitlines()]
    text = "\n".join(line for line in text.splitlines() if line.partition(":")[0] not in changed)
    (tmp_path / "x.yaml").write_text(f"{text}\n{change}\n")
    with pytest.raises(ConfigError, match=words):
        make(str(tmp_path / "x.yaml"))


def test_a_row_whose_target_is_no_option_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text((FOLDER / "medmcqa.yaml").read_text().replace("data/", ""))
    (tmp_path / "medmcqa.csv").write_text("question,opa,opb,opc,opd,cop\nWhat?,a,b,c,d,7\n")
    with pytest.raises(DataError, match="row 0 of validation: the target 7 is not one of the options"):
        items(make(str(tmp_path / "x.yaml")))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text((FOLDER / "medmcqa.yaml").read_text().replace("data/", ""))
    (tmp_path / "medmcqa.csv").write_text("question,opa,opb,opc,cop\nWhat?,a,b,c,0\n")
    with pytest.raises(DataError, match="'opd' is undefined; the columns are question, opa, opb, opc, cop"):
        items(make(str(tmp_path / "x.yaml")))
