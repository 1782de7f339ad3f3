"""Tools beside their gold: calculators on MedCalc-Bench, cells on BCCD, vessels on DRIVE, refusals of
pictures of another kind.

    python benchmarks/tools.py                  all that the data pack has gold for
    python benchmarks/tools.py medcalc cells    some of them
    python benchmarks/tools.py --fit            fit what tools/vision ships again, from the pack

The pack lies in ${MEDXIAOHE_DATA}. What was fitted on a picture is never measured on it: cells are fitted on
the training split (by hash) and measured on the test split; vessels are measured leaving one picture out.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from medcalc_faults import gold_of
from medcalc_inputs import inputs

from medxiaohe.errors import ToolError
from medxiaohe.tasks._rows import table
from medxiaohe.tools.calculation.declare import evaluate
from medxiaohe.tools.calculation.registry import find


def medcalc(pack: Path, show: bool = False) -> Counter[str]:
    """Items of MedCalc-Bench by what became of them, given the gold inputs.

    agrees: within the limits of the data. fault: the gold is what a fault of the data's own reference makes
    of the inputs. refused: a value in its stated unit is impossible, or the patient is outside the formula's
    limits. unexplained: neither.
    """
    counts: Counter[str] = Counter()
    by: dict[str, Counter[str]] = {}
    for row in table(pack / "tools/medcalc_bench.csv"):
        name, given = inputs(row)
        try:
            got: Any = evaluate(find(name), given)
            refused = ""
        except ToolError as error:
            got, refused = None, str(error)
        what, faulty = gold_of(row)
        if within(row, got):
            kind = "agrees"
        elif what and within(row, faulty):
            kind = "fault"
        else:
            kind = "refused" if refused else "unexplained"
        counts[kind] += 1
        by.setdefault(name, Counter())[kind] += 1
        if show and kind in ("refused", "unexplained"):
            print(
                f"  {row['Row Number']} {name}: {refused or got} (gold {row['Ground Truth Answer']}): {kind}"
            )
    if show:
        for name, kinds in sorted(by.items()):
            if kinds["agrees"] != sum(kinds.values()):
                print(f"  {name}: {dict(kinds)}")
    return counts


def within(row: Mapping[str, str], got: Any) -> bool:
    """Whether a result is within the limits of an item."""
    said = row["Ground Truth Answer"].strip()
    if got is None:
        return False
    if said.startswith("("):
        return [part.split()[0] for part in ast.literal_eval(said)] == [
            part.split()[0] for part in str(got).split(", ")
        ]
    if row["Output Type"] == "date":
        return bool(got == said)
    low, high = sorted((float(row["Lower Limit"]), float(row["Upper Limit"])))
    return low - 1e-9 <= float(got) <= high + 1e-9


def print_medcalc(pack: Path) -> None:
    counts = medcalc(pack, show=True)
    total = sum(counts.values())
    print(
        f"medcalc: {total} items: " + ", ".join(f"{k} {v} ({v / total:.1%})" for k, v in counts.most_common())
    )


PARTS = {"medcalc": print_medcalc}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which, all unless given")
    given = parser.parse_args()
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    for name in given.parts or PARTS:
        PARTS[name](pack)


if __name__ == "__main__":
    main()
