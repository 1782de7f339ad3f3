"""What decontamination finds: leaks of test items planted on purpose, by kind, and how often it is wrong
about clean data.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/decontamination.py                  # text, ids and images:
    about 10 minutes MEDXIAOHE_DATA=/path/to/data python benchmarks/decontamination.py --only text --items 150

Text: test items of the tasks named below, edited by medxiaohe/data/duplicates/planted_leaks.py, half alone
and half inside a PubMed abstract. Clean: PubMed abstracts of the asset pubmed_2020 that no item comes from,
and, harder, test questions of one half of each question set held against the index of its other half (a hit
there is printed: real near-copies exist). Images: those of each task's test split, transformed; clean are
images of the same task's other patients, held against an index without them. Exact intervals at 95 %.
"""

import argparse
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from shares import line

from medxiaohe import assets, images, plugins
from medxiaohe.data.duplicates import planted_leaks
from medxiaohe.data.duplicates.decontamination import TestItems
from medxiaohe.data.duplicates.near_images import Gallery, Lens, look
from medxiaohe.data.duplicates.overlap import words
from medxiaohe.tasks import make, named
from medxiaohe.types import Message, Sample

TEXT_TASKS = (
    "medqa",
    "medmcqa",
    "mmlu_med",
    "pubmedqa",
    "bioasq_yesno",
    "kqa",
    "medquad",
    "mts_dialog",
    "iu_impression",
)
QUESTION_SETS = ("medqa", "medmcqa", "mmlu_med", "kqa", "iu_impression")
IMAGE_TASKS = ("chest_xray", "vqa_rad", "ham10000", "bccd_count")
REPORTS = ("iu_impression",)  # normal reports are alike: of many nothing tells them apart
LONG = 13  # the words of a run in GPT-3's test
MIN_WORDS = 8  # of a question that is edited; shorter ones are found when they are asked in the same words


def test_items(name: str, most: int) -> list[Sample]:
    task = make(name, None, {})
    return [named(sample, task) for sample in islice(task.samples("test"), most)]


def abstracts(most: int) -> list[Sample]:
    read = plugins.load("readers", "pubmed_xml")
    found = (one for one in read(assets.folder("pubmed_2020")) if isinstance(one, Sample))
    return [one for one in islice(found, most) if len(words(one.text)) >= 30]


def row(id: str, text: str, number: int, clean: Sequence[Sample]) -> Sample:
    """A leak as it would be met: alone as a question, or in the middle of a document."""
    if number % 2:
        return Sample(
            id,
            (Message("user", (text,)), Message("assistant", ("The answer is not given here.",))),
            source="planted",
        )
    around = clean[number % len(clean)].text.split(". ")
    half = len(around) // 2
    return Sample(
        id,
        (Message("document", (". ".join(around[:half]) + f".\n{text}\n" + ". ".join(around[half:]),)),),
        source="planted",
    )


def text(most: int, num_clean: int, seed: int) -> None:
    clean = abstracts(num_clean)
    by_task = {name: test_items(name, 100_000) for name in TEXT_TASKS}
    start = time.perf_counter()
    index = TestItems((item for found in by_task.values() for item in found), Lens())
    took = time.perf_counter() - start
    print(
        f"text: an index of {sum(map(len, by_task.values())):,} items of {len(by_task)} tasks in {took:.1f} s"
    )
    own = {item.study_id.removeprefix("PMID:") for found in by_task.values() for item in found} - {""}
    clean = [one for one in clean if one.study_id.removeprefix("PMID:") not in own]
    dice, missed = random.Random(seed), defaultdict[str, int](int)
    chosen = [
        (name, item) for name, found in by_task.items() for item in dice.sample(found, min(most, len(found)))
    ]
    lines = {
        name: Counter(own for item in found for own in set(planted_leaks.question_of(item)[0].splitlines()))
        for name, found in by_task.items()
    }  # "Answer with the letter." is not part of what is planted
    together, found_together = Counter[str](), Counter[str]()
    for kind, edit in planted_leaks.TEXT_EDITS.items():
        hits, n, wrong_item = defaultdict[str, int](int), defaultdict[str, int](int), 0
        for number, (name, item) in enumerate(chosen):
            question, options = planted_leaks.question_of(item)
            question = "\n".join(
                own for own in question.splitlines() if lines[name][own] <= 0.01 * len(by_task[name]) + 1
            )
            if not words(question):  # all of it is asked in many items
                continue
            if (kind != "verbatim" and len(words(question)) < MIN_WORDS) or (
                kind == "options shuffled" and not options
            ):
                continue
            match = index.find(row(f"{kind}/{item.id}", edit(question, options, dice), number, clean))
            length = len(words(question))
            band = (
                "short"
                if length < MIN_WORDS
                else f"{MIN_WORDS} to {LONG - 1} words"
                if length < LONG
                else f"{LONG} words or more"
            )
            band = "reports" if name in REPORTS else band
            n[band] += 1
            hits[band] += match is not None
            wrong_item += match is not None and match.item != item.id
            missed[f"{kind}: {band}: {name}"] += match is None
        for band in sorted(n):
            print(line(f"{kind}: {band}", hits[band], n[band]))
            if kind != "verbatim":
                together[band] += n[band]
                found_together[band] += hits[band]
        print(f"      {wrong_item} of them named another item") if wrong_item else None
    for band in sorted(together):
        print(line(f"edited in any of these ways: {band}", found_together[band], together[band]))
    print(line("edited in any of these ways: all", found_together.total(), together.total()))
    print("  missed, by kind and task:", {key: count for key, count in missed.items() if count} or "none")
    start = time.process_time()  # of this process: other work on the machine does not count
    matches = [match for one in clean if (match := index.find(one))]
    took = time.process_time() - start
    print(
        line("false alarms, PubMed abstracts", len(matches), len(clean), 3)
        + f"   {len(clean) / took:,.0f} texts/s of CPU time"
    )
    for match in matches[:10]:
        print(f"      {match.how}\n        {match.text[:300]!r}\n        {match.item_text[:300]!r}")
    for name in QUESTION_SETS:
        hits = n = 0
        found = dice.sample(by_task[name], len(by_task[name]))
        half = TestItems(found[::2], Lens())
        for other in found[1::2]:
            n += 1
            if match := half.find(replace(other, patient_id="", study_id="", source="other")):
                hits += 1
                (
                    print(
                        f"      {name}: {match.how}\n        {match.text[:220]!r}\n       "
                        f" {match.item_text[:220]!r}"
                    )
                    if hits <= 3
                    else None
                )
        print(line(f"hits, other items of {name}", hits, n, 2))


