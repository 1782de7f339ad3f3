"""Texts as the encoder of a tagger reads them: windows of whole sentences, in word pieces, with the codes of
their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tagging import texts as t

if TYPE_CHECKING:
    import numpy as np

CHANNELS = (t.DISEASE, t.PHENOTYPE, t.CHEMICAL, t.ANATOMY, t.GENE, t.CORPUS, t.SHORT, t.BRACKETS, t.RULES)
NUM_CODES = 1 << 14  # rows of the embedding tables of codes; row 0 is "no code"
WINDOW, LONGEST_WORD = 400, 12  # word pieces: of a window, and of one word at most


class Window(NamedTuple):
    """Whole sentences of one text as the encoder reads them."""

    pieces: list[int]
    words: list[int]  # of each piece: the token of the text, -1 for marks of begin and end
    text: int


def windows_of(texts: Sequence[t.Text], tokenizer: Any) -> list[Window]:
    """Cut texts into windows of whole sentences, of at most WINDOW word pieces.

    A longer sentence is cut, and the CRF alone reads what is cut off. Of a word at most LONGEST_WORD pieces
    are read.

    Args:
        texts: tokenised texts.
        tokenizer: fast tokenizer of the encoder.

    Returns:
        windows in the order of the texts, each with the marks of begin and end
    """
    result = []
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
                result.append(Window([begin, *ids[:room], end], [-1, *words[:room], -1], number))
                ids, words = [], []
            for word in range(first, last):
                ids += pieces[word]
                words += [word] * len(pieces[word])
        if words:
            result.append(Window([begin, *ids[:room], end], [-1, *words[:room], -1], number))
    return result


def codes_of(texts: Sequence[t.Text]) -> np.ndarray:
    """Rows of the embedding tables for the channels and the shape of each token.

    Returns:
        (tokens, len(CHANNELS) + 1) int64 below NUM_CODES; 0 where a channel says nothing
    """
    import numpy as np

    places = np.concatenate([np.zeros((0, len(t.PLACE)), np.uint64), *(text.place for text in texts)])
    codes = places[:, [channel - f.NUM_WORD_CHANNELS for channel in CHANNELS]]
    shapes = {word: f.code(f"shape {f.squeezed(f.shape(word))[:6]}") for text in texts for word in text.words}
    codes = np.column_stack(
        [codes, np.array([shapes[word] for text in texts for word in text.words], np.uint64)]
    )
    return np.where(codes == 0, 0, 1 + (codes % np.uint64(NUM_CODES - 1)).astype(np.int64))


def first_tokens(texts: Sequence[t.Text]) -> np.ndarray:
    """Offset of the first token of each text.

    Returns:
        (texts + 1,) int64; the last is the number of all tokens
    """
    import numpy as np

    return np.concatenate([[0], np.cumsum([len(text.words) for text in texts])]).astype(np.int64)


def steps(windows: Sequence[Window], pieces: int, rng: Any = None) -> list[list[int]]:
    """Group windows of similar length into batches.

    Args:
        windows: to group.
        pieces: largest number of pieces in a batch, padding included; a longer window is a batch alone.
        rng: numpy Generator that shuffles windows and batches; None keeps the order.

    Returns:
        indices of windows, a list for each batch
    """
    order = list(range(len(windows))) if rng is None else rng.permutation(len(windows)).tolist()
    # like lengths together, in steps of 40 pieces, so that little of a batch is padding
    order.sort(key=lambda number: len(windows[number].pieces) // 40)
    batches, longest = [list[int]()], 0
    for number in order:
        longest = max(longest, len(windows[number].pieces))
        if batches[-1] and longest * (len(batches[-1]) + 1) > pieces:
            batches.append([])
            longest = len(windows[number].pieces)
        batches[-1].append(number)
    if rng is not None:
        rng.shuffle(batches)
    return [step for step in batches if step]


def batch(
    windows: Sequence[Window], codes: np.ndarray, first: np.ndarray
) -> tuple[tuple[Any, ...], np.ndarray]:
    """Tensors of one batch.

    Args:
        windows: of this batch.
        codes: from `codes_of`, of all texts.
        first: from `first_tokens`, of all texts.

    Returns:
        (tensors, tokens). `tensors` are: pieces and mask (windows, length); codes of each piece's token
        (windows, length, channels); joins (2, pieces): piece and row of each piece that belongs to a token;
        codes of the rows' tokens (rows, channels). `tokens` (rows,) are the numbers of the rows' tokens among
        all texts
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
        # rows: one for each token that has a piece in this window
        tokens, row = np.unique(words[inside], return_inverse=True)
        pieces[number, : len(words)], mask[number, : len(words)] = window.pieces, 1
        of_pieces[number, inside] = codes[first[window.text] + words[inside]]
        joins.append(np.stack([number * length + inside, rows + row]))
        places.append(first[window.text] + tokens)
        rows += len(tokens)
    tokens_of_rows = np.concatenate(places)
    tensors = (pieces, mask, of_pieces, np.concatenate(joins, axis=1), codes[tokens_of_rows])
    return tuple(torch.from_numpy(array) for array in tensors), tokens_of_rows
