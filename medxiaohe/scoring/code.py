"""A code of a medical classification: ICD-10 "J18.9" is "j189", LOINC "2823-3", SNOMED CT, HPO, OMIM, MeSH
and others.

Exactly one code of the system must be named as the answer; several different ones are no answer. A check
digit that does not fit makes a LOINC number no code.
"""

import re

from medxiaohe.errors import ConfigError
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._text import golds, missing
from medxiaohe.types import Message, Sample, Score, Trace

PATTERNS = {  # a code in a text, and what is left of it when compared
    "icd10": (
        r"(?<![\w.])(?<!vitamin )([A-Za-z]\d[0-9A-Ba-b])(?:\.([0-9A-Za-z]{1,4})"
        r"|([0-9]{1,2}[0-9A-Za-z]{0,2}))?(?![\w]|\.\d)",
        "",
    ),
    "loinc": (r"(?<![\d-])(\d{1,7}-\d)(?![\d-])", ""),
    "snomed": (r"(?<!\d)(\d{6,18})(?!\d)", ""),
    "hpo": (r"\bHP[:_ ]?(\d{7})\b", "HP:"),
    "mondo": (r"\bMONDO[:_ ]?(\d{7})\b", "MONDO:"),
    "omim": (r"\b(?:OMIM|MIM)[:_# ]*(\d{6})\b", "OMIM:"),
    "orpha": (r"\bORPHA(?:NET)?[:_ ]*(\d{1,6})\b", "ORPHA:"),
    "mesh": (r"(?<!\w)(?:MESH:)?([CD]\d{6,9})(?!\w)", ""),
    "ndc": (r"(?<![\d-])(\d{4,5}-\d{3,4}-\d{1,2})(?![\d-])", ""),
    "rxnorm": (r"\b(?:RxNorm|RxCUI|RXCUI)?[:_ ]*(\d{2,7})\b", ""),
}
ANNOUNCED = re.compile(
    r"(?:\b(?:answer|code)|答案|编码)[\"']?\s*(?:(?:is|would be)\b|[:=]|是|为)+\s*([^\n]+)", re.IGNORECASE
)
# letters and digits of the clinic that look like codes: A1c, G6PD, H1N1, D5W, T2N0M0, O157
NO_CODES = re.compile(
    r"(?<!\w)(?:Hb\s?)?A1[cC](?!\w)|(?<!\w)[HN]\d{1,2}N\d{1,2}(?!\w)|(?<!\w)[cpyr]?T[0-4Xx]\w"
    r"?(?:N[0-3Xx]\w?)(?:M[01Xx]\w?)?(?!\w)|(?<!\w)D(?:5|10|50)W(?!\w)"
    r"|(?<!\w)G6PD(?!\w)|(?<!\w)O(?:157|104|26|111)(?::H\d+)?(?!\w|\.)|(?<!\w)[CTLS]\d{1,2}\s"
    r"?[-–/]\s?[CTLS]?\d{1,2}(?!\w|\.)"
    r"|(?<!\w)P2Y12(?!\w)|(?<!\w)(?:B12|D10|Q10|K2)(?!\w|\.)(?=\s+(?:vitamin|deficiency|level))|\b"
    r"(?:vitamin|coenzyme)\s+[A-Z]\d+",
)
# genes, proteins, cell lines and strains: p53, P53 mutation, K562 cells, A549, C57 mice
OF_BIOLOGY = (
    r"cells?|line|lines|mice|mouse|strains?|genes?|proteins?|mutations?|mutants?|mutated|expression|pathways?"
    r"|positive|negative|positivity|staining|stain|antibod(?:y|ies)|antigen|receptors?|knockout|xenografts?|plasmid|promoter"
    r"|tumou?r suppressor|suppressor|immunostain\w*|immunohistochem\w*|overexpression|loss|status"
    r"|wild[- ]type|null"
)
NAMED = r"[A-Za-z]\d{2,3}(?![\w.])"  # a code without its stop
BIOLOGY = re.compile(
    rf"(?<![\w.])[A-Za-z]\d{{2,3}}(?!\.\d)(?=[- ](?:{OF_BIOLOGY})\b)|(?<![\w.]){NAMED}(?=[+⁺])"
    rf"|\b(?:genes?|lines?|anti|cells?|mutant|mutated|mutations? (?:in|of)|wild[- ]type|human|murine"
    rf"|leuka?emi[ac]|(?:over)?express(?:es|ed|ing|ion of)?|(?:stain\w*|positive|negative|immunoreactive) for"
    rf"|proteins?|TP|markers?)[- ]{NAMED}",
    re.IGNORECASE,
)
# proteins and cell lines whose names have the form of a code: none where a sentence does not call them that
PROTEINS_AND_LINES = set(
    "P16 P21 P27 P38 P40 P53 P57 P63 P65 P73 S100 K562 U87 U937 A549 A431 H460 H358 H226 H292 C57 B16 E14"
    " L929".split()
)
SAYS_CODE = re.compile(
    r"\b(?:codes?|ICD(?:-?10)?(?:-?CM)?|category|answer)\b\W*(?:is|=|:)?\W*$|编码\W*$", re.IGNORECASE
)
WORDS_OF_CODE = 3  # of a reply that is a code and little more
DENIED = re.compile(
    r"(?:\bnot|n't|\brather than|\binstead of|\bexcludes?\d?|不是)\s*(?:code\s*)?$", re.IGNORECASE
)


