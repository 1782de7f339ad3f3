"""Texts as the encoder of a tagger reads them: windows of whole sentences, in pieces of words, with the codes
of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tagging import texts as t

if TYPE_CHECKING:
    import numpy as np

CHANNELS = (t.DISEASE, t.PHENOTYPE, t.CHEMICAL, t.ANATOMY, t.GENE, t.CORPUS, t.SHORT, t.BRACKETS, t.RULES)
NUM_CODES = 1 << 14  # rows of the tables of codes; 0 says nothing
WINDOW, LONGEST_WORD = 400, 12  # pieces read at once (whole sentences), pieces of one word


class Window(NamedTuple):
    """Whole sentences of one text as the encoder reads them."""

    pieces: list[int]
    words: list[int]  # of each piece: the token of the text, -1 for marks of begin and end
    text: int


def windows_of(texts: Sequence[t.Text], tokenizer: Any) -> list[Window]:
    """As many whole sentences of a text as fit; a longer sentence is cut, and what is cut off is read by the
    CRF alone."""
    found = []
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    for number, text in enumerate(texts):
        if not text.words:
            continue
        split = tokenizer(text.words, is_split_into_words=True, add_special_tokens=False)
        pieces: list[list[int]] = [[] for _ in text.words]
        for piece, word in zip(split["input_ids"], split.word_ids(), strict=True):
            if len(pieces[word]) < LONGEST_WORD:
                pieces[word].append(piece)
        room, ids, words = WINDOW, list[int](), list[int]()
        for first, last in zip(text.bounds, text.bounds[1:], strict=False):
            long = sum(map(len, pieces[first:last]))
            if words and len(ids) + long > room:
                found.append(Window([begin, *ids[:room], end], [-1, *words[:room], -1], number))
                ids, words = [], []
            for word in range(first, last):
                ids += pieces[word]
                words += [word] * len(pieces[word])
        if words:
            found.append(Window([begin, *ids[:room], end], [-1, *words[:room], -1], number))
    return found


def codes_of(texts: Sequence[t.Text]) -> np.ndarray:
    """(tokens, CHANNELS and the shape) int64: a row of the tables each, 0 where nothing is said."""
    import numpy as np

    places = np.concatenate([np.zeros((0, len(t.PLACE)), np.uint64), *(text.place for text in texts)])
    said = places[:, [channel - f.NUM_WORD_CHANNELS for channel in CHANNELS]]
    shapes = {word: f.code(f"shape {f.squeezed(f.shape(word))[:6]}") for text in texts for word in text.words}
    said = np.column_stack(
        [said, np.array([shapes[word] for text in texts for word in text.words], np.uint64)]
    )
    return np.where(said == 0, 0, 1 + (said % np.uint64(NUM_CODES - 1)).astype(np.int64))


def first_tokens(texts: Sequence[t.Text]) -> np.ndarray:
    """(texts + 1,): where the tokens of each begin."""
    import numpy as np

    return np.concatenate([[0], np.cumsum([len(text.words) for text in texts])]).astype(np.int64)


def steps(windows: Sequence[Window], pieces: int, rng: Any = None) -> list[list[int]]:
    """Windows of like length together, about `pieces` a time; with `rng` shuffled."""
    order = list(range(len(windows))) if rng is None else rng.permutation(len(windows)).tolist()
    order.sort(key=lambda number: len(windows[number].pieces) // 40)
    made, longest = [list[int]()], 0
    for number in order:
        longest = max(longest, len(windows[number].pieces))
        if made[-1] and longest * (len(made[-1]) + 1) > pieces:
            made.append([])
            longest = len(windows[number].pieces)
        made[-1].append(number)
    if rng is not None:
        rng.shuffle(made)
    return [step for step in made if step]


def batch(
    windows: Sequence[Window], codes: np.ndarray, first: np.ndarray
) -> tuple[tuple[Any, ...], np.ndarray]:
    """Tensors of a step, and which tokens of all texts its rows are.

    pieces, mask (windows, length); codes of the piece's token (windows, length, channels); joins: (piece,
    row) of each piece that belongs to a token; codes of the rows' tokens (rows, channels).
    """
    import numpy as np
    import torch

    length = max(len(window.pieces) for window in windows)
    pieces, mask = (np.zeros((len(windows), length), np.int64) for _ in range(2))
    of_pieces = np.zeros((len(windows), length, codes.shape[1]), np.int64)
    joins, places = list[np.ndarray](), list[np.ndarray]()
    rows = 0
    for number, window in enumerate(windows):
        words = np.array(window.words)
        inside = np.flatnonzero(words >= 0)
        tokens, which = np.unique(words[inside], return_inverse=True)
        pieces[number, : len(words)], mask[number, : len(words)] = window.pieces, 1
        of_pieces[number, inside] = codes[first[window.text] + words[inside]]
        joins.append(np.stack([number * length + inside, rows + which]))
        places.append(first[window.text] + tokens)
        rows += len(tokens)
    place = np.concatenate(places)
    tensors = (pieces, mask, of_pieces, np.concatenate(joins, axis=1), codes[place])
    return tuple(torch.from_numpy(one) for one in tensors), place
