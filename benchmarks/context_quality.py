"""Do the negation and uncertainty rules agree with radiologists' coding? Findings of the Indiana reports
against their MeSH tags.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/context_quality.py
    MEDXIAOHE_DATA=/path/to/data python benchmarks/context_quality.py --show "Pleural Effusion"      # where
    they disagree

A report counts as saying a finding when it mentions it (a) at all, (b) not negated, (c) not negated, certain
and current; gold is whether the human coders gave it the tag. Recall is among the reports that mention the
finding: what is described without its name is no matter of context. Some triggers were added after reading
where rules and coders disagree on the findings of LOOKED_AT, so those are a figure of the fit; the others
were not looked at.
"""

import argparse
import csv
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from medxiaohe.entity.linking.context import Context, contexts

FINDINGS = {  # tag -> how reports name it; tags whose name means the same as the coders'
    "Pleural Effusion": r"pleural (?:\w+ )?effusions?|effusions?", "Pneumothorax": r"pneumothora(?:x|ces)",
    "Cardiomegaly": r"cardiomegaly",
    "Consolidation": r"consolidations?", "Pulmonary Edema": r"edema", "Emphysema": r"emphysema",
    "Pneumonia": r"pneumonia",
    "Nodule": r"nodules?", "Infiltrate": r"infiltrates?", "Hernia, Hiatal": r"hiatal hernia",
    "Scoliosis": r"scoliosis",
    "Calcified Granuloma": r"calcified granulomas?", "Fractures, Bone": r"fractures?",
}  # fmt: skip
LOOKED_AT = (
    "Pleural Effusion",
    "Pneumothorax",
    "Consolidation",
    "Pulmonary Edema",
    "Pneumonia",
    "Infiltrate",
    "Fractures, Bone",
)
READINGS: dict[str, Callable[[Context], bool]] = {
    "mentioned": lambda context: True,
    "not negated": lambda context: not context.negated,
    "certain and current": lambda context: (
        not context.negated and not context.uncertain and context.temporality == "current"
    ),
}


def reports(folder: Path) -> list[tuple[int, str, str]]:
    """uid, findings and impression, tags."""
    with (folder / "indiana_reports.csv").open(encoding="utf-8", newline="") as file:
        return [
            (int(row["uid"]), f"{row['findings']}\n{row['impression']}", row["MeSH"])
            for row in csv.DictReader(file)
        ]


def counts(
    rows: Iterable[tuple[int, str, str]], says: Callable[[Context], bool], show: str = ""
) -> dict[str, tuple[int, int, int]]:
    """Finding -> reports that say it with its tag, that say it without, that mention it with its tag but are
    read as not saying it."""
    found = {}
    for tag, pattern in FINDINGS.items():
        name, tagged = (
            re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE),
            re.compile(rf"(?:^|[;/]){re.escape(tag)}(?:$|[;/])"),
        )
        both = alone = lost = 0
        for _, text, tags in rows:
            spans = [mark.span() for mark in name.finditer(text)]
            said = contexts(text, spans)
            says_it, has_tag = any(map(says, said)), bool(tagged.search(tags))
            both += says_it and has_tag
            alone += says_it and not has_tag
            lost += has_tag and bool(spans) and not says_it
            if tag == show and spans and says_it != has_tag:
                at = next(
                    (start for (start, _), context in zip(spans, said, strict=True) if says(context)),
                    spans[0][0],
                )
                print(
                    "tag, not said:" if has_tag else "said, no tag: ",
                    " ".join(text[max(0, at - 90) : at + 60].split()),
                )
        found[tag] = (both, alone, lost)
    return found


def row(label: str, cells: Iterable[tuple[int, int, int]]) -> str:
    parts = [label]
    for both, alone, lost in cells:
        parts.append(f"{both / max(1, both + alone):.3f} / {both / max(1, both + lost):.3f}")
    return f"| {' | '.join(parts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--show", default="", metavar="FINDING", help="print where rules and coders disagree")
    options = parser.parse_args()
    rows = reports(Path(os.environ["MEDXIAOHE_DATA"]) / "cxr" / "iu_reports")
    if options.show:
        counts(rows, READINGS["certain and current"], options.show)
        return
    start = time.process_time()
    results = {reading: counts(rows, says) for reading, says in READINGS.items()}
    print(
        f"{len(rows):,} reports, {time.process_time() - start:.0f} s; precision / recall among the reports"
        " that mention the finding\n"
    )
    print(f"| finding | {' | '.join(READINGS)} |\n|---|---|---|---|")
    for tags in ([tag for tag in FINDINGS if tag not in LOOKED_AT], LOOKED_AT):
        for tag in tags:
            print(row(tag, (result[tag] for result in results.values())))
        label = "all that were looked at" if tags is LOOKED_AT else "all that were not looked at"
        print(row(label, [sums(result[tag] for tag in tags) for result in results.values()]))


def sums(cells: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    both, alone, lost = map(sum, zip(*cells, strict=True))
    return both, alone, lost


if __name__ == "__main__":
    main()
