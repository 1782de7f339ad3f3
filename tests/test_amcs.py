"""AMCS (MX-14): entity/amcs.py against the formula written out, and `tree amcs` on files."""

import tracemalloc

import pytest

from medxiaohe.entity import amcs as module
from medxiaohe.entity.amcs import amcs
from medxiaohe.errors import DataError
from medxiaohe.models.embed import embedder

np = pytest.importorskip("numpy")

REFERENCE = ["renal failure", "asthma", "pneumonia", "heart attack", "scurvy"]
TREE = [*REFERENCE, "glucagonoma", "Nijmegen breakage syndrome", "ulnar deviation of the hand"]


def measured(a: list[str], b: list[str], **options: int) -> module.Amcs:
    encoder = embedder("ngrams")
    return amcs(a, b, encoder.encode(a), encoder.encode(b), encoder=encoder.name, **options)


def units(rows: int, columns: int, seed: int) -> "np.ndarray":
    made = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_a_set_inside_another_is_covered_whole_and_covers_it_less() -> None:
    result = measured(REFERENCE, TREE)
    assert result.forward.score == pytest.approx(1.0, abs=1e-5)
    assert result.forward.equal == 1.0
    assert result.backward.score < 0.95
    assert result.backward.equal == pytest.approx(len(REFERENCE) / len(TREE))
    assert {n.term for n in result.backward.farthest[:3]} == set(TREE) - set(REFERENCE)
    assert "n-grams" in result.encoder
    assert (result.forward.n, result.forward.of, result.forward.against) == (5, 5, 8)


def test_it_is_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = units(61, 24, 1), units(47, 24, 2)
    names_a, names_b = [f"a{i}" for i in range(61)], [f"b{i}" for i in range(47)]
    whole = a @ b.T
    for block in (4096, 7):  # the size of the blocks changes nothing
        monkeypatch.setattr(module, "BLOCK", block)
        result = amcs(names_a, names_b, a, b, encoder="random")
        assert result.forward.score == pytest.approx(whole.max(1).mean(), abs=1e-6)
        assert result.backward.score == pytest.approx(whole.max(0).mean(), abs=1e-6)
        worst = int(whole.max(1).argmin())
        assert result.forward.farthest[0].term == f"a{worst}"
        assert result.forward.farthest[0].nearest == f"b{int(whole[worst].argmax())}"
        assert result.forward.low < result.forward.score < result.forward.high
    assert amcs(names_b, names_a, b, a, encoder="random").forward.score == pytest.approx(result.backward.score)


def test_the_interval_holds_the_mean_of_the_population_about_95_times_in_100() -> None:
    population = np.random.default_rng(5).beta(8, 2, 100_000)
    held = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).choice(population, 150)
        low, high = module._interval(drawn, seed)
        held += low <= population.mean() <= high
    assert 180 <= held <= 199


def test_shuffled_vectors_are_the_floor() -> None:
    result = measured(REFERENCE, TREE)
    assert result.forward.control < 0.5 < result.forward.score
    same = units(300, 64, 3)
    alike = amcs([str(i) for i in range(300)], [str(i) for i in range(300)], same, same, encoder="random")
    other = amcs([str(i) for i in range(300)], [str(i) for i in range(300)], units(300, 64, 4), same, encoder="random")
    assert alike.forward.score == pytest.approx(1, abs=1e-5)
    assert alike.forward.control == pytest.approx(other.forward.score, abs=0.03)  # unrelated clouds of one shape


def test_a_sample_is_drawn_from_what_is_averaged_and_never_from_what_is_searched() -> None:
    result = measured(TREE, REFERENCE, sample=3, seed=4)
    assert (result.forward.n, result.forward.of, result.forward.against) == (3, 8, 5)
    assert (result.backward.n, result.backward.of, result.backward.against) == (3, 5, 8)
    assert result.backward.score == pytest.approx(1.0, abs=1e-5)
    assert result == measured(TREE, REFERENCE, sample=3, seed=4)
    assert result.forward != measured(TREE, REFERENCE, sample=3, seed=5).forward


def test_memory_does_not_follow_the_product_of_the_sizes() -> None:
    a, b = units(6000, 32, 1), units(24_000, 32, 2)  # all cosines would be 576 MB
    names = [str(i) for i in range(24_000)]
    tracemalloc.start()
    amcs(names[:6000], names, a, b, encoder="random")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 220e6


def test_empty_and_uneven_sets_are_refused() -> None:
    one = units(1, 4, 0)
    with pytest.raises(DataError, match="set A has no terms"):
        amcs([], ["b"], one[:0], one, encoder="x")
    with pytest.raises(DataError, match="2 terms and 1 vectors"):
        amcs(["a"], ["b", "c"], one, one, encoder="x")
