"""Weights of a tagger: feature templates, hashing, training and decoding. Arrays in, arrays out."""

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

SMALLEST = 1e-4  # features whose weights are all below this are not saved: they change no tag


class Hashed(NamedTuple):
    """Feature hashes of texts."""

    hashes: np.ndarray  # uint64, of all tokens
    rows: np.ndarray  # where those of each token begin
    bounds: np.ndarray  # where each sentence begins, in tokens


@dataclass(frozen=True)
class Weights:
    """Weights of a trained CRF."""

    keys: np.ndarray  # (features,) uint64: their hashes
    state: np.ndarray  # (features, tags) float32
    between: np.ndarray  # (tags, tags) float64: row before column
    table: np.ndarray  # hash table of keys

    @classmethod
    def of(cls, keys: np.ndarray, state: np.ndarray, between: np.ndarray) -> Weights:
        """Weights with the hash table of their keys.

        Args:
            keys: (features,) uint64 hashes, each once.
            state: (features, tags) float32.
            between: (tags, tags) float64.
        """
        return cls(keys, state, between, _table(keys))

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays to save, without features whose weights are all at most SMALLEST.

        Returns:
            keyword arguments of `of`
        """
        import numpy as np

        is_used = np.abs(self.state).max(1, initial=0) > SMALLEST
        return {"keys": self.keys[is_used], "state": self.state[is_used], "between": self.between}


def templates() -> list[list[tuple[int, int]]]:
    """Feature templates: which channels at which offsets form one feature.

    Returns:
        one to three (channel, offset) pairs each; the index of a template is part of the hash of its features
    """
    near, far = f.NEAR, f.FAR
    disease, chemical, anatomy, corpus = t.DISEASE, t.CHEMICAL, t.ANATOMY, t.CORPUS
    names = (disease, t.PHENOTYPE, chemical, anatomy, t.GENE, corpus)
    unigrams = [
        [(channel, offset)]
        for channel in (f.WORD, f.LEMMA, f.SHAPE, near, far)
        for offset in (-2, -1, 0, 1, 2)
    ]
    unigrams += [[(f.WORD, 3)], [(f.WORD, -3)]]
    unigrams += [
        [(channel, offset)]
        for channel in (f.SUFFIX3, f.SUFFIX4, f.CLASS, f.HEAD, *names)
        for offset in (-1, 0, 1)
    ]
    unigrams += [
        [(channel, 0)]
        for channel in (f.FULL_SHAPE, f.SUFFIX2, f.EXACT, t.SHORT, t.LONG, t.JOINED, t.CHUNK, t.BRACKETS)
    ]
    unigrams += [[(t.SHORT, 1)], [(t.SHORT, -1)], [(t.JOINED, 1)]]
    bigrams = [
        [(channel, a), (channel, a + 1)]
        for channel in (f.WORD, f.LEMMA, f.SHAPE, near, far)
        for a in (-2, -1, 0, 1)
    ]
    bigrams += [
        [(name, 0), (f.WORD, offset)] for name in (disease, chemical, corpus) for offset in (-1, 0, 1)
    ]
    bigrams += [[(disease, 0), (second, 0)] for second in (corpus, chemical, t.PHENOTYPE, anatomy)] + [
        [(chemical, 0), (corpus, 0)]
    ]
    bigrams += [[(name, 0), (name, offset)] for name in (disease, corpus) for offset in (-1, 1)]
    bigrams += [[(anatomy, 0), (channel, 1)] for channel in (f.LEMMA, f.HEAD, near)] + [
        [(f.SHAPE, 0), (t.JOINED, 0)]
    ]
    unigrams += [[(t.RULES, offset)] for offset in (-1, 0, 1)]
    bigrams += [[(t.RULES, 0), (t.RULES, offset)] for offset in (-1, 1)] + [[(t.RULES, 0), (corpus, 0)]]
    bigrams += [[(t.RULES, 0), (f.WORD, offset)] for offset in (-1, 0, 1)]
    bigrams += [[(channel, -1), (channel, 1)] for channel in (f.LEMMA, near)]
    trigrams = [[(channel, -1), (channel, 0), (channel, 1)] for channel in (f.SHAPE, f.LEMMA, near)]
    trigrams += [[(f.LEMMA, a), (f.LEMMA, a + 1), (f.LEMMA, a + 2)] for a in (-2, 0)]
    return unigrams + bigrams + trigrams


def hashed(words: f.Words, texts: Sequence[t.Text]) -> Hashed:
    """Feature hashes of texts.

    Args:
        words: features of words; new words are added.
        texts: tokenised texts with their codes.

    Returns:
        hashes of all tokens, and the bounds of tokens and sentences

    Raises:
        MissingExtra: numba is not installed.
    """
    import numpy as np

    crf = _compiled()
    kinds = np.array([words.number(word) for text in texts for word in text.words], np.int64)
    of_words = np.array(words.channels, np.uint64).reshape(-1, f.NUM_WORD_CHANNELS)
    places = [text.place for text in texts] or [np.zeros((0, len(t.PLACE)), np.uint64)]
    channels = np.concatenate([of_words[kinds], np.concatenate(places)], axis=1)
    pointers = np.zeros(len(words.letters) + 1, np.int64)
    np.cumsum([len(letters) for letters in words.letters], out=pointers[1:])
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
    """Train the weights of the CRF.

    Args:
        words: features of words.
        texts: training texts.
        gold: (tokens of all texts,) numbers of the right tags.
        allowed: (tags + 1, tags + 1) from `allowed_of`.
        options: `tagger.Options`: epochs, penalty, rate, least and seed.

    Returns:
        weights of the features that occur at least `options.least` times
    """
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
    # of the corpus, spread over the sentences: each step takes its part
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
    extra: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode texts: the best tags and the marginals of all tags.

    Args:
        weights: of the CRF.
        texts: hashed features.
        tags: "O" and "B kind", in the order of training.
        lean: kind -> what is added to the score of its tags, in nats.
        extra: (tokens, tags) added to the scores, in nats, for example by the encoder; None adds nothing.

    Returns:
        (tokens,) numbers of tags, and (tokens, tags) float32 marginal probabilities
    """
    import numpy as np

    hashes, rows, bounds = texts
    features = np.empty(len(hashes), np.int32)
    crf = _compiled()
    crf.numbers(weights.table, weights.keys, hashes, features)
    longest, num_tags = int(np.diff(bounds).max(initial=1)), len(tags)
    leans = np.array([lean.get(tag[2:], 0.0) for tag in tags])
    best, sure = np.zeros(len(rows) - 1, np.int64), np.zeros((len(rows) - 1, num_tags), np.float32)
    back, value = np.zeros((longest, num_tags), np.int64), np.zeros((longest, num_tags))
    buffers = _buffers(longest, num_tags)
    extra = np.zeros((0, num_tags)) if extra is None else extra
    crf.decode(
        bounds,
        rows,
        features,
        weights.state,
        weights.between,
        allowed_of(tags),
        leans,
        extra,
        *buffers,
        back,
        value,
        best,
        sure,
    )
    return best, sure


def allowed_of(tags: Sequence[str]) -> np.ndarray:
    """Transitions that the scheme BIES allows.

    Args:
        tags: "O" and "B kind", "I kind", "E kind", "S kind".

    Returns:
        (K + 1, K + 1) bool: whether the tag of the row may come before that of the column; the last row
        starts a sentence, the last column ends it
    """
    import numpy as np

    every = [*tags, "O"]
    # B and I must be followed by I or E of the same kind; I and E need such a tag before them
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
    kernels()  # raises MissingExtra without numba
    from medxiaohe.entity.tagging import crf

    return crf
