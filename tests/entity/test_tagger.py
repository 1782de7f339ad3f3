"""The tagger: what it learns, that nothing of a text leaks into what is said of it, that decoding is exact,
files without pickle."""

import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.data.readers import iob_tsv as iob
from medxiaohe.data.readers.iob_tsv import iob_tsv
from medxiaohe.entity import tagger
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.tagger import Options, Tagger, TaggerSettings, tags_of
from medxiaohe.entity.tagging.features import CorpusNames, tokens
from medxiaohe.entity.tagging.gold import Document, Span, concept_ids, documents, without_shared
from medxiaohe.entity.tagging.model import allowed_of
from medxiaohe.entity.tagging.postprocess import Tagged, consistent, in_pairs, with_short_forms
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError, UsageError
from medxiaohe.types import Entity

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

DRUGS = (
    "naloxone clonidine morphine cisplatin ketamine dopamine lidocaine propranolol heparin warfarin".split()
)
ILLS = (
    "nausea|renal failure|chest pain|acute hepatitis|seizures|breast cancer|hypotension|lung fibrosis".split(
        "|"
    )
)
TREE = Tree(
    [
        Entity("MET:disease", "disease", "disease"),
        *(Entity(f"D:{i}", name, "disease", ("MET:disease",)) for i, name in enumerate(ILLS)),
    ]
)


def made(count: int, seed: int) -> list[Document]:
    """Sentences from three patterns, with the spans of their drug and their illness."""
    rng, found = random.Random(seed), []
    for number in range(count):
        text, spans = "", []
        for _ in range(3):
            pattern = rng.choice(
                [
                    "We gave {c} to rats with {d}.",
                    "{d} was caused by {c} in two patients.",
                    "Treatment of {d} with {c} failed.",
                ]
            )
            for piece in pattern.replace("{", "\0{").replace("}", "}\0").split("\0"):
                if piece in ("{c}", "{d}"):
                    name = rng.choice(DRUGS if piece == "{c}" else ILLS)
                    spans.append(
                        Span(len(text), len(text) + len(name), "chemical" if piece == "{c}" else "disease")
                    )
                    piece = name
                text += piece
            text += " "
        found.append(Document(f"made {seed} {number}", text, tuple(spans)))
    return found


@pytest.fixture(scope="module")
def small() -> Tagger:
    return Tagger.train(made(60, 0), TREE, options=Options(epochs=8))


def test_it_finds_what_it_has_learned_and_what_it_has_not_seen(small: Tagger) -> None:
    text = "We gave zolmitriptan to rats with chest pain."
    assert [(text[s.start : s.end], s.kind) for s in small.spans(text)] == [
        ("zolmitriptan", "chemical"),
        ("chest pain", "disease"),
    ]
    assert all(0 < span.score <= 1 for span in small.spans(text))
    assert small.spans("") == [] and small.spans(" \n ") == []


def test_texts_in_a_batch_do_not_touch_each_other(small: Tagger) -> None:
    texts = [document.text for document in made(5, 3)] + ["", "Nothing here."]
    assert small.spans_batch(texts) == [small.spans(text) for text in texts]


def test_a_saved_tagger_gives_the_same_and_has_no_pickle(small: Tagger, tmp_path: Path) -> None:
    small.save(tmp_path)
    loaded = Tagger.load(tmp_path)
    texts = [document.text for document in made(10, 5)]
    assert loaded.spans_batch(texts) == small.spans_batch(texts)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == {"keys", "state", "between"}
    (tmp_path / "weights.npz").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"weights\.npz"):
        Tagger.load(tmp_path)
    with pytest.raises(DataError, match="not a file of a tagger"):
        Tagger.load(tmp_path / "nowhere")


def test_training_twice_gives_the_same_weights() -> None:
    one, two = (Tagger.train(made(12, 1), TREE, options=Options(epochs=2, folds=0)) for _ in range(2))
    assert np.array_equal(one.weights.state, two.weights.state) and np.array_equal(
        one.weights.between, two.weights.between
    )


