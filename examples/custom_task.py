"""Score a model's answers with a task of your own.

    python examples/custom_task.py

A task is samples and scorers: the same object is a benchmark (`tasks: [{name:
"examples/custom_task.py:dosing"}]` of an `evals.run` stage) and an environment for reinforcement learning
(`train.rl`). Here a scripted model answers.
"""

from collections.abc import Iterator

from medxiaohe.agents.answer import answer
from medxiaohe.evals.statistics import stats
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Message, Sample, Score, Task, Trace

# mg/kg, kg
DRUGS = {"ceftriaxone": (50, 20), "gentamicin": (7, 12), "amoxicillin": (45, 8), "vancomycin": (15, 30)}


def samples(split: str) -> Iterator[Sample]:
    for drug, (mg_per_kg, weight) in DRUGS.items():
        question = (
            f"A child of {weight} kg is to get {drug} at {mg_per_kg} mg/kg. How many mg is one dose? Answer"
            " with the number."
        )
        dose = str(mg_per_kg * weight)
        messages = (Message("user", (question,)), Message("assistant", (dose,)))
        yield Sample(f"dosing/{drug}", messages, target=dose, source="dosing", split="test")


def within_5_percent(sample: Sample, trace: Trace) -> Score:
    try:
        said, right = float(trace.answer.removesuffix("mg")), float(sample.target)
    except ValueError:
        return Score("within_5_percent", 0.0, "unparsed", why=f"no number: {trace.answer[:40]!r}")
    return Score("within_5_percent", float(abs(said - right) <= 0.05 * right), parsed=str(said))


def dosing() -> Task:
    return Task("dosing", samples, (within_5_percent,), example=next(samples("test")), license="CC0-1.0")


def main() -> None:
    task, model = dosing(), scripted("made-up", ["1000 mg", "84", "about a spoonful", "4500"])
    items = list(task.samples("test"))
    scores = [
        task.scorers[0](item, trace)
        for item, trace in zip(items, answer([item.prompt for item in items], model), strict=True)
    ]
    for item, score in zip(items, scores, strict=True):
        print(f"{item.id:<20} gold {item.target:>5}  {score.status:<8} {score.value} {score.why}")
    found = stats.estimate([score.value or 0.0 for score in scores])
    print(f"mean {found.mean:.2f}, 95% interval [{found.low:.2f}, {found.high:.2f}], {found.n} items")


if __name__ == "__main__":
    main()
