"""The starter model: a small real vision-language model from weights inside registry packages.

    language model   SmolLM2-135M-Instruct, dequantised from its Q4_1 GGUF (Apache-2.0)
    vision tower     DINOv2-small with registers (Apache-2.0), frozen in every shipped recipe
    projector        two layers, FRESH: untrained, and config.json says so
    architecture     LLaVA (`LlavaForConditionalGeneration`): plain transformers, no torchvision, no remote
                     code

An image is 84 x 84 pixels: 6 x 6 patches, one class token, four registers = 41 tokens. The result is a
standard checkpoint (`AutoModelForImageTextToText`, `AutoProcessor`, safetensors, chat template) in the
user's cache, published with the hash of every file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins

VERSION = "3"  # part of the folder name: bump it when what is built changes
PARTS = ("smollm2_135m_instruct", "dinov2_small_registers")  # package assets
IMAGE_SIZE = 84
PATCH = 14
EXTRA_TOKENS = 5  # the class token and four registers
IMAGE_TOKEN = "<image>"
# of config.json: the first training stage with images starts such a projector from its data
FRESH = "projector_is_fresh"
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
FEATURE_SCALE = 0.1  # of the projector's output, about the size of SmolLM2's token embeddings

CHAT_TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>system\\n# Tools\\n<tools>' }}{% for tool in tools %}{{ '\\n' + tool | tojson }}{% endfor %}\
{{ '\\n</tools><|im_end|>\\n' }}{% endif %}\
{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
{%- if message['content'] is string %}{{ message['content'] }}{% else %}\
{%- for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}\
{%- endif %}\
{%- for call in message['tool_calls'] or [] %}{% set call = call['function'] or call %}\
{{ '\\n<tool_call>\\n{"name": "' + call['name'] + '", "arguments": ' + call['arguments'] | tojson + '}\\n</tool_call>' }}{% endfor %}\
{{ '<|im_end|>\\n' }}{% endfor %}\
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""  # noqa: E501


def folder() -> Path:
    """Build the starter checkpoint on first use (about half a minute); later it is verified by hash.

    Returns:
        a folder in hub layout, in the cache

    Raises:
        MissingExtra: torch, transformers or gguf is not installed.
    """
    path = assets.cache_root() / "models" / f"starter-{VERSION}"
    plugins.need("torch", "transformers", "gguf", why="the starter model")
    with io.in_turn(path):  # a second process waits, then finds it built
        if (path / io.MANIFEST).exists():
            io.verify(path)
            return path
        with io.publish(path) as draft:
            model, processor = build()
            model.save_pretrained(draft)
            processor.save_pretrained(draft)
            io.write_json(draft / "provenance.json", provenance())
    return path


def build() -> tuple[Any, Any]:
    """Build the starter vision-language model and its processor in memory, with the same weights every time.

    Returns:
        (model in evaluation mode, float32; processor).

    Raises:
        MissingExtra: torch or transformers is not installed.
        AssetError: the weights could not be downloaded, or their hash is wrong.
    """
    plugins.need("torch", "transformers", why="the starter")
    import torch
    from transformers import AutoModel, AutoModelForCausalLM, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)  # the embedding of the image token and the projector are drawn at random
    language_folder = assets.folder("smollm2_135m_instruct")
    gguf = next(language_folder.rglob("*.gguf")).relative_to(language_folder).as_posix()
    language = AutoModelForCausalLM.from_pretrained(language_folder, gguf_file=gguf, dtype=torch.float32)
    vision = AutoModel.from_pretrained(
        assets.folder("dinov2_small_registers"), dtype=torch.float32, use_safetensors=True
    )
    processor = build_processor(language_folder, gguf)
    tokenizer = processor.tokenizer
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    language.config.vocab_size = len(tokenizer)
    if hasattr(language.config, "quantization_config"):
        del language.config.quantization_config  # the weights are float32 now
    config = LlavaConfig(
        vision_config=vision.config,
        text_config=language.config,
        image_token_id=processor.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=(IMAGE_SIZE // PATCH) ** 2 + EXTRA_TOKENS,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    setattr(config, FRESH, True)
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.model.vision_tower.load_state_dict(vision.state_dict())
    with torch.no_grad():  # a fresh projector that speaks at the volume of the token embeddings
        volume = model.model.language_model.embed_tokens.weight.std()
        model.model.multi_modal_projector.linear_2.weight.normal_(0.0, float(FEATURE_SCALE * volume))
    model.tie_weights()
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None
    )
    return model.eval(), processor


def build_processor(language_folder: Path, gguf: str) -> Any:
    """Build the processor: the language model's tokenizer with an image token, and images of 84 x 84 pixels.

    Args:
        language_folder: of the language model.
        gguf: name of its GGUF file, which has the tokenizer.

    Returns:
        a LlavaProcessor
    """
    from transformers import AutoTokenizer, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = AutoTokenizer.from_pretrained(language_folder, gguf_file=gguf)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    tokenizer.pad_token, tokenizer.eos_token = "<|endoftext|>", "<|im_end|>"
    square = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    pixels = CLIPImageProcessorPil(
        size=square, crop_size=square, do_center_crop=False, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD
    )
    return LlavaProcessor(
        pixels,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=EXTRA_TOKENS,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE_TOKEN,
    )


def provenance() -> dict[str, Any]:
    """Describe the origin of the starter's weights, for the model card.

    Returns:
        version, initialisation of the projector, and the asset (package, version, license) of each
        component.
    """
    parts = {name: assets.spec(name) for name in PARTS}
    return {"version": VERSION, "projector": "fresh, seed 0", **{k: io.to_json(v) for k, v in parts.items()}}