def code(sample: Sample, trace: Trace, *, system: str = "icd10", characters: int = 0) -> Score:
    """Accuracy of a code: 1 where the one code named is the target; its first `characters` only where given
    (3 is the ICD category).

    Args:
        sample: its target is one accepted code a line.
        trace: its answer is scored.
        system: a key of `PATTERNS`: icd10, loinc, snomed, hpo, ...
        characters: compare only so many first characters; 0: all.

    Returns:
        1 or 0; `unparsed` without exactly one code
    """
    accepted = {entry[: characters or None] for gold in golds(sample) for entry in codes(gold, system)}
    text = final(trace.answer)
    announced = [codes(value, system) for value in ANNOUNCED.findall(text)]
    candidates = {entry for entries in announced for entry in entries} or set(codes(text, system))
    if len(candidates) != 1:
        return missing("code", trace, f"{len(candidates) or 'no'} {system} codes")
    value = candidates.pop()
    return Score(
        "code",
        float(value[: characters or None] in accepted),
        parsed=value,
        why=f"said {value}, gold {sample.target!r}",
    )


def codes(text: str, system: str) -> list[str]:
    """Extract the codes of a text in the form they are compared in; denied ones are left out.

    Args:
        text: where codes are searched.
        system: a key of `PATTERNS`.

    Returns:
        codes, each once, in order

    Raises:
        ConfigError: there is no such system.
    """
    if system not in PATTERNS:
        raise ConfigError(f"no code system {system!r}; there are {', '.join(PATTERNS)}")
    pattern, prefix = PATTERNS[system]
    if system == "icd10":
        for pattern_of_names in (NO_CODES, BIOLOGY):
            text = pattern_of_names.sub(lambda m: " " * len(m[0]), text)
    results = [
        prefix + "".join(filter(None, match.groups())).upper()
        for match in re.finditer(pattern, text, re.IGNORECASE)
        if not DENIED.search(text[: match.start()])
        and not (
            system == "icd10" and match[0].upper() in PROTEINS_AND_LINES and _is_name(text, match.start())
        )
    ]
    return [entry for entry in dict.fromkeys(results) if system != "loinc" or _mod10(entry)]


def _is_name(text: str, at: int) -> bool:
    """Whether "P53" is the protein: in a sentence that does not call it a code."""
    return len(text.split()) > WORDS_OF_CODE and not SAYS_CODE.search(text[:at])


def _mod10(loinc: str) -> bool:
    """The check digit of LOINC: Luhn, as its Users' Guide, appendix C, gives it."""
    digits, check = loinc.split("-")
    # Luhn: every second digit from the right is doubled, 9 is taken off what exceeds it, the sum mod 10 is 0
    doubled = [int(d) * 2 if i % 2 == 0 else int(d) for i, d in enumerate(reversed(digits))]
    return (10 - sum(d - 9 if d > 9 else d for d in doubled) % 10) % 10 == int(check)


EXAMPLE = Sample(
    "code/example",
    (
        Message("user", ("What is the ICD-10 code of pneumonia of unspecified organism?",)),
        Message("assistant", ("J18.9",)),
    ),
    target="J18.9",
)
