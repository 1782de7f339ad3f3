"""train.motor: a queue without leaks, losses that can be off, the same bits after a kill, an index."""

import dataclasses
import importlib.util
import itertools
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.types import Entity, ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("PIL")

import numpy as np  # noqa: E402

from medxiaohe.evidence import gather  # noqa: E402
from medxiaohe.models import checkpoint  # noqa: E402
from medxiaohe.models.image_report.queue import KnowledgeQueue  # noqa: E402
from medxiaohe.retrieval.image_reports import ImageReportStore  # noqa: E402
from medxiaohe.scoring._findings import Lexicon  # noqa: E402
from medxiaohe.train.image_report import loop, measures, pairs, tags  # noqa: E402
from medxiaohe.train.image_report import run as running  # noqa: E402
from medxiaohe.train.image_report.settings import LOSSES, MotorSettings  # noqa: E402
from medxiaohe.train.image_report.triplets import terms_of, triplets  # noqa: E402
from medxiaohe.train.motor import motor  # noqa: E402

SMALL: dict[str, Any] = {
    "allow_contaminated": True, "width": 16, "heads": 2, "layers": 1, "vector": 8, "max_steps": 4,
    "per_device_train_batch_size": 7, "queue_size": 13, "triplets": 6, "save_steps": 2, "warmup_steps": 1,
    "learning_rate": 1e-3,
}  # fmt: skip