def test_the_best_tags_are_those_of_a_search_over_all() -> None:
    from medxiaohe.entity.tagging import crf

    rng, tags = np.random.default_rng(0), tags_of(["a", "b"])
    allowed, num = allowed_of(tags), len(tags)
    for length in (1, 2, 4):
        scores, between = rng.normal(size=(length, num)), rng.normal(size=(num, num))
        paths = [
            path for path in itertools.product(range(num), repeat=length)
            if allowed[num, path[0]] and allowed[path[-1], num] and all(allowed[a, b] for a,
            b in itertools.pairwise(path))
        ]  # fmt: skip
        value = {
            p: (
                sum(scores[t, y] for t, y in enumerate(p))
                + sum(between[a, b] for a, b in itertools.pairwise(p))
            )
            for p in paths
        }
        out = np.zeros(length, np.int64)
        crf.best(
            length, scores, between, allowed, np.zeros((length, num), np.int64), np.zeros((length, num)), out
        )
        assert tuple(out) == max(paths, key=value.__getitem__)
        z = np.array(list(value.values()))
        moves = np.where(allowed[:num, :num], np.exp(between), 0.0)
        alpha, beta, node = (np.zeros((length, num)) for _ in range(3))
        log_z = crf.posteriors(length, scores.copy(), moves, allowed, alpha, beta, np.zeros(length), node)
        assert log_z == pytest.approx(np.log(np.exp(z).sum()))
        first = {
            y: np.exp([v for p, v in value.items() if p[0] == y]).sum() / np.exp(z).sum() for y in range(num)
        }
        assert node[0] == pytest.approx([first[y] for y in range(num)])


def test_the_names_of_the_corpus_leave_out_the_text_they_are_asked_for() -> None:
    words = "rats with ataxia".split()
    names = CorpusNames.of([("1", words, [(2, 3, "disease")])])
    assert names.spans(words) == [(2, 3, "disease 3")]
    assert names.spans(words, without="1") == []
    again = CorpusNames.from_json(names.to_json())
    assert again.spans(words) == names.spans(words)


def test_a_longer_name_of_the_text_itself_does_not_hide_a_shorter_one_of_others() -> None:
    names = CorpusNames.of(
        [("1", ["renal", "failure"], [(0, 2, "disease")]), ("2", ["failure", "x"], [(0, 1, "disease")])]
    )
    assert names.spans(["renal", "failure"], without="1") == [(1, 2, "disease 3")]


def test_brackets_come_in_pairs() -> None:
    text = "heparin-induced thrombocytopenia (HIT) and CaCl(2) and (ataxia)"
    hit, salt, ataxia = text.index("(HIT"), text.index("CaCl"), text.index("(ataxia")
    found = in_pairs(
        text,
        [
            Tagged(0, hit + 4, "d", 1.0),
            Tagged(salt, salt + 6, "c", 1.0),
            Tagged(ataxia, ataxia + 7, "d", 1.0),
        ],
    )
    assert [text[s.start : s.end] for s in found] == [
        "heparin-induced thrombocytopenia (HIT)",
        "CaCl(2)",
        "(ataxia)",
    ]


def test_the_short_form_of_a_tagged_long_form_is_tagged_and_then_everywhere() -> None:
    text = "Ataxia telangiectasia (AT) is rare. AT is not AT-1."
    found = with_short_forms(text, [Tagged(0, 21, "disease", 0.9)])
    assert [text[s.start : s.end] for s in found] == ["Ataxia telangiectasia", "AT"]
    assert [text[s.start : s.end] for s in consistent(text, found)][:3] == [
        "Ataxia telangiectasia",
        "AT",
        "AT",
    ]


def test_a_surface_that_is_mostly_not_tagged_is_not_spread() -> None:
    text = "cold cold cold cold cold"
    assert len(consistent(text, [Tagged(0, 4, "disease", 0.9)])) == 1
    assert len(consistent(text, [Tagged(0, 4, "disease", 0.9), Tagged(5, 9, "disease", 0.9)])) == 5
    assert len(consistent(text, [Tagged(0, 4, "disease", 0.2), Tagged(5, 9, "disease", 0.2)])) == 2


def test_sentences_end_where_a_new_one_begins() -> None:
    words, starts, ends, bounds = tokens("Given 0.5 mg. Then p.o. doses.\nAbstract")
    assert [words[a] for a in bounds[:-1]] == ["Given", "Then", "Abstract"] and bounds[-1] == len(
        words
    ) == len(starts) == len(ends)


