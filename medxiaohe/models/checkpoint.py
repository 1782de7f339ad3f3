"""Load and save checkpoints in Hugging Face layout: the starter, a local folder or a hub id; no pickles are
read or written.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ConfigError, MedError, MissingExtra, ModelError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.models import hub, render, starter, templates
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Thinking
from medxiaohe.models.text_only import TextProcessor

OPTIONAL = ("torchvision", "num2words", "timm", "sentencepiece", "tiktoken", "einops", "librosa", "av")


@dataclass(frozen=True)
class Loaded:
    """A loaded model, for training or inference, with the processor that renders for it."""

    model: Any
    processor: Any
    name: str


def load(
    name: str,
    device: str = "cpu",
    four_bit: bool = False,
    thinking: Thinking = "auto",
    master: bool = False,
    attn_implementation: str = "",
    device_map: str = "",
) -> Loaded:
    """Load a checkpoint, one that reads images or a language model that reads text only.

    Args:
        name: `starter`, a folder in hub layout, or a hub id such as Qwen/Qwen3-VL-4B-Instruct, with @REVISION
            where it is pinned.
        device: float32 on "cpu", bfloat16 on an accelerator.
        four_bit: the linear layers of the language model are NF4 of bitsandbytes (Dettmers et al. 2023),
            to be trained with LoRA.
        thinking: whether the chat template asks for thoughts; "auto" leaves it to the template.
        master: float32 on an accelerator too, for weights that are trained: steps of bfloat16 weights are
            lost in rounding.
        attn_implementation: eager, sdpa, flash_attention_2 ...; "": as transformers chooses.
        device_map: auto, balanced, sequential: layers are spread over all accelerators, and the memory of
            the machine where they are full; "": all of it on `device`.

    Returns:
        model in evaluation mode, its processor, and its name with the commit where it is of a hub.

    Raises:
        ConfigError: there is no such checkpoint.
        MissingExtra: its processor needs a package that is not installed.
        ModelError: its files ask for code of their own, or it cannot be loaded.
    """
    plugins.need("torch", "transformers", why=f"loading the model {name!r}")
    folder = resolve(name)
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    kind = _kind(folder, name)
    own = processor(name)  # before the weights, which may take minutes
    render.set_thinking(own, thinking)
    reader = AutoModelForCausalLM if isinstance(own, TextProcessor) else AutoModelForImageTextToText
    dtype = torch.float32 if device == "cpu" or master else torch.bfloat16
    options: dict[str, Any] = {"device_map": device_map} if device_map else {}
    options |= {"attn_implementation": attn_implementation} if attn_implementation else {}
    if four_bit:
        options |= {"quantization_config": _four_bit(dtype), "device_map": device_map or {"": device}}
    try:
        model = reader.from_pretrained(folder, dtype=dtype, use_safetensors=True, **options).eval()
        model = model if device_map else model.to(device)
    except ImportError as error:
        raise _missing(error, name) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the model {name!r}, a {kind}: {_short(error)}") from error
    families.of(own).prepare(model)
    loaded = Loaded(model, own, pinned(name))
    agree(loaded)
    return loaded


def agree(loaded: Loaded) -> None:
    """Check that every token of the tokenizer has an embedding in the model, and that both use the same image
    token.

    Special tokens that never occur in a text may have none: text-only Gemma 3 has an image token behind its
    last embedding.

    Args:
        loaded: a model with its processor.

    Raises:
        ModelError: the tokenizer has more tokens than the model, or another token for images.
    """
    rows, tokenizer = loaded.model.get_input_embeddings().weight.shape[0], loaded.processor.tokenizer
    image = families.of(loaded.processor).image_token_id(loaded.processor)
    needed = {image, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    highest = max(
        number for number in tokenizer.get_vocab().values() if number in needed or number not in special
    )
    if highest >= rows:
        raise ModelError(
            f"{loaded.name}: its tokenizer has token {highest} and the model {rows} embeddings, so they are"
            " not of one checkpoint: take both from the same one, or resize the model"
        )
    theirs = getattr(loaded.model.config, "image_token_id", None)
    if image is not None and theirs is not None and image != theirs:
        mismatch = f"an image is token {image} for its processor and {theirs} for the model"
        raise ModelError(f"{loaded.name}: {mismatch}: take both from one checkpoint")


def processor(name: str) -> Any:
    """Load the processor of a checkpoint; a TextProcessor for a language model.

    Args:
        name: starter, a folder in hub layout, or a hub id.

    Returns:
        a processor of transformers, or a TextProcessor

    Raises:
        ModelError: there is no such checkpoint, or it cannot be loaded.
    """
    plugins.need("torch", "transformers", why=f"reading with the processor of {name!r}")
    folder = resolve(name)
    templates.bound()
    from transformers import AutoProcessor, AutoTokenizer

    kind = _kind(folder, name)
    family = families.named(_processor_class(kind))
    plugins.need(*family.packages, why=f"the processor of {name!r}")
    try:
        if kind not in _readers_of_images():
            return _text_processor(AutoTokenizer.from_pretrained(folder), name)
        loaded = AutoProcessor.from_pretrained(
            folder, **({"backend": family.backend} if family.backend else {})
        )
    except ImportError as error:
        raise _missing(error, name) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the processor of {name!r}: {_short(error)}") from error
    if not hasattr(loaded, "image_processor"):
        raise ModelError(
            f"{name!r} came with a {type(loaded).__name__}, which knows no images: it needs a"
            " processor_config.json"
        )
    return loaded


def for_trainer(processor: Any) -> Any:
    """Select the object that a transformers Trainer takes as `processing_class`.

    Returns:
        the tokenizer of a text-only checkpoint, otherwise the processor itself.
    """
    return processor.tokenizer if isinstance(processor, TextProcessor) else processor


def _short(error: Exception) -> str:
    """The first sentence of a message, on one line."""
    return " ".join(str(error).split()).split(". ")[0][:300]


def _missing(error: ImportError, name: str) -> MedError:
    """The sentence for a package that transformers asks for by itself."""
    package = next((candidate for candidate in OPTIONAL if candidate in str(error)), "")
    if package and importlib.util.find_spec(package) is None:
        return MissingExtra(f"the model {name!r} needs {package}: pip install {package}")
    return ModelError(f"the model {name!r} needs a package that cannot be imported: {_short(error)}")


def _kind(folder: str, name: str) -> str:
    """The architecture, by the name that transformers has for it; ModelError for one that it does not
    know."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as text

    try:
        kind = str(AutoConfig.from_pretrained(folder).model_type)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"cannot load the model {name!r}: {_short(error)}") from error
    if kind not in text and kind not in _readers_of_images():
        raise ModelError(
            f"cannot load the model {name!r}: a {kind} neither answers in text nor reads images; take an"
            " image-text-to-text or a causal language model"
        )
    return kind


