"""What holds for every scorer and every reply: no exception, a value between 0 and 1, and nothing for a
change that changes nothing."""

import inspect
import random
import time
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

import golden_suite
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import plugins
from medxiaohe.evals.reporting.peer_scorers import SCORERS, compat
from medxiaohe.scoring import boxes, choice, choices, json_calls, numeric, token_f1
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.types import Message, Sample, Score, Scorer

NAMES = [n for n in plugins.shipped("scoring") if hasattr(import_module(f"medxiaohe.scoring.{n}"), "EXAMPLE")]
OPTIONS = ("Pneumonia", "Pleural effusion", "Pneumothorax", "Cardiomegaly", "E. coli", "None of the above")
WORDS = (
    "yes no not the answer is A B C or and 1 2.5 mg/dL [ ] { } ( ) : , . ; \n <think> </think> <answer>"
    " \\boxed{ 答案 是 否 无法 FINISH(["
)
REPLIES = st.one_of(
    st.text(max_size=200), st.lists(st.sampled_from(WORDS.split(" ")), max_size=30).map(" ".join)
)
QUICK = settings(max_examples=60, deadline=None)


@cache
def tree() -> Path:
    return golden_suite.tree(Path(mkdtemp()))


@cache
def scorer_of(name: str) -> tuple[Scorer, Sample]:
    scorer = plugins.load("scoring", name)
    bound = partial(scorer, tree=tree()) if "tree" in inspect.signature(scorer).parameters else scorer
    return bound, import_module(f"medxiaohe.scoring.{name}").EXAMPLE


def judged(name: str, reply: str) -> Score:
    scorer, sample = scorer_of(name)
    return scorer(sample, golden_suite.trace(sample, reply))


@pytest.mark.parametrize("name", NAMES)
def test_any_reply_gets_a_score(name: str) -> None:
    @QUICK
    @given(REPLIES)
    def check(reply: str) -> None:
        score = judged(name, reply)
        assert score.value is None or 0.0 <= score.value <= 1.0
        assert (score.value is None) == (score.status == "unjudged")
        assert score.status == "judged" or (not score.value and score.why)

    check()


@pytest.mark.parametrize(
    "name", [n for n in NAMES if not isinstance(plugins.load("scoring", n), JudgedScorer)]
)
def test_thinking_changes_nothing(name: str) -> None:
    @QUICK
    @given(
        st.text(alphabet=st.characters(exclude_characters="<>|◁▷"), max_size=80),
        st.sampled_from(["gold", "", "I am not sure."]),
    )
    def check(thought: str, reply: str) -> None:
        said = scorer_of(name)[1].messages[-1].text if reply == "gold" else reply
        alone, after = judged(name, said), judged(name, f"<think>{thought}</think>\n{said}")
        assert (alone.value, alone.status) == (after.value, after.status)

    check()


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_a_published_scorer_never_stops_a_run(name: str) -> None:
    @QUICK
    @given(REPLIES, st.sampled_from(["A", "F", "yes", "pancreas"]))
    def check(reply: str, target: str) -> None:
        sample = Sample("1", (Message("user", ("?",)),), target, OPTIONS if len(target) == 1 else ())
        assert compat(name, sample, golden_suite.trace(sample, reply)).value in (0.0, 1.0, None)

    check()


LETTERED: list[Callable[[Callable[[int], str], tuple[str, ...]], str]] = [
    lambda letter, text: letter(1),
    lambda letter, text: f"({letter(0)})",
    lambda letter, text: f"The answer is {letter(1)}.",
    lambda letter, text: f"{letter(3)}. {text[3]}",
    lambda letter, text: f"{letter(1)}. {text[2]}",
    lambda letter, text: text[4],
    lambda letter, text: f"{text[2]} ({letter(2)})",
    lambda letter, text: f"{letter(0)} or {letter(1)}",
    lambda letter, text: f"The answer is {letter(1)}, not {letter(2)}.",
    lambda letter, text: f"The answer is {letter(1)}, but {letter(2)} is also possible.",
    lambda letter, text: f"Not {letter(1)}.",
    lambda letter, text: f"{letter(2)} is wrong. {letter(1)} is correct.",
    lambda letter, text: f"答案：{letter(5)}",
    lambda letter, text: f"{letter(0)}和{letter(3)}",
    lambda letter, text: f"It is {text[1].lower()}, because there is no {text[2].lower()}.",
    lambda letter, text: text[5],
    lambda letter, text: f"<think>{letter(0)}</think><answer>{letter(1)}</answer>",
]


