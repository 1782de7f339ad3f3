"""What the checks of a thought find: peeks, broken logic and unfaithful statements planted in chains, by kind
(MedXIAOHE).

    python benchmarks/reasoning_chains.py --rows out/corpus/synthesised/1 --tree out/tree/tree/1

The chains are those that data.synthesise wrote from facts. False alarms: whole chains that a check refuses.
Caught: planted ones that the check for their kind refuses; `any` is by whichever check. Nodes are halved by
hash: the rules were written on `tune`. Intervals are exact ones at 95 %.
"""

import argparse
import random
import time
from collections import Counter
from pathlib import Path

from shares import line

from medxiaohe import io
from medxiaohe.data.synth import planted_chains
from medxiaohe.data.synth.cases import case
from medxiaohe.data.synth.chains import Chain, split
from medxiaohe.data.synth.checks import Case, illogical, peeks, unfaithful
from medxiaohe.data.synth.graph import Graph
from medxiaohe.entity.linking.finder import finder
from medxiaohe.scoring._findings import lexicon


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, required=True, help="the folder of data.synthesise")
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--split", choices=("tune", "report"), default="report")
    parser.add_argument("--items", type=int, default=300, help="chains of each source at most")
    parser.add_argument("--show", type=int, default=0, help="misses and false alarms of each kind to print")
    args = parser.parse_args()
    graph, names, words = Graph.load(args.tree), finder(args.tree), lexicon()
    rows: list[tuple[str, Chain, Case]] = []
    num = Counter[str]()
    for sample in io.read_samples(args.rows / "samples.jsonl"):
        tune = sample.annotations.nodes and io.unit_interval("chains", sample.annotations.nodes[0]) < 0.5
        chain = split(sample.messages[-1].text)[0] if sample.provenance.chain == "long" else None
        if chain and tune == (args.split == "tune") and num[sample.source] < args.items:
            num[sample.source] += 1
            rows.append((sample.source, chain, case(sample, graph)))
    print(f"{len(rows)} chains ({dict(num)}); split {args.split}")
    checks = {
        "peeks": peeks, "illogical": illogical, "unfaithful": lambda chain, about: unfaithful(chain, about,
        words, names),
    }  # fmt: skip
    start = time.process_time()
    for name, check in checks.items():
        found = [(chain, why) for _, chain, about in rows if (why := check(chain, about))]
        print(line(f"false alarms, {name}", len(found), len(rows)))
        for chain, why in found[: args.show]:
            print("     ", why, "\n", chain.text[:600])
    print(f"  {(time.process_time() - start) / max(1, len(rows)) * 1e3:.1f} ms a chain for the three")
    plants = {"peeks": planted_chains.PEEKS, "illogical": planted_chains.LOGIC,
              "unfaithful": (*planted_chains.UNFAITHFUL, planted_chains.a_sibling(graph, names))}  # fmt: skip
    for name, kinds in plants.items():
        print(f" planted for {name}")
        for plant in kinds:
            dice, hits, any_hits, total, missed = random.Random(0), 0, 0, 0, []
            for number, (source, chain, about) in enumerate(rows):
                other = next(o for o in (*rows[number + 1 :], *rows) if o[0] == source)[1]
                wrong = plant(chain, about, other, dice)
                if wrong is None or wrong == chain:
                    continue
                total += 1
                caught = bool(checks[name](wrong, about))
                hits += caught
                any_hits += caught or any(check(wrong, about) for check in checks.values())
                missed += [] if caught else [wrong]
            label = "a_sibling" if plant.__name__ == "plant" else plant.__name__
            print(line(label.replace("_", " "), hits, total) + f"   any {any_hits / max(1, total):.1%}")
            for wrong in missed[: args.show]:
                print("      missed:", wrong.text[:900])


if __name__ == "__main__":
    main()