def made_pairs() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "motor_pairs.py"
    spec = importlib.util.spec_from_file_location("motor_pairs", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written: Path = made_pairs().write(tmp_path_factory.mktemp("motor") / "data", 24, held_out=12)
    return written


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint whose tokens are words of the reports."""
    words = "\n".join(pairs.report_of(one) for one in io.read_samples(data / "samples.jsonl"))
    return str(tiny.build(tmp_path_factory.mktemp("motor") / "vlm", text_=words, vocabulary=500))


def trained(base: str, data: Path, folder: Path, tree: Path | None = None, **changes: Any) -> dict[str, Any]:
    with io.publish(folder) as draft:
        return motor(MotorSettings(model=base, **{**SMALL, **changes}), draft, data=data, tree=tree)


# ---- the queue -----------------------------------------------------------------------------------


def rows(first: int, n: int, vector: int = 4) -> dict[str, Any]:
    numbers = torch.arange(first, first + n)
    unit = torch.nn.functional.normalize(
        torch.randn(n, vector, generator=torch.Generator().manual_seed(first))
    )
    return {
        "image": unit, "text": unit, "triplets": numbers[:, None, None].expand(n, 2, 3) + 1,
        "study": numbers, "patient": numbers // 2, "report": numbers,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "batches"), [(5, (2, 2, 3)), (3, (7,)), (4, (4, 1, 9, 2)), (8, (1, 1))])
def test_a_queue_of_any_size_keeps_the_newest_of_batches_of_any_size(
    size: int, batches: tuple[int, ...]
) -> None:
    queue, given = KnowledgeQueue(size, 4, 2), 0
    for n in batches:
        queue.put(**rows(given, n))
        given += n
    kept = sorted(queue.study[: queue.filled].tolist())
    assert kept == list(range(max(0, given - size), given))
    other = KnowledgeQueue(size, 4, 2)
    other.load(queue.state())
    assert all(torch.equal(value, queue.state()[name]) for name, value in other.state().items())


def test_a_fetch_is_the_most_similar_of_others_and_nothing_where_there_is_nobody_else() -> None:
    queue = KnowledgeQueue(10, 4, 2)
    queue.put(**rows(0, 6))
    own = (torch.arange(6), torch.arange(6) // 2)
    found = queue.fetch(queue.text[:6], own, 3)
    cosine = queue.text[:6] @ queue.text[:6].T
    for i, (mine, weights) in enumerate(zip(found.rows.tolist(), found.weights.tolist(), strict=True)):
        others = [j for j in range(6) if j // 2 != i // 2]
        assert mine == sorted(others, key=lambda j: -cosine[i, j])[:3]
        assert sum(weights) == pytest.approx(1) and weights == sorted(weights, reverse=True)
    alone = KnowledgeQueue(10, 4, 2)
    alone.put(**rows(0, 1))
    none = alone.fetch(alone.text[:1], (torch.tensor([0]), torch.tensor([0])), 3)
    assert none.rows.tolist() == [[-1, -1, -1]] and none.weights.tolist() == [[0.0, 0.0, 0.0]]


# ---- nothing of the own report -------------------------------------------------------------------


def coded(found: list[pairs.Pair]) -> list[pairs.Pair]:
    """Pairs with a code word among the triplets of each report, and two studies a patient."""
    return [
        dataclasses.replace(
            pair, patient=f"p{n // 2}", triplets=((f"code {n}", "is", "present"), *pair.triplets[:29])
        )
        for n, pair in enumerate(found)
    ]


def leaks(base: str, folder: Path, data: Path, exclude_own: bool) -> tuple[int, int]:
    """(fetched triplets that have the code of the own study or patient, all fetched reports)."""
    changes = {"max_steps": 8, "queue_size": 40, "triplets": 30, "exclude_own": exclude_own}
    settings = MotorSettings(model=base, **{**SMALL, **changes})
    chosen = tags.read()
    train = coded(pairs.read(data, chosen, Lexicon(), 30, "train")[0])
    terms = terms_of(pair.triplets for pair in train)
    count = {"own": 0, "all": 0, "student": 0, "teacher": 0}
    made: list[Any] = []
    build = running.build

    def watched(*args: Any) -> Any:
        made.append(build(*args))
        return made[-1]

    def watch(side: str, batch: Any, fetched: Any) -> None:
        queue = made[-1].queue
        for study, patient, mine in zip(
            batch.study.tolist(), batch.patient.tolist(), fetched.tolist(), strict=True
        ):
            own = {f"code {n}" for n in range(len(train)) if n == study or n // 2 == patient}
            for row in mine:
                if row >= 0:
                    count["all"] += 1
                    count[side] += 1
                    words = {terms[t] for one in queue.triplets[row].tolist() for t in one}
                    count["own"] += bool(words & own)

    with pytest.MonkeyPatch.context() as patch, io.publish(folder) as draft:
        patch.setattr(running, "build", watched)
        running.train_on(
            train,
            [],
            chosen,
            tags.by_group(chosen),
            terms,
            base,
            settings,
            draft,
            io.scratch(draft, "x"),
            watch,
        )
    assert count["student"] and count["teacher"]
    return count["own"], count["all"]


def test_no_fetched_triplet_is_of_the_own_study_or_patient_and_without_the_exclusion_some_are(
    base: str, data: Path, tmp_path: Path
) -> None:
    own, fetched = leaks(base, tmp_path / "on", data, True)
    assert own == 0 and fetched > 200
    own, _ = leaks(base, tmp_path / "off", data, False)
    assert own > 0, "the test does not see a leak that is there"


# ---- training ------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.mark.parametrize("vision", [False, True])
def test_a_killed_run_ends_with_the_same_bits(
    vision: bool, base: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(folder: Path) -> dict[str, str]:
        files = sorted(
            path for path in folder.rglob("*") if path.suffix in (".safetensors", ".jsonl", ".f32")
        )
        return {str(path.relative_to(folder)): io.sha256(path) for path in files}

    trained(base, data, tmp_path / "whole", vision=vision)
    real = loop.rate

    def kill(step: int, *rest: Any) -> float:
        if step == 3:
            raise Killed
        return real(step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "rate", kill)
        with pytest.raises(Killed):
            trained(base, data, tmp_path / "killed", vision=vision)
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(loop, "rate", lambda step, *rest: steps.append(step) or real(step, *rest))
        trained(base, data, tmp_path / "killed", vision=vision)
    assert steps == [2, 3]
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "killed")


@pytest.mark.parametrize("losses", [(name,) for name in LOSSES])
def test_each_loss_works_alone_and_the_others_are_off(
    losses: tuple[str, ...], base: str, data: Path, tmp_path: Path
) -> None:
    trained(base, data, tmp_path / "out", losses=losses, max_steps=2)
    for row in io.read_jsonl(tmp_path / "out" / "metrics.jsonl"):
        assert set(row) == {"step", "loss", *losses}
        assert row["loss"] == pytest.approx(row[losses[0]])


@pytest.mark.parametrize(
    "changes", [{"general": "off", "specific": "off"}, {"general": "shuffled", "specific": "random"}]
)
def test_each_kind_of_knowledge_can_be_off_or_a_control(
    changes: dict[str, Any], base: str, data: Path, tmp_path: Path
) -> None:
    found = trained(base, data, tmp_path / "out", max_steps=2, **changes)
    assert found["pairs"] == 24 and found["validation"]["pairs"] == 12
    assert 0 <= found["validation"]["image_to_report_r5"] <= 1


def test_a_later_stage_starts_from_the_tower_and_projector_and_the_index_gives_reports(
    base: str, data: Path, tmp_path: Path
) -> None:
    trained(base, data, tmp_path / "out", vision=True)
    before, after = checkpoint.load(base).model, checkpoint.load(str(tmp_path / "out" / "model")).model
    changed = {
        name.split(".")[1]
        for (name, own), (_, new) in zip(before.named_parameters(), after.named_parameters(), strict=True)
        if not torch.equal(own, new)
    }
    assert changed == {"vision_tower", "multi_modal_projector"}
    store = ImageReportStore(tmp_path / "out")
    samples = list(io.read_samples(data / "samples.jsonl"))
    found = store.like_image(samples[0].images[0], 30)
    assert len(found) == 23, "its own image is left out"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert not {one.source for one in store.like_image(samples[1].images[0], 30, ["study 2"])} & {"study 2"}
    study = gather.Study((samples[1].images[0],), patient_id="patient 2")
    shown = gather.similar(study, store, 4)
    assert len(shown) == 4 and not {one.source for one in shown} & {"study 2"}
    assert {one.by for one in shown} == {gather.REFERENCE} and gather.gather(study) == ()
    (by_words,) = store.search([pairs.report_of(samples[3])], 5)
    assert by_words[0].text == pairs.report_of(samples[3]) and by_words[0].kind == "record"
    assert store.get("made/5").text == pairs.report_of(samples[5])
    with pytest.raises(DataError, match="no report"):
        store.get("made/999")
    file = tmp_path / "out" / "index" / "vectors.f32"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match="truncated"):
        ImageReportStore(tmp_path / "out", store.model)


@pytest.mark.long
def test_fine_tuning_starts_from_what_motor_left(base: str, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.sft import sft

    trained(base, data, tmp_path / "motor")
    samples = [one for one in io.read_samples(data / "samples.jsonl") if one.split == "train"]
    io.write_jsonl(tmp_path / "mix" / "instructions.jsonl", map(io.to_json, samples))
    settings = FitSettings(max_steps=2, max_length=256, allow_contaminated=True)
    with io.publish(tmp_path / "sft") as draft:
        found = sft(settings, draft, data=tmp_path / "mix", model=tmp_path / "motor")
    assert found["steps"] == 2 and found["rows_with_pixels"] == 24


# ---- tags, triplets, measures --------------------------------------------------------------------


def test_labels_of_made_up_reports_are_the_tags_that_were_drawn() -> None:
    made, chosen, lexicon = made_pairs(), tags.read(), Lexicon()
    assert len(chosen) == 27
    for number, tag in enumerate(chosen):
        drawn = [] if tag.name == made.INFERRED else [tag]
        _, report = made.make(drawn, chosen, random.Random(number))
        mine = {
            one.name
            for one, on in zip(chosen, tags.labels(chosen, lexicon.findings(report)), strict=True)
            if on
        }
        inferred = {made.INFERRED} if tag.name in made.BECAUSE else set()
        assert mine == {one.name for one in drawn} | inferred, report


def test_triplets_have_findings_states_sides_and_degrees() -> None:
    found = triplets(Lexicon().findings("Small left pleural effusion. No pneumothorax."))
    assert found == [
        ("pleural effusion", "is", "present"), ("pneumothorax", "is", "absent"),
        ("pleural effusion", "side", "left"), ("pleural effusion", "degree", "mild"),
    ]  # fmt: skip
    assert triplets(Lexicon().findings("Small left pleural effusion. No pneumothorax."), 2) == found[:2]


def test_the_graph_of_the_tags_is_that_of_the_tree(tmp_path: Path) -> None:
    """Relations go by the tree where it has the tags, and by groups elsewhere; domains and chapters relate
    nothing."""
    names = {
        "P": ("phenotype", ()), "P:lung": ("lung chapter", ("P",)), "P:air": ("airspace group", ("P:lung",)),
        "P:pleura": ("pleural group", ("P:lung",)), "P:1": ("Pneumonia", ("P:air",)),
        "P:2": ("Consolidation", ("P:air",)), "P:3": ("Pleural effusion", ("P:pleura",)),
        "P:4": ("Pneumothorax", ("P:pleura",)), "P:5": ("other", ("P:air",)), "P:6": ("more", ("P:5",)),
        "P:7": ("extra", ("P:pleura",)), "P:8": ("extra child", ("P:7",)),
    }  # fmt: skip
    tree = Tree(Entity(id, name, "phenotype", parents) for id, (name, parents) in names.items())
    chosen = {tag.name: n for n, tag in enumerate(tags.read())}
    relation, missing = tags.from_tree(tags.read(), tree)
    related = lambda a, b: relation[chosen[a]][chosen[b]]  # noqa: E731
    assert related("pneumonia", "consolidation") and related("pleural effusion", "pneumothorax")
    assert not related("pneumonia", "pleural effusion"), "a chapter relates nothing"
    assert "fracture" in missing and related("fracture", "scoliosis"), "the group, where the tree has none"
    assert len(missing) == 23 and all(relation[n][n] for n in range(27))
    control = tags.shuffled(relation, 0)
    assert sum(map(sum, control)) == sum(map(sum, relation)) and control != relation


def test_a_file_of_tags_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "tags.tsv"
    for text, said in (
        ("a\tg\tf\n", "four columns"),
        ("a\tg\tf\t\n", "two tags"),
        ("a\tg\tf\t\na\tg\tf\t\n", "differ"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            tags.read(file)


def test_recall_and_auc_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 5, 40).astype(float), rng.integers(0, 2, 40)
    both = [(a, b) for a, b in itertools.product(scores[labels == 1], scores[labels == 0])]
    assert measures.auc(scores, labels) == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a, b in both]))
    assert measures.auc(scores, np.ones(40)) is None
    table = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.2], [0.3, 0.8, 0.7]])
    same = np.eye(3, dtype=bool)
    assert measures.recall_at(table, same, 1).tolist() == [True, False, False]
    assert measures.recall_at(table, same, 2).tolist() == [True, False, True]


# ---- bad input -----------------------------------------------------------------------------------


def test_what_cannot_be_trained_on_is_one_sentence(base: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="compared with no test split"):
        trained(base, data, tmp_path / "a", allow_contaminated=False)
    for changes, said in (
        ({"losses": ()}, "all are off"), ({"losses": ("itc",)}, "unknown itc"), ({"heads": 3}, "a multiple"),
        ({"queue_size": 0}, "at least 1"), ({"momentum": 1.0}, "below 1"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            MotorSettings(model=base, **{**SMALL, **changes})
    with pytest.raises(DataError, match=r"none of documents\.jsonl"):
        trained(base, tmp_path / "nowhere", tmp_path / "b")
    rows_ = [Sample(f"x/{n}", (Message("user", ("Q",)), Message("assistant", ("A",)))) for n in range(20)]
    io.write_jsonl(tmp_path / "text" / "samples.jsonl", map(io.to_json, rows_))
    with pytest.raises(DataError, match=r"0 pairs.*20 no image"):
        trained(base, tmp_path / "text", tmp_path / "c")
    with pytest.raises(DataError, match=r"no network/network\.json"):
        from medxiaohe.models.image_report.reader import ImageReportModel

        ImageReportModel(tmp_path)


def test_a_checkpoint_without_a_tower_is_refused(data: Path, tmp_path: Path) -> None:
    from medxiaohe.models.image_report.tower import Tower

    with pytest.raises(ModelError, match="LLaVA checkpoint"):
        Tower(checkpoint.Loaded(object(), object(), "words only"))


def test_a_picture_that_changed_since_it_was_read_stops_the_run(
    base: str, data: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.png"
    sample = next(iter(io.read_samples(data / "samples.jsonl")))
    changed.write_bytes(Path(sample.images[0].uri).read_bytes() + b" ")
    other = dataclasses.replace(
        sample,
        messages=(
            Message("user", (ImageRef(str(changed), sha256=sample.images[0].sha256), "Q")),
            sample.messages[1],
        ),
    )  # fmt: skip
    rest = list(io.read_samples(data / "samples.jsonl"))[1:]
    io.write_jsonl(tmp_path / "d" / "samples.jsonl", map(io.to_json, [other, *rest]))
    with pytest.raises(DataError, match="changed since it was read"):
        trained(base, tmp_path / "d", tmp_path / "out")
