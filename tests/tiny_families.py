# ruff: noqa: E501
"""Tiny random checkpoints of the real classes of every family, in hub layout, with the real chat templates.

`build("qwen3_vl", folder)` saves one; `NAMES` has them all, `TEXT_ONLY` those that read no images. Templates
are the copies that TRL ships. Weights are drawn wide, so that logits differ by far more than rounding.
"""

import functools
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny

from medxiaohe import torchvision_ops
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families

SPREAD = 0.15  # of the drawn weights
LANGUAGE: dict[str, Any] = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=4096, initializer_range=SPREAD,
)  # fmt: skip
TOWER: dict[str, Any] = dict(
    hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, initializer_range=SPREAD
)
CHATML_LIST = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# as the model card of llava-onevision-qwen2-0.5b-ov-hf prints it: images first, then the words
ONEVISION = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + part['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|>"
    " <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
TILES = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
    "<global-img>", *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
]  # fmt: skip


def template(name: str) -> str:
    """A chat template as TRL ships it."""
    spec = importlib.util.find_spec("trl")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def words(special: list[str], eos: str, pad: str, chat: str, **more: Any) -> Any:
    """A byte-level BPE with these special tokens; any text survives encode and decode."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400 + len(special), initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    bpe.train_from_iterator(tiny.TEXT.split("\n"), trainer)
    others = [token for token in special if token not in (eos, pad)]
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=eos, pad_token=pad, additional_special_tokens=others,
        chat_template=chat, model_max_length=4096, **more,
    )  # fmt: skip


def save(folder: Path, model: Any, processor: Any) -> None:
    tokenizer = getattr(processor, "tokenizer", processor)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.float().eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def _qwen(tokenizer: Any) -> dict[str, int]:
    number = tokenizer.convert_tokens_to_ids
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {f"vision_{side}_token_id": f"vision_{side}" for side in ("start", "end")}
    return {name: number(f"<|{token}|>") for name, token in names.items()}


def qwen2_5_vl(folder: Path) -> None:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    own = words(QWEN, "<|im_end|>", "<|endoftext|>", template("qwen2_5_vl"))
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}
    text = LANGUAGE | dict(vocab_size=len(own), rope_parameters=rope, eos_token_id=own.eos_token_id)
    vision = dict(
        depth=2, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=14,
        spatial_merge_size=2, temporal_patch_size=2, window_size=112, fullatt_block_indexes=[1],
        initializer_range=SPREAD,
    )  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen(own))
    pixels = Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    processor = Qwen2_5_VLProcessor(pixels, own, Qwen2VLVideoProcessor(), chat_template=own.chat_template)
    save(folder, Qwen2_5_VLForConditionalGeneration(config), processor)


def qwen3_vl(folder: Path) -> None:
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    own = words(QWEN, "<|im_end|>", "<|endoftext|>", template("qwen3_vl"))
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    text = LANGUAGE | dict(
        vocab_size=len(own), rope_parameters=rope, head_dim=8, num_hidden_layers=3, eos_token_id=own.eos_token_id
    )  # fmt: skip
    vision = dict(
        depth=3, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=16,
        spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=64, deepstack_visual_indexes=[0, 1],
        initializer_range=SPREAD,
    )  # fmt: skip
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen(own))
    pixels = Qwen2VLImageProcessor(
        patch_size=16, size={"shortest_edge": 64 * 64, "longest_edge": 128 * 128},
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    processor = Qwen3VLProcessor(pixels, own, Qwen3VLVideoProcessor(), chat_template=own.chat_template)
    save(folder, Qwen3VLForConditionalGeneration(config), processor)


GEMMA = (
    "<pad> <eos> <bos> <unk> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image> <image_soft_token>"
)


def gemma3(folder: Path) -> None:
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    names = {
        "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>",
    }  # fmt: skip
    # the tokenizer of gemma-3-4b-it names <end_of_turn> in generation_config.json alone
    own = words(
        GEMMA.split(), "<eos>", "<pad>", template("gemma3"), bos_token="<bos>", extra_special_tokens=names, **names
    )  # fmt: skip
    number = own.convert_tokens_to_ids
    text = LANGUAGE | dict(
        vocab_size=len(own), head_dim=8, sliding_window=48, query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention"], pad_token_id=number("<pad>"),
        eos_token_id=number("<eos>"), bos_token_id=number("<bos>"),
    )  # fmt: skip
    config = Gemma3Config(
        text_config=text, vision_config=TOWER | dict(image_size=56, patch_size=14), mm_tokens_per_image=16,
        boi_token_index=number("<start_of_image>"), eoi_token_index=number("<end_of_image>"),
        image_token_index=number("<image_soft_token>"), initializer_range=SPREAD,
    )  # fmt: skip
    pixels = Gemma3ImageProcessor(size={"height": 56, "width": 56})
    model = Gemma3ForConditionalGeneration(config)
    # a new projector is all zeros: the images would change nothing
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=SPREAD)
    processor = Gemma3Processor(pixels, own, chat_template=own.chat_template, image_seq_length=16)
    save(folder, model, processor)
    model.generation_config.eos_token_id = [number("<eos>"), number("<end_of_turn>")]
    model.generation_config.save_pretrained(folder)


def _tiled(own: Any) -> dict[str, Any]:
    """Settings that Idefics3 and SmolVLM share."""
    pad = own.pad_token_id
    return dict(
        text_config=LANGUAGE | dict(model_type="llama", vocab_size=len(own), pad_token_id=pad),
        vision_config=TOWER | dict(image_size=64, patch_size=16), scale_factor=2, pad_token_id=pad,
        image_token_id=own.convert_tokens_to_ids("<image>"),
    )  # fmt: skip


TILE_SIZES: dict[str, Any] = dict(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})


def idefics3(folder: Path) -> None:
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    own = words(TILES, "<end_of_utterance>", "<|im_end|>", template("idefics3"), bos_token="<|im_start|>")
    pixels = Idefics3ImageProcessor(**TILE_SIZES)
    processor = Idefics3Processor(pixels, own, image_seq_len=4, chat_template=own.chat_template)
    save(folder, Idefics3ForConditionalGeneration(Idefics3Config(**_tiled(own))), processor)


def smolvlm(folder: Path) -> None:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    names = {
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
    }  # fmt: skip
    own = words(
        TILES, "<end_of_utterance>", "<|im_end|>", template("smolvlm"), bos_token="<|im_start|>",
        extra_special_tokens=names,
    )  # fmt: skip
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(**TILE_SIZES), own, SmolVLMVideoProcessor(**TILE_SIZES), image_seq_len=4,
        chat_template=own.chat_template,
    )  # fmt: skip
    save(folder, SmolVLMForConditionalGeneration(SmolVLMConfig(**_tiled(own))), processor)


def internvl(folder: Path) -> None:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    special = "<|endoftext|> <|im_start|> <|im_end|> <img> </img> <IMG_CONTEXT> <video>".split()
    names = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    chat = CHATML_LIST.replace("IMAGE", "<IMG_CONTEXT>\n")
    own = words(special, "<|im_end|>", "<|endoftext|>", chat, extra_special_tokens=names)
    config = InternVLConfig(
        text_config=LANGUAGE | dict(model_type="qwen2", vocab_size=len(own), eos_token_id=own.eos_token_id),
        vision_config=TOWER | dict(image_size=[56, 56], patch_size=[14, 14]), image_seq_length=4,
        image_token_id=own.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )  # fmt: skip
    side = {"height": 56, "width": 56}
    pixels = GotOcr2ImageProcessor(size=side, min_patches=1, max_patches=4, crop_to_patches=True)
    processor = InternVLProcessor(
        pixels, own, InternVLVideoProcessor(size=side), image_seq_length=4, chat_template=own.chat_template
    )
    save(folder, InternVLForConditionalGeneration(config), processor)


def llava_onevision(folder: Path) -> None:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    special = "<|endoftext|> <|im_start|> <|im_end|> <image> <video>".split()
    own = words(special, "<|im_end|>", "<|endoftext|>", ONEVISION)
    grid = [[56, 56], [56, 112], [112, 56], [112, 112]]
    config = LlavaOnevisionConfig(
        text_config=LANGUAGE | dict(model_type="qwen2", vocab_size=len(own), eos_token_id=own.eos_token_id),
        vision_config=TOWER | dict(model_type="siglip_vision_model", image_size=56, patch_size=14),
        image_token_id=own.convert_tokens_to_ids("<image>"), image_grid_pinpoints=grid,
        video_token_id=own.convert_tokens_to_ids("<video>"),
    )  # fmt: skip
    side = {"height": 56, "width": 56}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=side, image_grid_pinpoints=grid), own,
        LlavaOnevisionVideoProcessor(size=side), num_image_tokens=16, vision_feature_select_strategy="full",
        chat_template=own.chat_template,
    )  # fmt: skip
    save(folder, LlavaOnevisionForConditionalGeneration(config), processor)


def starter(folder: Path) -> None:
    tiny.build(folder)


def qwen3(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    own = words(QWEN, "<|im_end|>", "<|endoftext|>", template("qwen3"))
    config = Qwen3Config(**LANGUAGE, head_dim=8, vocab_size=len(own), eos_token_id=own.eos_token_id)
    save(folder, Qwen3ForCausalLM(config), own)


def llama(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    special = (
        "<|begin_of_text|> <|end_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|>"
        " <|python_tag|> <|finetune_right_pad_id|>"
    ).split()
    own = words(
        special, "<|eot_id|>", "<|finetune_right_pad_id|>", template("llama3_2"), bos_token="<|begin_of_text|>"
    )  # fmt: skip
    config = LlamaConfig(**LANGUAGE, vocab_size=len(own), eos_token_id=own.eos_token_id)
    save(folder, LlamaForCausalLM(config), own)


def gemma(folder: Path) -> None:
    from transformers import GemmaConfig, GemmaForCausalLM

    own = words(GEMMA.split()[:6], "<eos>", "<pad>", template("gemma"), bos_token="<bos>")
    config = GemmaConfig(
        **LANGUAGE, head_dim=8, vocab_size=len(own), eos_token_id=own.eos_token_id, pad_token_id=0
    )
    model = GemmaForCausalLM(config)
    save(folder, model, own)
    model.generation_config.eos_token_id = [own.eos_token_id, own.convert_tokens_to_ids("<end_of_turn>")]
    model.generation_config.save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "starter": starter, "qwen2_5_vl": qwen2_5_vl, "qwen3_vl": qwen3_vl, "gemma3": gemma3, "internvl": internvl,
    "smolvlm": smolvlm, "idefics3": idefics3, "llava_onevision": llava_onevision, "qwen3": qwen3,
    "llama": llama, "gemma": gemma,
}  # fmt: skip
TEXT_ONLY = ("qwen3", "llama", "gemma")
NAMES = tuple(BUILDERS)
SEES = tuple(name for name in NAMES if name not in TEXT_ONLY)
NEED_TORCHVISION = ("qwen2_5_vl", "qwen3_vl", "internvl", "smolvlm", "llava_onevision")


def missing(name: str) -> str:
    """The package that this machine lacks for a family, "" where none is missing."""
    wanted = [
        *(["torchvision"] if name in NEED_TORCHVISION else []),
        *(["num2words"] if name == "smolvlm" else []),
    ]
    return next((one for one in wanted if importlib.util.find_spec(one) is None), "")


@functools.cache
def build(name: str, folder: Path) -> Path:
    """Save the family's checkpoint in `folder`/`name`, the same weights every time, once a process."""
    import torch

    torchvision_ops.declare()
    torch.manual_seed(0)
    place = folder / name
    BUILDERS[name](place)
    return place


@dataclass(frozen=True)
class Family:
    """A loaded checkpoint of a family, as tests use it."""

    name: str
    folder: Path
    loaded: checkpoint.Loaded

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def processor(self) -> Any:
        return self.loaded.processor

    @property
    def is_blind(self) -> bool:
        return self.name in TEXT_ONLY

    @property
    def image_token(self) -> int | None:
        return families.of(self.processor).image_token_id(self.processor)

    @property
    def forward(self) -> set[str]:
        """Names of what the model reads."""
        return set(inspect.signature(self.model.forward).parameters)


@functools.cache
def load(name: str, folder: Path) -> Family:
    """The family's checkpoint, built and loaded once a process; who changes it loads it by itself."""
    place = build(name, folder)
    return Family(name, place, checkpoint.load(str(place)))
