"""The weights of a tagger: which features count, how they are hashed, trained and used. Arrays in, arrays
out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe.entity.linking.index import kernels
from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tagging import texts as t
from medxiaohe.progress import track

if TYPE_CHECKING:
    import numpy as np

SMALLEST = 1e-4  # rows of weights below this are left out on saving: they change no tag


class Hashed(NamedTuple):
    hashes: np.ndarray  # uint64, of all tokens
    rows: np.ndarray  # where those of each token begin
    bounds: np.ndarray  # where each sentence begins, in tokens


@dataclass(frozen=True)
class Weights:
    keys: np.ndarray  # (features,) uint64: their hashes
    state: np.ndarray  # (features, tags) float32
    between: np.ndarray  # (tags, tags) float64: row before column
    table: np.ndarray  # hash table of keys

    @classmethod
    def of(cls, keys: np.ndarray, state: np.ndarray, between: np.ndarray) -> Weights:
        return cls(keys, state, between, _table(keys))

    def arrays(self) -> dict[str, np.ndarray]:
        import numpy as np

        kept = np.abs(self.state).max(1, initial=0) > SMALLEST
        return {"keys": self.keys[kept], "state": self.state[kept], "between": self.between}


def templates() -> list[list[tuple[int, int]]]:
    """Which channels at which offsets are one feature together."""
    near, far = f.NEAR, f.FAR
    disease, chemical, anatomy, corpus = t.DISEASE, t.CHEMICAL, t.ANATOMY, t.CORPUS
    names = (disease, t.PHENOTYPE, chemical, anatomy, t.GENE, corpus)
    one = [
        [(channel, offset)]
        for channel in (f.WORD, f.LEMMA, f.SHAPE, near, far)
        for offset in (-2, -1, 0, 1, 2)
    ]
    one += [[(f.WORD, 3)], [(f.WORD, -3)]]
    one += [
        [(channel, offset)]
        for channel in (f.SUFFIX3, f.SUFFIX4, f.CLASS, f.HEAD, *names)
        for offset in (-1, 0, 1)
    ]
    one += [
        [(channel, 0)]
        for channel in (f.FULL_SHAPE, f.SUFFIX2, f.EXACT, t.SHORT, t.LONG, t.JOINED, t.CHUNK, t.BRACKETS)
    ]
    one += [[(t.SHORT, 1)], [(t.SHORT, -1)], [(t.JOINED, 1)]]
    two = [
        [(channel, a), (channel, a + 1)]
        for channel in (f.WORD, f.LEMMA, f.SHAPE, near, far)
        for a in (-2, -1, 0, 1)
    ]
    two += [[(name, 0), (f.WORD, offset)] for name in (disease, chemical, corpus) for offset in (-1, 0, 1)]
    two += [[(disease, 0), (other, 0)] for other in (corpus, chemical, t.PHENOTYPE, anatomy)] + [
        [(chemical, 0), (corpus, 0)]
    ]
    two += [[(name, 0), (name, offset)] for name in (disease, corpus) for offset in (-1, 1)]
    two += [[(anatomy, 0), (channel, 1)] for channel in (f.LEMMA, f.HEAD, near)] + [
        [(f.SHAPE, 0), (t.JOINED, 0)]
    ]
    one += [[(t.RULES, offset)] for offset in (-1, 0, 1)]
    two += [[(t.RULES, 0), (t.RULES, offset)] for offset in (-1, 1)] + [[(t.RULES, 0), (corpus, 0)]]
    two += [[(t.RULES, 0), (f.WORD, offset)] for offset in (-1, 0, 1)]
    two += [[(channel, -1), (channel, 1)] for channel in (f.LEMMA, near)]
    three = [[(channel, -1), (channel, 0), (channel, 1)] for channel in (f.SHAPE, f.LEMMA, near)]
    three += [[(f.LEMMA, a), (f.LEMMA, a + 1), (f.LEMMA, a + 2)] for a in (-2, 0)]
    return one + two + three


def hashed(words: f.Words, texts: Sequence[t.Text]) -> Hashed:
    import numpy as np

    crf = _compiled()
    kinds = np.array([words.number(word) for text in texts for word in text.words], np.int64)
    of_words = np.array(words.channels, np.uint64).reshape(-1, f.NUM_WORD_CHANNELS)
    places = [text.place for text in texts] or [np.zeros((0, len(t.PLACE)), np.uint64)]
    channels = np.concatenate([of_words[kinds], np.concatenate(places)], axis=1)
    pointers = np.zeros(len(words.letters) + 1, np.int64)
    np.cumsum([len(one) for one in words.letters], out=pointers[1:])
    inner = np.concatenate([np.zeros(0, np.uint64), *words.letters])
    shapes = np.full((len(templates()), 6), -1, np.int64)
    for number, template in enumerate(templates()):
        shapes[number, : 2 * len(template)] = [value for pair in template for value in pair]
    rows = np.zeros(len(kinds) + 1, np.int64)
    out = np.empty(len(kinds) * len(shapes) + int(np.diff(pointers)[kinds].sum()), np.uint64)
    bounds, at, first = [0], 0, 0
    for text in texts:
        for begin, end in zip(text.bounds, text.bounds[1:], strict=False):
            at = crf.hashes(
                channels, first + begin, first + end, shapes, kinds, pointers, inner, out, rows, at
            )
            bounds.append(first + end)
        first += len(text.words)
    return Hashed(out[:at], rows, np.array(bounds, np.int64))


def fitted(
    words: f.Words, texts: Sequence[t.Text], gold: np.ndarray, allowed: np.ndarray, options: Any
) -> Weights:
    """Weights trained on texts whose tokens have the tags `gold`."""
    import numpy as np

    crf = _compiled()
    hashes, rows, bounds = hashed(words, texts)
    keys, counts = np.unique(hashes, return_counts=True)
    keys = keys[counts >= options.least]
    table = _table(keys)
    features = np.empty(len(hashes), np.int32)
    crf.numbers(table, keys, hashes, features)
    num_tags = len(allowed) - 1
    state, between = np.zeros((len(keys), num_tags), np.float32), np.zeros((num_tags, num_tags))
    buffers = _buffers(int(np.diff(bounds).max(initial=1)), num_tags)
    rng = np.random.default_rng(options.seed)
    order, step, scale = np.arange(len(bounds) - 1), 0, 1.0
    penalty = options.penalty / max(len(order), 1)
    for _ in track(range(options.epochs), f"tagger on {len(texts)} texts"):
        rng.shuffle(order)
        _, step, scale = crf.train(
            order, bounds, rows, features, gold, state, between, allowed, penalty, options.rate, step, scale,
            *buffers
        )  # fmt: skip
    state *= scale
    between *= scale
    return Weights(keys, state, between, table)


def decoded(
    weights: Weights,
    texts: Hashed,
    tags: Sequence[str],
    lean: Mapping[str, float],
    more: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The best tags (tokens,) and the marginals (tokens, tags); lean[kind] is added to the score of the tags
    of a kind, `more` (tokens, tags) to all."""
    import numpy as np

    hashes, rows, bounds = texts
    features = np.empty(len(hashes), np.int32)
    crf = _compiled()
    crf.numbers(weights.table, weights.keys, hashes, features)
    longest, num_tags = int(np.diff(bounds).max(initial=1)), len(tags)
    leans = np.array([lean.get(tag[2:], 0.0) for tag in tags])
    found, sure = np.zeros(len(rows) - 1, np.int64), np.zeros((len(rows) - 1, num_tags), np.float32)
    back, value = np.zeros((longest, num_tags), np.int64), np.zeros((longest, num_tags))
    buffers = _buffers(longest, num_tags)
    more = np.zeros((0, num_tags)) if more is None else more
    crf.decode(
        bounds,
        rows,
        features,
        weights.state,
        weights.between,
        allowed_of(tags),
        leans,
        more,
        *buffers,
        back,
        value,
        found,
        sure,
    )
    return found, sure


def allowed_of(tags: Sequence[str]) -> np.ndarray:
    """(K + 1, K + 1): whether a tag may come before another; the last row starts a sentence, the last column
    ends it."""
    import numpy as np

    every = [*tags, "O"]
    inside, follows = [tag[0] in "BI" for tag in every], [tag[0] in "IE" for tag in every]
    pairs = [
        [
            inside[a] == follows[b] and (not inside[a] or every[a][2:] == every[b][2:])
            for b in range(len(every))
        ]
        for a in range(len(every))
    ]
    return np.array(pairs)


def _table(keys: np.ndarray) -> np.ndarray:
    import numpy as np

    table = np.full(1 << max(4, (2 * len(keys)).bit_length()), -1, np.int32)
    _compiled().fill(table, keys)
    return table


def _buffers(longest: int, num_tags: int) -> tuple[np.ndarray, ...]:
    import numpy as np

    alpha, beta, node, scores = (np.zeros((longest, num_tags)) for _ in range(4))
    return scores, alpha, beta, np.zeros(longest), node, np.zeros((num_tags, num_tags))


def _compiled() -> Any:
    kernels()  # says what to install when numba is not there
    from medxiaohe.entity.tagging import crf

    return crf
