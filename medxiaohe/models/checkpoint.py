"""Checkpoints in Hugging Face layout: from the starter, a local folder or a hub id; saved without pickles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.models import starter
from medxiaohe.models.text_only import TextProcessor
from medxiaohe.privacy import guard


@dataclass(frozen=True)
class Loaded:
    """A model that can be trained or asked, with the processor that renders for it."""

    model: Any
    processor: Any
    name: str


def load(name: str, device: str = "cpu", blind: bool = False, four_bit: bool = False) -> Loaded:
    """The checkpoint `name`: `starter`, a folder in hub layout, or a hub id such as
    Qwen/Qwen3-VL-4B-Instruct.

    float32 on CPU, bfloat16 on an accelerator. With `blind`, a language model that reads no images will do.
    With `four_bit` the linear layers of the language model are NF4 of bitsandbytes (Dettmers et al. 2023), to
    be trained with LoRA. Raises ConfigError when there is no such checkpoint, ModelError when its files ask
    for code of their own or cannot be loaded.
    """
    plugins.need("torch", "transformers", why=f"loading the model {name!r}")
    place = resolve(name)
    starter.quiet()
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    options = {"quantization_config": _four_bit(dtype), "device_map": {"": device}} if four_bit else {}
    try:
        if blind and _reads_text_only(place):
            model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype).to(device).eval()
            return Loaded(model, _text_processor(AutoTokenizer.from_pretrained(place), name), name)
        model = AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, **options).to(device).eval()
        processor = AutoProcessor.from_pretrained(place)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the model {name!r}: {' '.join(str(error).split())[:300]}") from error
    if not hasattr(processor, "image_processor"):
        raise ModelError(
            f"{name!r} came with a {type(processor).__name__}, which knows no images: it needs a"
            " processor_config.json"
        )
    return Loaded(model, processor, name)


def _four_bit(dtype: Any) -> Any:
    """NF4 with double quantisation; what sees images, and the output layer, stay as they are."""
    plugins.need("bitsandbytes", why="quantize: 4bit")
    from transformers import BitsAndBytesConfig

    kept = [
        rf".*{name}"
        for name in ("lm_head", "vision_tower", "vision_model", "visual", "projector", "connector", "merger")
    ]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=kept,
    )


def _reads_text_only(place: str) -> bool:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    kind = AutoConfig.from_pretrained(place).model_type
    return (
        kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    )


def _text_processor(tokenizer: Any, name: str) -> TextProcessor:
    if not tokenizer.chat_template:
        raise ModelError(
            f"the language model {name!r} has no chat template, so how to ask it is unknown: add one to its"
            " tokenizer"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return TextProcessor(tokenizer, name)


def resolve(name: str) -> str:
    """A local folder for `starter` and for paths; a hub id is handed to huggingface_hub as it is."""
    if name == "starter":
        return str(starter.folder())
    place = Path(name).expanduser()
    if place.is_dir():
        refuse_code(place)
        return str(place)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ConfigError(
            f"no model {name!r}: it must be starter, an existing folder in hub layout, or a hub id like"
            " ORG/NAME"
        )
    guard.egress(name)
    return name


def refuse_code(folder: Path) -> None:
    """A checkpoint is data: one that ships Python, names code to run, or holds pickled weights is refused."""
    configs = (p for p in folder.glob("*.json") if p.name.endswith("config.json"))
    bad = [p.name for p in configs if "auto_map" in io.read_json(p)]
    bad += [p.name for p in folder.iterdir() if p.suffix in (".py", ".bin", ".pt", ".pth", ".pkl")]
    if bad:
        raise ModelError(
            f"{folder} holds code or pickles ({', '.join(sorted(bad))}): only safetensors and JSON are loaded"
        )


def save(loaded: Loaded, folder: Path) -> None:
    """Write the checkpoint: config, safetensors, processor, chat template."""
    loaded.model.save_pretrained(folder)
    loaded.processor.save_pretrained(folder)
