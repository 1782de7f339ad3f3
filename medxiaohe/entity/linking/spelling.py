"""One way of writing a name, for comparing names: American, singular, without word order; with one word for
words that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from medxiaohe.entity.tree.names import key

JOINT = re.compile(r"\s*(?:,\s*(?:and|or)\s+|,\s+|/|\s+(?:and/or|and|or)\s+|\s+and\s*/\s*or\s+)\s*")
SMALL = frozenset("a an and as at by for from in into of on or the to with without due type".split())
ENDINGS = (  # the first that fits: diseases, viruses, responses, doses; then metastases, diagnoses
    ("ies", "y"), ("sses", "ss"), ("xes", "x"), ("eases", "ease"), ("uses", "us"), ("nses", "nse"), ("doses",
    "dose"), ("cases", "case"),
    ("phases", "phase"), ("ses", "sis"), ("s", ""),
)  # fmt: skip
AMERICAN = {
    "haem": "hem", "aemia": "emia", "oedema": "edema", "tumour": "tumor", "oesoph": "esoph", "anaes": "anes",
    "paed": "ped",
    "rrhoea": "rrhea", "leucaem": "leukem", "leucop": "leukop", "faec": "fec", "sulph": "sulf",
    "oestr": "estr", "caecum": "cecum",
    "foetal": "fetal", "foetus": "fetus", "coeliac": "celiac", "ischaem": "ischem", "defecient": "deficient",
}  # fmt: skip
MEANS = {  # one word for several, where names of diseases use them alike
    "neoplasm": "cancer", "tumor": "cancer", "carcinoma": "cancer", "malignancy": "cancer",
    "malignant": "cancer",
    "disorder": "disease", "illness": "disease", "disturbance": "disease", "abnormality": "disease",
    "defect": "disease",
    "dysfunction": "disease", "impairment": "disease", "lesion": "disease", "anomaly": "disease",
    "malformation": "disease",
    "deficient": "deficiency", "deficit": "deficiency", "insufficiency": "failure", "injury": "damage",
    "toxicity": "damage",
    "renal": "kidney", "nephro": "kidney", "hepatic": "liver", "cardiac": "heart", "pulmonary": "lung",
    "gastric": "stomach",
    "ocular": "eye", "cerebral": "brain", "hereditary": "familial", "inherited": "familial",
    "inborn": "familial",
    "congenital": "familial", "mental": "intellectual", "nonpolyposis": "nonpolyposis", "allergic": "allergy",
    "hypertensive": "hypertension", "hypotensive": "hypotension", "diabetic": "diabetes",
    "epileptic": "epilepsy",
    "schizophrenic": "schizophrenia", "psychotic": "psychosis", "ischemic": "ischemia",
    "necrotic": "necrosis",
    "fibrotic": "fibrosis", "cirrhotic": "cirrhosis", "leukemic": "leukemia", "anemic": "anemia",
    "parkinsonian": "parkinson",
    "proteinuric": "proteinuria", "atherosclerotic": "atherosclerosis", "thrombotic": "thrombosis",
    "depressive": "depression",
    "bipolar": "bipolar", "manic": "mania", "seizure": "epilepsy", "ulcerative": "ulcer",
    "cancerous": "cancer", "tumoral": "cancer",
}  # fmt: skip


def spelled(text: str) -> str:
    """`key`, in American."""
    text = key(text)
    for british, american in AMERICAN.items():
        if british in text:
            text = text.replace(british, american)
    return text


def singular(word: str) -> str:
    if len(word) > 4 and not word.endswith(("ss", "us", "is")):
        for ending, instead in ENDINGS:
            if word.endswith(ending):
                return word[: len(word) - len(ending)] + instead
    return word


@lru_cache(1 << 16)
def bag(text: str) -> str:
    """The words of a name in alphabetical order, singular, without small ones."""
    words = [singular(word) for word in spelled(text).split()]
    return " ".join(sorted({word for word in words if word not in SMALL})) or " ".join(words)


@lru_cache(1 << 16)
def meaning(text: str) -> str:
    """`bag` with one word for words that mean the same: renal tumor, kidney neoplasms."""
    return " ".join(sorted({MEANS.get(word, word) for word in bag(text).split()}))


def broader(text: str) -> str:
    """`meaning` of a disease of what is damaged: renal damage and kidney toxicity are kidney diseases."""
    return " ".join(sorted({"disease" if word == "damage" else word for word in meaning(text).split()}))


def stripped(text: str) -> Iterator[tuple[str, float]]:
    """Parts of a name, those with most words first, of these the last words first; and the share of words
    that stays."""
    words = spelled(text).split()
    for length in range(len(words) - 1, 0, -1):
        for begin in range(len(words) - length, -1, -1):
            part = words[begin : begin + length]
            if len("".join(part)) > 3 and part[-1] not in SMALL and part[0] not in SMALL:
                yield " ".join(part), length / len(words)


def coordinated(text: str) -> Iterator[tuple[str, ...]]:
    """Ways to read a name of several: "breast and ovarian cancer" as breast cancer and ovarian cancer, or as
    two that are whole."""
    parts = [part for part in JOINT.split(text) if part.strip()]
    if len(parts) < 2:
        return
    head, first = parts[-1].split(), parts[0].split()
    for shared in range(1, len(head)):
        yield (*(" ".join((part, *head[-shared:])) for part in parts[:-1]), parts[-1])
    yield tuple(parts)
    for shared in range(len(first) - 1, 0, -1):  # cancer of the breast and ovary
        yield (parts[0], *(" ".join((*first[:shared], part)) for part in parts[1:]))
