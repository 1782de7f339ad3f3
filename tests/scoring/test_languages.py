"""The words of each language (`scoring/languages`): the examples at the end of each file, and which rules a
reply
gets."""

import pytest

from medxiaohe.scoring import choice, yes_no
from medxiaohe.scoring._languages import any_of, rules, spoken

EXAMPLES = [
    (name, [str(option) for option in group["options"]], reply, right)
    for name, rule in rules().items()
    for group in rule["examples"]
    for reply, right in group["rows"]
]


@pytest.mark.parametrize(("name", "options", "reply", "right"), EXAMPLES, ids=lambda one: str(one)[:40])
def test_an_example_of_a_language_file_is_read_as_it_says(
    name: str, options: list[str], reply: str, right: str
) -> None:
    assert choice.parse(reply, options) == right


ANSWERS = [
    (name, key == "yes_no_maybe_examples", reply, right)
    for name, rule in rules().items()
    for key in ("yes_no_examples", "yes_no_maybe_examples")
    for reply, right in rule[key]
]


@pytest.mark.parametrize(("name", "maybe", "reply", "right"), ANSWERS, ids=lambda one: str(one)[:40])
def test_an_example_of_yes_no_or_maybe_is_read_as_its_file_says(
    name: str, maybe: bool, reply: str, right: str
) -> None:
    assert yes_no.parse(reply, maybe) == right


@pytest.mark.parametrize("name", sorted(rules()))
def test_a_language_file_has_the_words_that_parsers_look_for(name: str) -> None:
    needed = {
        "language",
        "answer",
        "option",
        "right",
        "link",
        "not",
        "wrong",
        "doubt",
        "retract",
        "or",
        "and",
    }
    assert needed <= rules()[name].keys()
    rows = [row for group in rules()[name]["examples"] for row in group["rows"]]
    assert len(rows) >= 10 and {right for _, right in rows} >= {"", "B"}
    assert {right for _, right in rules()[name]["yes_no_examples"]} == {"yes", "no", ""}
    assert {right for _, right in rules()[name]["yes_no_maybe_examples"]} >= {"maybe"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Resposta: B", "pt"),
        ("La opción correcta es la B.", "es"),
        ("Je choisis la réponse B.", "fr"),
        ("Antwort B ist richtig.", "de"),
        ("정답은 B", "ko"),
        ("正解はB", "ja"),
        ("答案：B", "zh"),
    ],
)
def test_a_reply_is_read_by_the_rules_of_its_language(text: str, language: str) -> None:
    assert {"en", language} <= set(spoken(text))


def test_an_english_reply_is_read_by_english_rules_alone() -> None:
    assert spoken("There is no doubt: the answer is B, and the option is right.") == ("en",)


def test_a_word_is_matched_whole_where_letters_are_latin() -> None:
    import re

    assert not re.search(any_of(("en",), "not"), "nothing") and re.search(any_of(("zh",), "not"), "我不选")