def _readers_of_images() -> frozenset[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return frozenset(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


def _processor_class(kind: str) -> str:
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    return str(PROCESSOR_MAPPING_NAMES.get(kind, ""))


def _four_bit(dtype: Any) -> Any:
    """Configure NF4 with double quantisation; vision modules and the output layer are not quantised."""
    plugins.need("bitsandbytes", why="quantize: 4bit")
    from transformers import BitsAndBytesConfig

    not_quantised = [
        rf".*{name}"
        for name in ("lm_head", "vision_tower", "vision_model", "visual", "projector", "connector", "merger")
    ]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=not_quantised,
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
    """Resolve the name of a model to a local folder; files of a hub id are downloaded.

    Args:
        name: "starter", a folder in hub layout, "ORG/NAME" or "ORG/NAME@REVISION", a commit, branch or tag.

    Returns:
        the path of the folder, without pickled weights or code that would be run.

    Raises:
        ConfigError: it is none of them.
        ModelError: the folder holds code or pickles, or the hub does not give the files.
    """
    if name == "starter":
        return str(starter.folder())
    path = Path(name).expanduser()
    if path.is_dir():
        refuse_code(path)
        return str(path)
    if not hub.is_id(name):
        raise ConfigError(
            f"no model {name!r}: it must be starter, an existing folder in hub layout, or a hub id like"
            " ORG/NAME or ORG/NAME@REVISION"
        )
    plugins.need("huggingface_hub", why=f"fetching {name!r}")
    folder = hub.snapshot(name).folder
    refuse_code(folder, weights=False)  # other programs may have fetched pickles too; they are not read
    return str(folder)


def pinned(name: str) -> str:
    """Pin the name of a checkpoint: a hub id gets the commit that it names today.

    Args:
        name: starter, a folder, or a hub id.

    Returns:
        the name; of a hub id ORG/NAME@COMMIT
    """
    if name == "starter" or Path(name).expanduser().is_dir() or not hub.is_id(name):
        return name
    return hub.snapshot(name).name


def save(loaded: Loaded, folder: Path) -> None:
    """Save a checkpoint: config, safetensors, processor, chat template.

    Args:
        loaded: a model with its processor.
        folder: where to write; it is created.
    """
    loaded.model.save_pretrained(folder)
    loaded.processor.save_pretrained(folder)