def ids(most: int) -> None:
    forms = ("{}", "PMID:{}", "PMID {}", "https://pubmed.ncbi.nlm.nih.gov/{}/")
    items = [one for one in test_items("pubmedqa", 1000) if one.study_id]
    index = TestItems(items, Lens())
    hits = n = 0
    for number, item in enumerate(items[:most]):
        bare = item.study_id.removeprefix("PMID:")
        given = forms[number % len(forms)].format(bare)
        n += 1
        hits += (
            index.find(
                Sample(
                    f"i{number}",
                    (Message("document", ("Nothing of the text.",)),),
                    source="x",
                    study_id=given,
                )
            )
            is not None
        )
    print(line("article ids, four ways written", hits, n))


def pictures(most: int, seed: int) -> None:
    for name in IMAGE_TASKS:
        by_file = {
            item.images[0].sha256 or item.images[0].uri: item
            for item in test_items(name, 100_000)
            if item.images
        }
        found = [*by_file.values()][:most]
        looks = [look(item.images[0]) for item in found]
        dice, gallery = random.Random(seed), Gallery()
        for number, one in enumerate(looks[::2]):
            gallery.add(one, str(2 * number))
        units = [item.patient_id or item.study_id or item.id for item in found]
        inside = set(units[::2])
        others = [i for i in range(1, len(found), 2) if units[i] not in inside]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.png"
            print(f"images of {name}: {len(looks[::2])} indexed")
            for kind, edit in planted_leaks.IMAGE_EDITS.items():
                hits = n = wrong = 0
                for number in range(0, len(found), 2):
                    edit(images.open_image(found[number].images[0]), dice).save(path)
                    names = [which for which, _ in gallery.find(look(images.ref(path)))]
                    n, hits, wrong = (
                        n + 1,
                        hits + bool(names),
                        wrong + (bool(names) and names[0] != str(number)),
                    )
                print(line(kind, hits, n) + (f"   {wrong} named another image first" if wrong else ""))
        alarms = [(i, pairs) for i in others if (pairs := list(gallery.find(looks[i])))]
        print(line("false alarms, other patients", len(alarms), len(others), 2))
        for i, pairs in alarms[:5]:
            a, b = (Path(found[j].images[0].uri).name for j in (i, int(pairs[0][0])))
            print(f"      {a} ~ {b} {pairs[0][1]:.3f}")


def whole_test_set() -> None:
    """MedTrinity-25M issue 26: the training rows hold the images of a whole test split under other names and
    other texts."""
    items = [item for item in test_items("vqa_rad", 100_000) if item.images]
    index, seen = TestItems(items, Lens()), dict[str, Sample]()
    for item in items:
        seen.setdefault(item.images[0].sha256, item)
    dice, hits = random.Random(0), 0
    with tempfile.TemporaryDirectory() as folder:
        for number, item in enumerate(seen.values()):
            path = Path(folder) / f"{number}.jpg"
            planted_leaks.IMAGE_EDITS["all but mirrored"](images.open_image(item.images[0]), dice).save(
                path, quality=85
            )
            text_of = "A radiological image from a large collection, captioned by a model."
            sample = Sample(
                f"r{number}", (Message("document", (images.ref(path), text_of)),), source="collection"
            )
            match = index.find(sample)
            hits += match is not None and match.reason == "test_image"
    print(line("VQA-RAD test images in a corpus", hits, len(seen)))


def parts(args: argparse.Namespace) -> Iterator[str]:
    yield from (args.only,) if args.only else ("text", "ids", "images")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("text", "ids", "images"))
    parser.add_argument("--items", type=int, default=60, help="of each task that are planted")
    parser.add_argument("--images", type=int, default=120, help="of each task")
    parser.add_argument("--clean", type=int, default=6000, help="PubMed abstracts")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for part in parts(given):
        if part == "text":
            text(given.items, given.clean, given.seed)
        elif part == "ids":
            ids(200)
        else:
            pictures(given.images, given.seed)
            whole_test_set()
