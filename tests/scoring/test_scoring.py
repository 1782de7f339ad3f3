"""Golden answers for every parser: what a small model says, what peers' scorers got wrong, and what nobody
should guess."""

import pytest

from medxiaohe import plugins
from medxiaohe.errors import DataError
from medxiaohe.scoring import choice, exact, one_of, yes_no
from medxiaohe.types import Message, Prompt, Sample, Trace

ORGANS = ("Liver", "Pancreas", "Spleen", "Hepatitis B")
ANTIGENS = ("E. coli", "C. difficile", "H-2 Antigens", "Vitamin A")
CHEST = ("Pneumonia", "Pleural effusion", "Pneumothorax", "Cardiomegaly")
KINDS = ("disease", "anatomy", "phenotype", "chemical", "cell", "cell line")

# Answers by what they mean; "" is no answer. From peers' scorers: "Yes, abnormal" and "Yes, ... no effusion"
# were read as no,
# "unknown" and "it is normal" as right for no (MedEvalKit); "", "Sorry." and "I cannot determine the
# diagnosis from this image."
# as a letter, "B or C" as one of them (MedEvalKit, MIRAGE, HuatuoGPT-o1).
YES_NO: dict[str, list[str]] = {
    "yes": [
        "Yes", "yes.", "YES!", "**Yes**", "Yes, abnormal", "Yes, there is pneumothorax, no effusion",
        "Yes, the cause is unknown.",
        "The answer is yes.", "No consolidation is seen on the left. The answer is yes.", "Probably yes.",
        "yes yes yes", "\\boxed{yes}", "{\"answer\": \"yes\"}", "是", "是的，有肺炎。",
    ],
    "no": [
        "No.", " no", "\"No\"", "No, the lungs are clear.", "No - clear lungs", "No, there is not.",
        "No it does not.",
        "No, no pneumonia is seen.", "Answer: no", "<think>No... wait, yes.</think>No", "<answer>no</answer>",
        "Final answer: No", "否",
        "没有", "答案：否", "I would say no.",
    ],
    "": [
        "No\nYes", "unknown", "It is known.", "it is normal", "abnormal", "I cannot determine this.", "",
        "   ", "Yes or no", "yes/no",
        "Yes and no.", "Yes. On second thought: No.", "No or yes?", "Maybe",
        "No abnormality.", "No pneumonia", "No doubt there is pneumonia.",
        "No, I cannot determine that.", "The answer is not yes.", "The answer is yes or no.", "Yes. No.",
        "yes no yes no",
        "<think>Yes, I think it is yes", "Sorry, no.", "无法判断", "是否有肺炎", "不能确定",
        "I would say yes, but no.",
        "The X-ray shows pneumonia.", "Nope", "Note the opacity.",
        "Yes. Does this chest X-ray show pneumonia? Answer yes or no. No.",
    ],
}  # fmt: skip

CHOICE: dict[tuple[tuple[str, ...], str], list[str]] = {
    (ORGANS, "B"): [
        "B", "B.", "(b)", "**B**", "b)", "B B B", "B. Pancreas", "B) the pancreas",
        "B: because it makes insulin", "b. pancreas",
        "Pancreas", "the pancreas.", "It is the pancreas.", "Pancreas (B)", "The answer is pancreas.",
        "The correct answer is (B).",
        "Answer: B", "I choose B because A is wrong.", "Option B is correct.", "B is the correct answer.",
        "Answer A is wrong. Answer: B",
        "\\boxed{B}", "<think>A?</think> B", "The answer is A. Final answer: B", "答案：B", "正确答案是B。",
        "选Ｂ",
        "答案为（B）",
        "answer is b", "B选项正确", "B。", "排除A，选B", "Pancreas\nPancreas makes insulin.",
        "Pancreas, because it makes insulin",
    ],
    (ORGANS, ""): [
        "The answer is A. No, the answer is B.", "A or B", "A and B", "A, B", "A/B", "The answer is A or B.",
        "Not B",
        "The answer is not B.", "It is not the pancreas.", "B is incorrect.",
        "A. Liver\nB. Pancreas\nC. Spleen", "B. Liver", "E",
        "Kidney", "Pancreas or spleen", "Group B streptococcus grows here.", "Vitamin C", "None of the above",
        "不选A", "A或B",
        "答案是A和B", "无法确定", "选A不对", "Liver. Spleen. Pancreas",
    ],
    (ORGANS, "D"): [
        "Hepatitis B", "D. Hepatitis B",
    ],
    (CHEST, ""): [
        "It could be either B or C", "B or C", "Could be B or C", "", "Sorry.",
        "Sorry, not enough information to decide.",
        "I cannot determine the diagnosis from this image.", "A patient with pneumonia needs care.",
        "As an AI, I cannot answer.",
        "I am not sure.", "Pneumoni",
    ],
    (ANTIGENS, "A"): [
        "A. E. coli", "E. coli", "A",
    ],
    (ANTIGENS, "B"): [
        "B. C. difficile", "B) C. difficile", "C. difficile",
    ],
    (ANTIGENS, "C"): [
        "C. H-2 Antigens", "H-2 antigens", "C: H-2 antigens are meant",
    ],
    (ANTIGENS, "D"): [
        "D. Vitamin A", "vitamin A",
    ],
    (CHEST, "B"): [
        "Pleural effusion", "Answer: Pleural effusion.",
    ],
    (CHEST, "C"): [
        "pneumothorax. The lung is collapsed.",
    ],
}  # fmt: skip