def test_a_text_without_marks_teaches_nothing() -> None:
    with pytest.raises(DataError, match="no marked mention"):
        Tagger.train([Document("1", "No marks.", ())])


def test_concepts_of_one_mention_are_told_apart() -> None:
    assert concept_ids("D012878+D009386|OMIM:114480") == ("MESH:D012878", "MESH:D009386", "OMIM:114480")
    assert concept_ids("-1") == concept_ids("") == ()


def test_no_text_is_in_training_and_in_test() -> None:
    with pytest.raises(DataError, match="made 0 0"):
        without_shared(made(3, 0), made(1, 0))
    with pytest.raises(DataError, match="another id"):
        without_shared(made(3, 0), [replace(made(1, 0)[0], id="another id")])
    without_shared(made(3, 0), made(3, 1))
    with pytest.raises(ConfigError, match="test split"):
        TaggerSettings(gold=(tagger.Corpus("pubtator", "x.txt"),), splits=("train", "test"))


def test_a_wrong_line_of_an_iob_file_costs_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tO\n\nb\tX-Cell\n\n" + iob.EXAMPLE["train.tsv"])
    dead, good = sorted(iob_tsv(tmp_path), key=lambda one: hasattr(one, "split"))
    assert "line 3" in dead.reason and good.split == "train"
    assert [m[2:4] for m in good.annotations.mentions] == [
        ("Chronic myeloid leukemia", "Cancer"),
        ("Purkinje cells", "Cell"),
    ]


def test_the_stage_trains_and_saves(tmp_path: Path) -> None:
    from medxiaohe import io
    from medxiaohe.entity.build import row

    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", map(row, TREE.entities.values()))
    reader = plugins.load("readers", "pubtator")
    lines = (
        "227508|t|Naloxone reverses clonidine.\n227508|a|Nausea and renal failure in"
        " rats.\n227508\t0\t8\tNaloxone\tChemical\tD009270\n"
    )
    (tmp_path / "trainset.txt").write_text(lines + "227508\t29\t35\tNausea\tDisease\tD009325\n")
    (tmp_path / "testset.txt").write_text(lines.replace("227508", "9") + "\n")
    assert len(list(reader(tmp_path))) == 2
    settings = TaggerSettings(
        gold=(tagger.Corpus("pubtator", str(tmp_path)),), options=Options(epochs=2, folds=0, least=1)
    )
    (tmp_path / "out").mkdir()
    summary = tagger.tagger(settings, tmp_path / "out", tree=tmp_path / "tree")
    # the test file is left alone
    assert summary["documents"] == 1 and summary["mentions"] == {"chemical": 1, "disease": 1}
    with pytest.raises(UsageError, match="with the rules"):
        Tagger.load(tmp_path / "out")
    loaded = Tagger.load(tmp_path / "out", Annotator.of(tmp_path / "tree").annotate_batch)
    assert loaded.spans("Naloxone reverses nausea.") and loaded.kinds == ("chemical", "disease")


@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="needs the data pack")
def test_thirty_abstracts_teach_more_than_half_of_ten_others() -> None:
    path = Path(os.environ["MEDXIAOHE_DATA"]) / "entity_gold/bc5cdr/CDR_TrainingSet.PubTator.txt"
    found = documents(itertools.islice(plugins.load("readers", "pubtator")(path), 40))
    trained = Tagger.train(found[:30], options=Options(folds=0))
    pairs = [({s[:3] for s in spans}, {(s.start, s.end, s.kind) for s in document.spans})
             for document, spans in zip(found[30:], trained.spans_batch([one.text for one in found[30:]]),
             strict=True)]  # fmt: skip
    right = sum(len(a & b) for a, b in pairs)
    assert 2 * right / sum(len(a) + len(b) for a, b in pairs) > 0.5


@pytest.mark.skipif("MEDXIAOHE_DATA" not in os.environ, reason="needs the data pack")
@pytest.mark.parametrize("name", ["tagger", "tagger_encoder"])
def test_the_shipped_recipes_are_sound(name: str) -> None:
    from medxiaohe.recipe.load import load

    stages = load(Path(__file__).parent.parent.parent / "recipes" / f"{name}.yaml").stages
    assert [stage.uses for stage in stages] == ["entity.build", "entity.tagger"]
    assert (stages[1].settings.options.encoder is not None) == (name == "tagger_encoder")
