"""A tiny vision-language model with random weights, built without a network: LLaVA, the shape of the starter
model."""

from pathlib import Path
from typing import Any

from medxiaohe import torchvision_ops
from medxiaohe.models.starter import CHAT_TEMPLATE

TEXT = """The patient is a 54 year old woman with fever, cough and dyspnea. Chest radiograph: no pleural effusion.
Question: what is the most likely diagnosis? A. pneumonia B. asthma C. heart failure D. pulmonary embolism Answer: A yes no
An image of the lung, heart, liver, kidney, brain and bone; a disease, a drug and a dose in milligrams per day."""  # noqa: E501
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<pad>"]
SIDE, PATCH = 32, 8  # 16 image tokens


def build(
    folder: Path,
    seed: int = 0,
    text_: str = TEXT,
    vocabulary: int = 400,
    hidden: int = 64,
    layers: int = 2,
    spread: float = 0.2,
) -> Path:
    """Save model, tokenizer and processor; `AutoModelForImageTextToText` and `AutoProcessor` load the
    folder."""
    torchvision_ops.declare()
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = tokenizer(text_, vocabulary)
    torch.manual_seed(seed)
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=spread,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=32,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_seq_length=(SIDE // PATCH) ** 2,
        tie_word_embeddings=True,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    model = LlavaForConditionalGeneration(config).float().eval()
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    pixels = CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE}, crop_size={"height": SIDE, "width": SIDE}, do_center_crop=False
    )
    processor = LlavaProcessor(
        image_processor=pixels,
        tokenizer=words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tokenizer(text: str = TEXT, vocabulary: int = 400) -> Any:
    """Byte-level BPE with every byte in its vocabulary: any text survives encode and decode."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        text.split("\n"),
        trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, special_tokens=SPECIAL),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        model_max_length=2048,
        chat_template=CHAT_TEMPLATE,
    )
