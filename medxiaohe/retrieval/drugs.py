"""Look up drug interactions and doses by renal function in tables: the assets ddi_ansm and open_medicine.

The names of the French thesaurus are found by their international names in English ("warfarin", "valproic
acid"), by names that differ in the United States ("acetaminophen"), and in French. A class stands for its
members, as the thesaurus lists them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medxiaohe.retrieval.json_parts import json_parts
from medxiaohe.types import Evidence, Locator

THESAURUS = "thesauri/2020_01/thesaurus-referentiel-national-des-interactions-medicamenteuses-20102020.json"
SUBSTANCES = "thesauri/2020_01/index-des-substances-20102020.json"
RXNORM = "mappings/rxnorm_mappings.tsv"
RENAL = "mcp/calculators/data/renal_dose_adjustments.json"
ANSM = "Thesaurus des interactions médicamenteuses, ANSM, 2020-10-20"
ANSM_LICENSE = "not stated (ANSM)"
RENAL_LICENSE = "MIT (table by the authors of open-medicine)"
LEVELS = {  # first letters of the French levels -> level, the gravest first
    "contre": "contraindicated",
    "association": "not recommended",
    "precaution": "precaution for use",
    "a prendre": "take into account",
    "il convient": "take into account",
}
# names of the United States or of every day -> the thesaurus's
OTHER_NAMES = {
    "acetaminophen": "paracetamol", "albuterol": "salbutamol", "alcohol": "alcool boisson ou excipient",
    "aspirin": "acide acetylsalicylique", "cyclosporine": "ciclosporine", "divalproex": "acide valproique",
    "epinephrine": "adrenaline", "glyburide": "glibenclamide", "grapefruit": "pamplemousse jus et fruit",
    "grapefruit juice": "pamplemousse jus et fruit", "isoproterenol": "isoprenaline",
    "meperidine": "pethidine", "nitroglycerin": "trinitrine", "norepinephrine": "noradrenaline",
    "rifampin": "rifampicine", "valproate": "acide valproique",
}  # fmt: skip


@dataclass(frozen=True)
class Interaction:
    """Entry of the thesaurus that holds for two drugs."""

    level: str  # the gravest of its levels, in English
    first: str  # drug or class, as the thesaurus has it
    second: str
    evidence: Evidence


class Interactions:
    """Thesaurus of drug interactions, from the files of the asset ddi_ansm (retrieval/assets.py)."""

    pure = True

    def __init__(self, files: Mapping[str, str]):
        """Take file name -> text; it is parsed when first used."""
        self.files = files

    def substance(self, name: str) -> str:
        """Normalise the name of a drug or class to that of the thesaurus.

        Args:
            name: international name, a name of the United States or a French one; case, accents and signs
                do not matter.

        Returns:
            the name in the thesaurus, "" where it is not listed.
        """
        plain = key(name)
        return self._names.get(OTHER_NAMES.get(plain, plain)) or self._names.get(_english(plain)) or ""

    def classes(self, substance: str) -> tuple[str, ...]:
        """List the classes that the thesaurus puts a substance in.

        Args:
            substance: as `substance` returns it.

        Returns:
            names of classes; empty where it is in none.
        """
        return self._classes.get(substance, ())

    def rxnorm(self, substance: str) -> str:
        """Look up the RxNorm code of a substance.

        Args:
            substance: as `substance` returns it.

        Returns:
            the code, "" where there is none.
        """
        return self._rxnorm.get(substance, "")

    def between(self, first: str, second: str) -> list[Interaction]:
        """Look up every entry that holds for two substances or classes; an entry that is listed in both
        directions with the same text counts once.

        Args:
            first: the thesaurus's name of a substance or class (see `substance`).
            second: name of the second one.

        Returns:
            interactions, the gravest level first
        """
        left, right = ({key(name) for name in (each, *self.classes(each))} for each in (first, second))
        rows = [
            row for row in self._rows
            if (row[0] in left and row[1] in right) or (row[0] in right and row[1] in left)
        ]  # fmt: skip
        once = {
            (frozenset(row[:2]), str(row[3]["severity_levels"]), row[3]["interaction_mechanism"]): row
            for row in reversed(rows)
        }
        interactions = [self._interaction(number, entry, span) for _, _, number, entry, span in once.values()]
        grave = list(dict.fromkeys(LEVELS.values()))
        return sorted(interactions, key=lambda item: (grave.index(item.level), item.evidence.id))

    def count(self, substance: str) -> int:
        """Count the entries that hold for a substance, by its own name or by one of its classes.

        Args:
            substance: as `substance` returns it.

        Returns:
            number of entries.
        """
        names = {key(name) for name in (substance, *self.classes(substance))}
        return sum(bool(names & {row[0], row[1]}) for row in self._rows)

    def _interaction(self, number: int, entry: Mapping[str, Any], span: tuple[int, int]) -> Interaction:
        levels = [(_level(level_row["level"]), level_row["info"]) for level_row in entry["severity_levels"]]
        grave = list(dict.fromkeys(LEVELS.values()))
        lines = [f"{entry['main_drug']} + {entry['plus_drug']}"]
        lines += [f"level: {level}{'; ' + ' '.join(info.split()) if info else ''}" for level, info in levels]
        if entry["interaction_mechanism"]:
            lines.append(f"mechanism and advice: {' '.join(entry['interaction_mechanism'].split())}")
        evidence = Evidence(
            f"interaction/{number}", "\n".join(lines), ANSM, kind="relation", sha256=self._sha256,
            at=Locator(span=span), level="A", license=ANSM_LICENSE, date="2020-10-20",
        )  # fmt: skip
        worst = min((level for level, _ in levels), key=grave.index)
        return Interaction(worst, entry["main_drug"], entry["plus_drug"], evidence)

    @cached_property
    def _text(self) -> str:
        return self.files[THESAURUS]

    @cached_property
    def _sha256(self) -> str:
        return hashlib.sha256(self._text.encode()).hexdigest()

    @cached_property
    def _rows(self) -> list[tuple[str, str, int, Mapping[str, Any], tuple[int, int]]]:
        return [
            (key(entry["main_drug"]), key(entry["plus_drug"]), number, entry, span)
            for number, (_, entry, span) in enumerate(json_parts(self._text))
        ]

    @cached_property
    def _classes(self) -> dict[str, tuple[str, ...]]:
        rows = json.loads(self.files[SUBSTANCES])
        return {row["substance"]: tuple(row["drug_classes"]) for row in rows}

    @cached_property
    def _names(self) -> dict[str, str]:
        """Keys of substances, classes and names of entries, in French and in English -> name; the first to
        be listed wins, and substances come first."""
        names: dict[str, str] = {}
        listed = [
            *self._classes,
            *(class_name for classes in self._classes.values() for class_name in classes),
            *(entry[name] for *_, entry, _ in self._rows for name in ("main_drug", "plus_drug")),
        ]
        for name in listed:
            names.setdefault(key(name), name)
        for name in listed:
            names.setdefault(_english(key(name)), name)
        return names

    @cached_property
    def _rxnorm(self) -> dict[str, str]:
        rows = csv.DictReader(self.files[RXNORM].splitlines(), delimiter="\t")
        return {row["substance"]: row["RxNorm"] for row in rows if row["RxNorm"] != "NA"}


class RenalDoses:
    """Doses by renal function, from the files of the asset open_medicine (retrieval/assets.py)."""

    pure = True

    def __init__(self, files: Mapping[str, str]):
        """Take file name -> text; it is parsed when first used."""
        self.files = files

    def dose(self, name: str, clearance: float | None = None) -> Evidence | None:
        """Look up the doses of a drug by creatinine clearance.

        Args:
            name: of the drug, in English.
            clearance: creatinine clearance in mL/min; None: all tiers.

        Returns:
            the doses with their source, or None
        """
        row = self._drugs.get(key(name))
        if row is None:
            return None
        drug, entry, span = row
        metric = {"crcl": "creatinine clearance, mL/min"}.get(
            entry["label_renal_metric"], f"{entry['label_renal_metric']}, mL/min"
        )
        lines = [f"{drug} ({entry['route']}), by {metric}; usual dose {entry['normal_dose']}"]
        for tier in entry["tiers"]:
            if clearance is None or _holds(tier, clearance):
                high = f"to {tier['max']}" if tier["max"] is not None else "and above"
                lines.append(f"{tier['min']} {high}: {tier['dose']}")
                lines += [f"  dialysis: {tier['dialysis_note']}"] if tier["dialysis_note"] else []
                lines += [f"  {warning}" for warning in tier["warnings"]]
        source = f"{entry['source_description']} doi:{entry['source_doi']}"
        return Evidence(
            f"renal/{drug}", "\n".join(lines), source, sha256=self._sha256, at=Locator(span=span), level="B",
            license=RENAL_LICENSE,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Number of drugs with a dose by renal function.

        Returns:
            each counted once, whichever names it has.
        """
        return len({drug for drug, _, _ in self._drugs.values()})

    @cached_property
    def _text(self) -> str:
        return self.files[RENAL]

    @cached_property
    def _sha256(self) -> str:
        return hashlib.sha256(self._text.encode()).hexdigest()

    @cached_property
    def _drugs(self) -> dict[str, tuple[str, Mapping[str, Any], tuple[int, int]]]:
        drugs: dict[str, tuple[str, Mapping[str, Any], tuple[int, int]]] = {}
        for drug, entry, span in json_parts(self._text):
            for name in (drug, entry["drug_name"], *entry["brand_names"]):
                drugs.setdefault(key(name), (drug, entry, span))
        return drugs


def key(name: str) -> str:
    """Normalise a name for look-up: lower-case ASCII letters and digits, without accents and signs.

    Returns:
        words separated by one blank.
    """
    plain = unicodedata.normalize("NFKD", name.casefold().replace("œ", "oe"))
    return " ".join(re.findall(r"[a-z0-9]+", plain.encode("ascii", "ignore").decode()))


def _english(plain: str) -> str:
    """What a French and an English international name have in common: "acide valproique" and "valproic
    acid", "warfarine" and "warfarin" become one."""
    if acid := re.fullmatch(r"acide (\w+)ique( .*)?", plain):
        plain = f"{acid[1]}ic acid{acid[2] or ''}"
    return " ".join(word.removesuffix("e") for word in plain.split())


def _level(french: str) -> str:
    plain = key(french)
    return next(level for start, level in LEVELS.items() if plain.startswith(start))


def _holds(tier: Mapping[str, Any], clearance: float) -> bool:
    """A tier ends where the next one begins: 49.5 belongs to 30 to 49, before 50."""
    return tier["min"] <= clearance and (tier["max"] is None or clearance < tier["max"] + 1)