ONE_OF: dict[str, list[str]] = {
    "disease": [
        "disease", "Disease.", "It is a disease.", "I cannot say: a disease?", "disease disease disease",
    ],
    "phenotype": [
        "a phenotype", "It is not a disease but a phenotype.",
    ],
    "chemical": [
        "Answer: chemical",
    ],
    "": [
        "disease or phenotype", "It is not a disease.", "", "diseased", "biochemical",
        "anatomy. disease. chemical.",
    ],
    "cell line": [
        "cell line",
    ],
    "cell": [
        "cell", "a cell, not a cell line",
    ],
    "anatomy": [
        "The answer is anatomy, it is no disease.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "answer"), [(key, answer) for key, answers in YES_NO.items() for answer in answers]
)
def test_yes_no_is_said_as_the_answer(expected: str, answer: str) -> None:
    assert yes_no.parse(answer) == expected


def test_maybe_counts_only_where_it_is_offered() -> None:
    assert yes_no.parse("Maybe.", maybe=True) == "maybe" and yes_no.parse("Maybe.") == ""


@pytest.mark.parametrize(
    ("key", "answer"), [(key, answer) for key, answers in CHOICE.items() for answer in answers]
)
def test_choice_is_one_letter_or_one_option(key: tuple[tuple[str, ...], str], answer: str) -> None:
    choices, expected = key
    assert choice.parse(answer, choices) == expected


@pytest.mark.parametrize(
    ("expected", "answer"), [(key, answer) for key, answers in ONE_OF.items() for answer in answers]
)
def test_one_of_names_exactly_one_choice(answer: str, expected: str) -> None:
    assert one_of.parse(answer, KINDS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The Pancreas.", "pancreas"),
        ("Answer: 7.4 mmol/L", "7.4 mmol/l"),
        ("beta-blocker", "beta-blocker"),
        ("", ""),
        ("I don't know", ""),
    ],
)
def test_exact_compares_words(answer: str, expected: str) -> None:
    assert exact.parse(answer) == expected


@pytest.mark.parametrize("name", ["yes_no", "choice", "one_of", "exact"])
def test_a_missing_answer_scores_zero_and_says_why(name: str) -> None:
    scorer = plugins.load("scoring", name)
    sample = Sample("1", (Message("user", ("?",)),), target="A", choices=ORGANS)
    empty = scorer(sample, trace(sample, ""))
    refused = scorer(sample, trace(sample, "Sorry, I cannot determine this from the image."))
    assert (empty.value, empty.status) == (0.0, "unparsed") and empty.why
    assert (refused.value, refused.status) == (0.0, "refused")


def test_a_judged_answer_says_what_was_read() -> None:
    sample = Sample("1", (Message("user", ("?",)),), target="B", choices=ORGANS)
    right, wrong = (
        choice.choice(sample, trace(sample, "B. Pancreas")),
        choice.choice(sample, trace(sample, "Spleen")),
    )
    assert (right.value, right.status, right.parsed) == (1.0, "judged", "B")
    assert (wrong.value, wrong.status, wrong.parsed) == (0.0, "judged", "C")


def trace(sample: Sample, answer: str) -> Trace:
    prompt = Prompt(sample.id, sample.messages, sample.choices)
    return Trace(prompt, (*prompt.messages, Message("assistant", (answer,))))


WAYS = [
    "{L}",
    "({L})",
    "**{L}**",
    "{L}. {T}",
    "{l}) {t}",
    "The answer is {L}.",
    "The correct answer is ({L}) {T}.",
]
WAYS += [
    "答案：{L}",
    "\\boxed{{{L}}}",
    "The patient is 40 years old. A CT was done. Therefore, the answer is {L}.",
]
WAYS += ["{T}", "It is {T}", "{T} ({L})"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["medqa", "medmcqa", "mmlu_med", "craftmd"])
def test_the_gold_of_an_exam_is_read_however_it_is_said(name: str) -> None:
    """Every real option text, with its numbers, apostrophes and "not"; never another option, hardly ever
    none."""
    try:
        samples = list(plugins.load("tasks", name)().samples("test"))
    except DataError as error:
        pytest.skip(str(error))
    odd = [
        s
        for s in samples
        if len({*map(str.casefold, s.choices)}) < len(s.choices) or any(len(c) == 1 for c in s.choices)
    ]
    asked = [s for s in samples if s not in odd]
    read: dict[str, list[str]] = {way: [] for way in WAYS}
    for sample in asked:
        text = sample.choices[choice.LETTERS.index(sample.target)]
        for way in WAYS:
            said = way.format(L=sample.target, l=sample.target.lower(), T=text, t=text.lower())
            found = choice.parse(said, sample.choices)
            assert found in (sample.target, ""), (sample.id, said, found)
            read[way] += [said] if not found else []
    assert len(odd) < len(samples) / 50
    for way, missed in read.items():
        assert len(missed) <= len(asked) / 200, (way, missed[:3])
