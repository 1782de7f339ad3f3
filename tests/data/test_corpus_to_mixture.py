"""From a corpus to a mixture: what is dropped and why, what a leak of test items looks like, what is
drawn."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from corpora_for_tests import corpus, document, dropped, out, picture, prose, question, task_file

from medxiaohe import io
from medxiaohe.data.curate import Against, CurateSettings, curate
from medxiaohe.data.mixture import MixtureSettings, mixture
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import build
from medxiaohe.types import Sample

# ---- curating ------------------------------------------------------------------------------------


def curated(tmp_path: Path, samples: list[Sample], items: list[Sample], **settings: Any) -> dict[str, str]:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    against = (Against(task_file(tmp_path, items)),) if items else ()
    folder = out(tmp_path, "curated")
    summary = curate(
        CurateSettings(against=against, filters=(), **settings), folder, corpus=corpus(tmp_path, samples)
    )
    kept = [s.id for s in io.read_samples(folder / "samples.jsonl")]
    gone = dropped(folder)
    assert summary["read"] == len(samples) == len(kept) + len(gone) and summary["kept"] == len(kept)
    assert set(kept) | set(gone) == {s.id for s in samples} and Counter(gone.values()) == summary["dropped"]
    return gone


def test_the_first_of_several_copies_is_kept(tmp_path: Path) -> None:
    text = prose(1, 200)
    edited = text.replace(text.split()[100], "quinine", 1)
    samples = [
        document("a", text),
        document("b", text.upper() + "!"),
        document("c", edited),
        document("d", prose(2, 200)),
    ]
    assert curated(tmp_path, samples, []) == {"b": "exact_duplicate", "c": "near_duplicate_text"}


def test_one_question_about_many_images_is_no_duplicate_but_the_same_image_is(tmp_path: Path) -> None:
    from medxiaohe import images

    files = [
        picture(tmp_path / "a.jpg", 1),
        picture(tmp_path / "b.jpg", 2),
        picture(tmp_path / "a2.jpg", 1, quality=40, size=64),
    ]
    refs = [images.ref(file) for file in files]
    samples = [
        question(name, ref, "Does this chest X-ray show pneumonia?")
        for name, ref in zip("abc", refs, strict=True)
    ]
    samples.append(question("d", refs[0], "Which lobe is affected?"))
    assert curated(tmp_path, samples, []) == {"c": "near_duplicate_image"}


def test_held_out_rows_and_rows_of_their_patients_and_studies_are_no_training_rows(tmp_path: Path) -> None:
    samples = [
        question("a", "One?", patient_id="p1", split="train"),
        question("b", "Two?", patient_id="p2", split="train"),
        question("c", "Three?", patient_id="p1", split="test"),
        document("d", prose(1), study_id="4711007", split="validation"),
        question("e", "Four?", study_id="PMID:4711007"),
        # a short id means nothing across sources
        question("f", "Five?", patient_id="p1", source="another hospital"),
    ]
    gone = curated(tmp_path, samples, [])
    assert gone == {
        "a": "held_out_patient",
        "c": "held_out_split",
        "d": "held_out_split",
        "e": "held_out_study",
    }


def test_verbatim_and_lightly_edited_leaks_are_found_and_innocent_text_is_not(tmp_path: Path) -> None:
    lengths = [random.Random(n).randint(14, 60) for n in range(100)]
    items = [
        question(f"t{n}", prose(f"t{n}", length) + "?", split="test") for n, length in enumerate(lengths)
    ]
    verbatim = [
        document(f"v{n}", f"{prose(f'x{n}', 80)} {item.messages[0].text} {prose(f'y{n}', 80)}")
        for n, item in enumerate(items)
    ]
    edited = [question(f"e{n}", edit(item.messages[0].text, n)) for n, item in enumerate(items)]
    innocent = [document(f"i{n}", prose(f"i{n}", 200)) for n in range(200)]
    gone = curated(tmp_path, verbatim + edited + innocent, items)
    assert set(gone.values()) == {"test_text"}
    assert sum(id.startswith("v") for id in gone) == 100
    assert sum(id.startswith("e") for id in gone) >= 95
    assert not any(id.startswith("i") for id in gone)
    report = json.loads((tmp_path / "curated" / "contamination.json").read_text())
    assert report["checked"] == {"mine": 100} and len(report["matches"]) == len(gone)
    assert all(
        row["text"] and row["item_text"] and row["how"] and row["item"][1:] == row["id"][1:]
        for row in report["matches"]
    )


def edit(text: str, seed: int) -> str:
    """One word in fifteen is another (at least one), capitals and punctuation differ."""
    dice, words = random.Random(seed), text.rstrip("?").split()
    for place in dice.sample(range(len(words)), max(1, len(words) // 15)):
        words[place] = "quinine"
    return ", ".join(words).capitalize() + " ?"


def test_a_short_question_leaks_when_it_is_the_same_question(tmp_path: Path) -> None:
    items = [question("t", "What causes scurvy?", split="test")]
    samples = [
        question("a", "What causes scurvy ?"),
        question("b", "What causes asthma?"),
        document("c", prose(1) + " what causes scurvy"),
    ]
    assert curated(tmp_path, samples, items) == {"a": "test_text"}


def test_the_template_of_a_task_is_no_leak(tmp_path: Path) -> None:
    template = (
        "Read the title of this article and then say which of the four subject headings below fits it best of"
        " all: {}"
    )
    items = [
        question(f"t{n}", template.format(prose(n, 6)), study_id=f"400000{n}", split="test")
        for n in range(20)
    ]
    samples = [
        question(f"a{n}", template.format(prose(f"a{n}", 6)), study_id=f"500000{n}") for n in range(20)
    ]
    assert curated(tmp_path, samples, items) == {}


def test_an_image_a_patient_or_a_study_of_the_test_split_leaks_but_its_question_does_not(
    tmp_path: Path,
) -> None:
    from medxiaohe import images

    asked = "Does this chest X-ray show pneumonia? Answer yes or no."
    files = {
        name: images.ref(picture(tmp_path / f"{name}.jpg", seed)) for seed, name in enumerate("abcdefgh")
    }
    files["a again"] = images.ref(picture(tmp_path / "a2.jpg", 0, quality=50, size=64))
    items = [
        question(f"t{name}", files[name], asked, patient_id=f"person{n}", split="test")
        for n, name in enumerate("abc")
    ]
    samples = [
        question("same file", files["a"], "What is seen?"),
        question("same image", files["a again"], "Which lobe is it?"),
        question("same patient", files["d"], asked, patient_id="person1"),
        question("same question", files["e"], asked, patient_id="person77"),
        question("no image", asked),
    ]
    gone = curated(tmp_path, samples, items)
    assert gone == {"same file": "test_image", "same image": "test_image", "same patient": "test_patient"}


def test_filters_run_in_order_and_their_name_is_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    spanish = (
        "El paciente con fiebre que ingresa en el hospital por una neumonía para el tratamiento con los"
        " antibióticos. " * 3
    )
    samples = [
        document("a", "Too short."),
        document("b", spanish),
        document("c", "Retracted: " + prose(1)),
        document("d", prose(2)),
    ]
    summary = curate(CurateSettings(), out(tmp_path, "curated"), corpus=corpus(tmp_path, samples))
    assert (
        dropped(tmp_path / "curated") == {"a": "too_short", "b": "not_english", "c": "retracted"}
        and summary["kept"] == 1
    )


def test_a_corpus_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    with pytest.raises(DataError, match="nothing is left of 1 rows"):
        curate(
            CurateSettings(), out(tmp_path, "curated"), corpus=corpus(tmp_path, [document("a", "Too short.")])
        )


def test_edits_of_an_image_are_seen_through_and_another_image_is_not(tmp_path: Path) -> None:
    from medxiaohe import images
    from medxiaohe.data.duplicates.near_images import Gallery, look

    gallery = Gallery()
    for seed in range(20):
        gallery.add(look(images.ref(picture(tmp_path / "x.jpg", seed))), str(seed))
    edited = images.ref(picture(tmp_path / "x.jpg", 7, quality=30, size=48))
    assert [name for name, _ in gallery.find(look(edited))] == ["7"]
    assert list(gallery.find(look(images.ref(picture(tmp_path / "x.jpg", 99))))) == []


# ---- mixing --------------------------------------------------------------------------------------


def mixed_corpus(folder: Path) -> Path:
    """900 documents on pneumonia, 90 on asthma, 9 on scurvy, and 40 questions of a task."""
    entities = ["D:1"] * 900 + ["D:2"] * 90 + ["D:4"] * 9
    rows = [document(f"docs/{n}", prose(n, 40), entities=(entity,)) for n, entity in enumerate(entities)]
    return corpus(
        folder, rows + [question(f"mesh_topic/{n}", f"Question {n}?", source="mesh_topic") for n in range(40)]
    )


def drawn(folder: Path, kind: str) -> list[Sample]:
    return list(io.read_samples(folder / f"{kind}.jsonl"))


def test_a_temperature_of_one_keeps_the_corpus_as_it_is_and_a_higher_one_lifts_the_rare(
    tmp_path: Path,
) -> None:
    data, counts = mixed_corpus(tmp_path), {}
    for temperature in (1.0, 2.0, 100.0):
        mixture(
            MixtureSettings(documents=99, temperature=temperature),
            out(tmp_path, f"m{temperature}"),
            data=data,
        )
        counts[temperature] = Counter(s.entities[0] for s in drawn(tmp_path / f"m{temperature}", "documents"))
    assert 80 <= counts[1.0]["D:1"] <= 97
    assert counts[1.0]["D:1"] > counts[2.0]["D:1"] > counts[100.0]["D:1"]
    assert counts[100.0]["D:4"] >= 8 and 30 < counts[100.0]["D:2"] < 60


def test_a_mixture_is_drawn_without_replacement_and_the_same_each_time(tmp_path: Path) -> None:
    data = mixed_corpus(tmp_path)
    settings = MixtureSettings(documents=300, instructions=15, prompts=15, temperature=3, seed=5)
    first = mixture(settings, out(tmp_path, "1"), data=data)
    mixture(settings, out(tmp_path, "2"), data=data)
    mixture(MixtureSettings(documents=300, seed=6), out(tmp_path, "3"), data=data)
    names = ("documents.jsonl", "instructions.jsonl", "prompts.jsonl", "mixture.json")
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)
    assert (tmp_path / "1" / names[0]).read_bytes() != (tmp_path / "3" / names[0]).read_bytes()
    assert len({s.id for s in drawn(tmp_path / "1", "documents")}) == 300 == first["documents"]


def test_prompts_are_no_instructions_and_take_at_most_half(tmp_path: Path) -> None:
    mixture(MixtureSettings(instructions=40, prompts=40), out(tmp_path, "m"), data=mixed_corpus(tmp_path))
    prompts, instructions = (
        {s.id for s in drawn(tmp_path / "m", kind)} for kind in ("prompts", "instructions")
    )
    assert len(prompts) == len(instructions) == 20 and not prompts & instructions


def test_shares_by_source_are_kept_and_what_is_short_is_reported(tmp_path: Path) -> None:
    rows = [question(f"a/{n}", f"A{n}?", source="a") for n in range(100)] + [
        question(f"b/{n}", f"B{n}?", source="b") for n in range(10)
    ]
    summary = mixture(
        MixtureSettings(instructions=60, by_source={"b": 0.25}),
        out(tmp_path, "m"),
        data=corpus(tmp_path, rows),
    )
    assert summary["by_source"] == {
        "a": {"intended": 45, "realised": 45},
        "b": {"intended": 15, "realised": 10},
    }


def test_an_entity_is_drawn_no_more_often_than_its_cap(tmp_path: Path) -> None:
    mixture(
        MixtureSettings(documents=500, max_per_entity=20), out(tmp_path, "m"), data=mixed_corpus(tmp_path)
    )
    assert Counter(s.entities[0] for s in drawn(tmp_path / "m", "documents")) == {
        "D:1": 20,
        "D:2": 20,
        "D:4": 9,
    }


def test_the_tail_has_a_larger_share_of_the_mixture_than_of_the_corpus(tmp_path: Path) -> None:
    summary = mixture(
        MixtureSettings(documents=99, temperature=5), out(tmp_path, "m"), data=mixed_corpus(tmp_path)
    )
    head, rest = summary["by_bucket"]["head"], [summary["by_bucket"][name] for name in ("torso", "tail")]
    assert head["after"] < head["before"] and sum(r["after"] for r in rest) > sum(r["before"] for r in rest)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "at least one must be above 0"),
        ({"documents": 1, "temperature": 0.5}, "temperature must be at least 1"),
        ({"documents": 1, "by_source": {"a": 0.7, "b": 0.7}}, "sum to at most 1"),
        ({"documents": 1, "max_per_entity": 0}, "max_per_entity must be"),
    ],
)
def test_a_mixture_that_cannot_be_meant_is_found_before_the_run(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(MixtureSettings, values, "stages.mix.with")


def test_asking_for_what_the_data_does_not_have_is_an_error(tmp_path: Path) -> None:
    data = corpus(tmp_path, [document("docs/1", prose(1))])
    with pytest.raises(DataError, match="5 prompts were asked for, and the data has none"):
        mixture(MixtureSettings(prompts=5), out(tmp_path, "m"), data=data)
    with pytest.raises(ConfigError, match="no rows of a source 'dosc'; did you mean 'docs'"):
        mixture(MixtureSettings(documents=1, by_source={"dosc": 1.0}), out(tmp_path, "n"), data=data)
