"""How often the safety gate stops an answer that a person wrote for patients or in notes: each alarm is
false, or worth a look.

    MEDXIAOHE_DATA=... python benchmarks/safety_gate.py            a few seconds; figures in docs/rewards.md

Reference answers of the train splits, whose alarms were read to write the rules, and of the validation
splits, which were not.
"""

import argparse
import itertools

from medxiaohe.rewards.hybrid import answered
from medxiaohe.rewards.safety import violations
from medxiaohe.tasks import make

TASKS = ("medquad", "medsafety", "aci_bench", "mts_dialog")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--limit", type=int, default=2000, help="answers of each task and split")
    limit = options.parse_args().limit
    print(f"{'task':<12} {'split':<12} {'answers':>8} {'stopped':>8}")
    for name, split in itertools.product(TASKS, ("train", "validation")):
        task = make(name)
        if split not in task.splits:
            continue
        rows = list(itertools.islice(task.samples(split), limit))
        alarms = [
            (row.id, found)
            for row in rows
            if (found := violations(row, answered(row, row.messages[-1].text)))
        ]
        print(f"{name:<12} {split:<12} {len(rows):>8} {len(alarms):>8}")
        for where, found in alarms:
            print(f"    {where}: {found[0]}")


if __name__ == "__main__":
    main()