@pytest.mark.parametrize("template", LETTERED, ids=range(len(LETTERED)))
def test_another_order_of_the_options_changes_no_verdict(
    template: Callable[[Callable[[int], str], tuple[str, ...]], str],
) -> None:
    verdicts = set()
    for seed in range(60):
        order = random.Random(seed).sample(range(len(OPTIONS)), len(OPTIONS))
        letters = {option: choice.LETTERS[place] for place, option in enumerate(order)}
        sample = Sample("1", (Message("user", ("?",)),), letters[1], tuple(OPTIONS[i] for i in order))
        score = choice.choice(sample, golden_suite.trace(sample, template(letters.__getitem__, OPTIONS)))
        read = OPTIONS[order[choice.LETTERS.index(score.parsed)]] if score.parsed else ""
        verdicts.add((score.value, score.status, read))
    assert len(verdicts) == 1, verdicts


@QUICK
@given(st.permutations("ACDF"), st.sampled_from([", ", "、", " and ", " ", ""]))
def test_a_set_of_letters_has_no_order(letters: list[str], join: str) -> None:
    assert choices.parse(join.join(letters), OPTIONS) == "ACDF"


@QUICK
@given(st.floats(0.01, 9999).map(lambda x: float(f"{x:.5g}")))
def test_a_number_is_itself_in_every_spelling_and_unit(x: float) -> None:
    sample = Sample("1", (Message("user", ("?",)),), f"{x} kg")
    for said in (
        f"{x}",
        f"{x} kg",
        f"{x:.6e} kg",
        f"{x * 1000:.8g} g",
        f"Answer: {x} kg",
        str(x).replace(".", ",") + "0 kg",
    ):
        if "," in said and len(said.split(",")[1].split(" ")[0]) == 3:
            continue  # 1,230: a thousands separator in English
        score = numeric.numeric(sample, golden_suite.trace(sample, said), relative=1e-5)
        assert score.value == 1.0, (said, score)
    for said in (f"{x * 1.1} kg", f"{x} lb", f"-{x} kg", f"{x} m"):
        assert numeric.numeric(sample, golden_suite.trace(sample, said), relative=1e-5).value == 0.0


BOX = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50), st.integers(1, 50)).map(
    lambda b: boxes.Box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@QUICK
@given(st.lists(BOX, max_size=6), st.lists(BOX, max_size=6), st.randoms())
def test_boxes_match_one_to_one_in_any_order(
    said: list[boxes.Box], gold: list[boxes.Box], rng: random.Random
) -> None:
    hits = boxes.matches(said, gold)
    assert hits <= min(len(said), len(gold)) and boxes.matches(gold, gold) == len(gold)
    overlaps = [boxes.overlap(a, b) for a in said for b in gold]
    if len(set(overlaps)) == len(overlaps):  # without ties
        assert boxes.matches(rng.sample(said, len(said)), rng.sample(gold, len(gold))) == hits


@QUICK
@given(st.text(max_size=60), st.text(max_size=60))
def test_shared_words_are_symmetric(a: str, b: str) -> None:
    assert token_f1.overlap(a, b)[2] == pytest.approx(token_f1.overlap(b, a)[2])


@QUICK
@given(
    st.recursive(
        st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=5
    )
)
def test_keys_have_no_order(body: object) -> None:
    turned = dict(reversed(body.items())) if isinstance(body, dict) else body
    assert json_calls._canonical(body) == json_calls._canonical(turned)


HOSTILE = [
    "answer ",
    "A, ",
    "the answer is ",
    "1,",
    "[",
    "(",
    "not ",
    "\n",
    "1",
    "if ",
    "I cannot ",
    "<think>",
    "B or ",
    "1. a\n",
    "{",
]
HOSTILE += [
    "because ",
    "The patient has a small effusion. It is likely B. ",
    "POST ",
    "FINISH(",
    "\\boxed{",
    "1/1/2000 ",
    "3 mg ",
]
TIMED = (
    "boxes choice choices code count entity exact json_calls numeric one_of ranked regex stated string"
    " token_f1 yes_no".split()
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMED)
def test_a_long_reply_takes_no_more_than_its_length(name: str) -> None:
    for unit in HOSTILE:
        took = []
        for size in (2000, 16000):  # eight times as long: 64 times as slow if it were quadratic
            start = time.process_time()
            judged(name, unit * (size // len(unit)))
            took.append(time.process_time() - start)
        assert took[1] < 0.5 or took[1] < 40 * took[0], (unit, took)
