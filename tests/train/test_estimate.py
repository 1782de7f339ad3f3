"""What the estimate says of a step of Lingshu's reinforcement learning with a model of 7 B."""

import pytest

from medxiaohe.train.loop import estimate
from medxiaohe.train.loop.estimate import PolicyStep, policy_memory

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
CARD = 141e9  # bytes of an H200


@pytest.fixture(scope="module")
def qwen_7b() -> object:
    """Qwen2.5-VL-7B-Instruct by its published configuration, on the meta device, all of it but the vision
    tower trained."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = dict(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28,
        num_attention_heads=28, num_key_value_heads=4,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    )  # fmt: skip
    vision = dict(depth=32, hidden_size=1280, intermediate_size=3420, num_heads=16, out_hidden_size=3584)
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    model.model.visual.requires_grad_(False)
    return model


def test_128_sequences_fit_one_card_in_passes_and_not_at_once(qwen_7b: object) -> None:
    """16 answers to each of 8 prompts, an image of a megapixel, answers of 2,048 tokens, KL."""
    assert 8.2e9 < sum(w.numel() for w in qwen_7b.parameters()) < 8.4e9  # type: ignore[attr-defined]

    def needed(sequences: int, optim: str, checkpointing: bool = True) -> estimate.Estimate:
        step = PolicyStep(sequences, 128, prompt=1600, completion=2048, images=1, reference=True)
        return policy_memory(qwen_7b, step, 2, checkpointing, optim)

    fits = needed(4, "adamw_8bit")
    assert fits.total < CARD, estimate.sentence("rl", fits, None, None)
    assert needed(128, "adamw_8bit").total > CARD, "all at once: activations of 467,000 positions"
    assert needed(4, "adamw_torch").total > CARD, "two float32 moments of 7.6 B weights take 61 GB"
    assert needed(4, "adamw_8bit", checkpointing=False).total > CARD
    # what is drawn together is held once for the whole step, and a step and drawing are never at one time
    assert fits.cache == 128 * (1600 + 2048) * 2 * 4 * 128 * 28 * 2
    step = fits.gradients + fits.casts + fits.activations + fits.logits
    assert fits.total == fits.weights + fits.optimizer + fits.reference + max(step, fits.cache)


def test_adapters_need_no_reference_and_no_moments_of_the_rest(qwen_7b: object) -> None:
    for weight in qwen_7b.parameters():  # type: ignore[attr-defined]
        weight.requires_grad_(False)
    found = policy_memory(qwen_7b, PolicyStep(4, 128, 1600, 2048), 2, True)
    assert found.reference == found.optimizer == found.gradients == found.casts == 0
    said = estimate.sentence("rl", found, None, 10 * estimate.GIB)
    assert "cache" in said and "casts" not in said and "raise gradient_accumulation_steps" in said
