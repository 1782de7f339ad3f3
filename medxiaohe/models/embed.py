"""Embed texts as vectors of length one, so that a dot product is their cosine.

    embedder("minilm").encode(["renal failure", "kidney failure"])      float32 (2, 384)
    embedder("ngrams").encode(...)                                      no weights, no torch: letters only
    embedder("e5").encode(["肾衰竭"], kind="query")                     a hundred languages

A result that rests on similarities names its embedder: `Embedder.name`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import assets, io, plugins
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.progress import Meter

if TYPE_CHECKING:
    import numpy as np

NAMES = ("minilm", "e5", "ngrams")
NGRAM_SIZES, NGRAM_DIM = (2, 3, 4), 1024
MAX_TOKENS = 256  # of all-MiniLM-L6-v2, as its own sentence_bert_config.json says
NGRAM_CHUNK = 4096  # texts hashed together
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio (Fibonacci hashing)


@dataclass(frozen=True)
class Embedder:
    """Embedder of texts; build it with `embedder`."""

    name: str  # printed with each similarity
    dim: int
    _encode: Callable[[Sequence[str], int, Callable[[int], None]], np.ndarray]
    prompts: Mapping[str, str] = field(default_factory=dict)  # kind -> what every text of it begins with
    weights: str = ""  # digest of its weights; "" where it has none

    def encode(self, texts: Sequence[str], batch_size: int = 128, kind: str = "") -> np.ndarray:
        """Embed texts.

        Args:
            texts: any number; one that occurs twice is encoded once.
            batch_size: texts that are encoded together; those of about one length, so that little is padded.
            kind: `query` or `document`, for an encoder that was trained with different prefixes ("query: ",
                "passage: "); "" for texts that are compared with each other.

        Returns:
            Rows of length one, float32 (len(texts), dim), in the order of the texts. The same list gives the
            same bytes.
        """
        import numpy as np

        prompt = self.prompts.get(kind, "")
        texts = [prompt + text for text in texts] if prompt else texts

        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}")
        unique = sorted(set(texts), key=lambda text: (len(text), text))
        if not unique:
            return np.zeros((0, self.dim), np.float32)
        meter = Meter(f"encode with {self.name}", len(unique))
        try:
            rows = self._encode(unique, batch_size, meter.advance)
        finally:
            meter.close()
        number = {text: i for i, text in enumerate(unique)}
        return rows[np.fromiter((number[text] for text in texts), np.int64, len(texts))]


def embedder(name: str = "minilm", device: str = "cpu") -> Embedder:
    """Open a text embedder: `minilm` (a package file, general English), `e5` (the same, a hundred languages),
    `ngrams` (hashed character n-grams), or a folder with a sentence encoder.

    A folder is in hub layout; its 1_Pooling/config.json says whether the first token or the mean is taken,
    the mean when there is none; its config_sentence_transformers.json what queries and documents begin with.

    Args:
        name: minilm, e5, ngrams, or a folder.
        device: of torch, such as cpu or cuda.

    Returns:
        an embedder whose vectors have length one

    Raises:
        ConfigError: there is no such encoder.
        ModelError: the encoder cannot be loaded.
    """
    if name == "ngrams":
        return Embedder(
            f"character n-grams of {'-'.join(map(str, NGRAM_SIZES))} hashed to {NGRAM_DIM}",
            NGRAM_DIM,
            _ngrams,
        )
    if name == "minilm":
        return _transformer(assets.folder("minilm"), "all-MiniLM-L6-v2", device)
    if name == "e5":
        return _transformer(assets.folder("e5_small"), "multilingual-e5-small", device)
    if Path(name).is_dir():
        refuse_code(Path(name))
        return _transformer(Path(name), Path(name).name, device)
    raise ConfigError(
        f"no embedder {name!r}{plugins.nearest(name, NAMES)}; or give a folder with a sentence encoder in hub"
        " layout"
    )


# ---- a transformer -------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def _transformer(folder: Path, name: str, device: str) -> Embedder:
    plugins.need("torch", "transformers", why=f"the embedder {name}")
    from transformers import AutoModel, AutoTokenizer

    try:
        model = AutoModel.from_pretrained(folder, use_safetensors=True).float().to(device).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"cannot load the embedder {folder}: {' '.join(str(error).split())[:300]}"
        ) from error
    pooling = folder / "1_Pooling" / "config.json"
    first = bool(pooling.is_file() and io.read_json(pooling).get("pooling_mode_cls_token"))
    limits = folder / "sentence_bert_config.json"
    longest = int(io.read_json(limits)["max_seq_length"]) if limits.is_file() else MAX_TOKENS
    encode = functools.partial(_encode_transformer, model, tokenizer, longest, first)
    pooled = f"{name}, {'first token' if first else 'mean pooling'}"
    return Embedder(pooled, int(model.config.hidden_size), encode, prompts(folder), weights_of(folder))


def weights_of(folder: Path) -> str:
    """Hash the weight files of a model folder, so that two models of one name are told apart.

    Args:
        folder: its `*.safetensors` are hashed, not those of folders below.

    Returns:
        a fingerprint over their SHA-256 digests, in the order of the file names.
    """
    return io.fingerprint([io.sha256(path) for path in sorted(folder.glob("*.safetensors"))])


def prompts(folder: Path) -> dict[str, str]:
    """Read the prefix of each kind of text from a sentence encoder's config (sentence-transformers); "" is
    its default.

    Args:
        folder: of a sentence encoder.

    Returns:
        kind of text, such as query -> its prefix
    """
    path = folder / "config_sentence_transformers.json"
    settings = io.read_json(path) if path.is_file() else {}
    prefixes = {kind: str(text) for kind, text in (settings.get("prompts") or {}).items()}
    return {**prefixes, "": prefixes.get(settings.get("default_prompt_name") or "", "")}


def _encode_transformer(
    model: Any,
    tokenizer: Any,
    longest: int,
    first: bool,
    texts: Sequence[str],
    batch_size: int,
    done: Callable[[int], None],
) -> np.ndarray:
    import numpy as np
    import torch

    rows = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            batch = tokenizer(
                list(texts[start : start + batch_size]),
                padding=True,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(model.device)
            hidden = model(**batch).last_hidden_state
            # pooling: the first token, or the mean over real tokens
            mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = hidden[:, 0] if first else (hidden * mask).sum(1) / mask.sum(1)
            # length one, so that a dot product is the cosine
            unit = torch.nn.functional.normalize(pooled.float(), dim=1)
            rows[start : start + len(unit)] = unit.cpu().numpy()
            done(len(unit))
    return rows


# ---- letters ---------------------------------------------------------------------------------------


def _ngrams(texts: Sequence[str], _batch_size: int, done: Callable[[int], None]) -> np.ndarray:
    """Count hashed character n-grams (n = 2, 3, 4) of lower-cased words, with signs (feature hashing,
    Weinberger 2009).
    """
    import numpy as np

    rows = np.empty((len(texts), NGRAM_DIM), np.float32)
    for start in range(0, len(texts), NGRAM_CHUNK):
        chunk = [f" {' '.join(text.lower().split())} " for text in texts[start : start + NGRAM_CHUNK]]
        # code points of all texts, one after the other
        letters = np.frombuffer("".join(chunk).encode("utf-32-le", "surrogatepass"), np.uint32).astype(
            np.uint64
        )
        # number of the text of each code point
        document = np.repeat(np.arange(len(chunk)), [len(text) for text in chunk])
        counts = np.zeros(len(chunk) * NGRAM_DIM)
        for size in NGRAM_SIZES:
            places = len(letters) - size + 1
            if places < 1:
                continue
            # hash of each n-gram: multiply and xor-shift, code point by code point
            hashed = np.full(places, size, np.uint64)
            for k in range(size):
                hashed = (hashed ^ letters[k : k + places]) * np.uint64(MULTIPLIER)
                hashed ^= hashed >> np.uint64(29)
            within = document[:places] == document[size - 1 :]  # n-grams across two texts do not count
            # column by the hash; its highest bit is the sign, so that collisions cancel on average
            column = document[:places] * NGRAM_DIM + (hashed % np.uint64(NGRAM_DIM)).astype(np.int64)
            sign = np.where(hashed >> np.uint64(63), 1.0, -1.0)
            counts += np.bincount(column[within], sign[within], len(counts))
        block = counts.reshape(len(chunk), NGRAM_DIM)
        # scale to length one
        length = np.linalg.norm(block, axis=1, keepdims=True)
        block[length[:, 0] == 0, 0] = 1.0  # a text without letters is a vector too
        rows[start : start + len(chunk)] = block / np.where(length == 0, 1.0, length)
        done(len(chunk))
    return rows
