"""Normalised spelling of names, for comparison: American, singular, without word order; one word for
synonyms.
"""

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
    """Normalise a name as `key` does, in American spelling.

    Returns:
        lower-case words, joined by single blanks
    """
    text = key(text)
    for british, american in AMERICAN.items():
        if british in text:
            text = text.replace(british, american)
    return text


def singular(word: str) -> str:
    """Reduce a plural to the singular by its ending.

    Returns:
        words of up to four letters unchanged
    """
    if len(word) > 4 and not word.endswith(("ss", "us", "is")):
        for ending, instead in ENDINGS:
            if word.endswith(ending):
                return word[: len(word) - len(ending)] + instead
    return word


@lru_cache(1 << 16)
def bag(text: str) -> str:
    """Bag of the words of a name: singular, American, sorted, without function words.

    Returns:
        words joined by blanks; all of them in order where there are only function words
    """
    words = [singular(word) for word in spelled(text).split()]
    return " ".join(sorted({word for word in words if word not in SMALL})) or " ".join(words)


@lru_cache(1 << 16)
def meaning(text: str) -> str:
    """`bag` with one word for synonyms: renal tumor, kidney neoplasms.

    Returns:
        sorted words joined by blanks
    """
    return " ".join(sorted({MEANS.get(word, word) for word in bag(text).split()}))


def broader(text: str) -> str:
    """`meaning` with "disease" for "damage": renal damage and kidney toxicity are kidney diseases.

    Returns:
        sorted words joined by blanks
    """
    return " ".join(sorted({"disease" if word == "damage" else word for word in meaning(text).split()}))


def stripped(text: str) -> Iterator[tuple[str, float]]:
    """Parts of a name, as runs of its words: the longest first, of these the last in the name first.

    Args:
        text: name.

    Yields:
        (part, share of the name's words), without parts of up to three letters or with a function word at an
        end
    """
    words = spelled(text).split()
    for length in range(len(words) - 1, 0, -1):
        for begin in range(len(words) - length, -1, -1):
            run = words[begin : begin + length]
            if len("".join(run)) > 3 and run[-1] not in SMALL and run[0] not in SMALL:
                yield " ".join(run), length / len(words)


def coordinated(text: str) -> Iterator[tuple[str, ...]]:
    """Ways to read a name as several: "breast and ovarian cancer" as breast cancer and ovarian cancer.

    Args:
        text: name.

    Yields:
        the names of one reading: a shared end first, then complete names, then a shared beginning; nothing
        for a name without a conjunction
    """
    parts = [item for item in JOINT.split(text) if item.strip()]
    if len(parts) < 2:
        return
    head, first = parts[-1].split(), parts[0].split()
    for shared in range(1, len(head)):
        yield (*(" ".join((item, *head[-shared:])) for item in parts[:-1]), parts[-1])
    yield tuple(parts)
    for shared in range(len(first) - 1, 0, -1):  # cancer of the breast and ovary
        yield (parts[0], *(" ".join((*first[:shared], item)) for item in parts[1:]))
