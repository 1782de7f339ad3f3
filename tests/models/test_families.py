"""Every family is rendered, batched, asked and ranked as it is alone: tokens, pixels, logits and replies."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_families import Family

from medxiaohe.models.backends.transformers import Transformers
from medxiaohe.models.render import Rendered, batch, chat, render_prompt, render_turns
from medxiaohe.types import ImageRef, Message

torch = pytest.importorskip("torch")


def ask(*parts: Any) -> Message:
    return Message("user", parts)


def say(text: str) -> Message:
    return Message("assistant", (text,))


def talks(pictures: Sequence[ImageRef]) -> list[list[Message]]:
    """Conversations of every shape: text, one image of each shape, two in a turn, two turns with one each."""
    wide, tall, small = pictures
    return [
        [ask("Is it fever?"), say("Yes.")],
        [ask(wide, "Is it the lung?"), say("No, the heart.")],
        [ask("A dose", tall), say("A")],
        [ask(wide, small, "Which image shows a drug?"), say("B. asthma")],
        [ask(small, "What is it?"), say("A kidney."), ask(tall, "And this?"), say("A liver, per day.")],
    ]


def seen_by(one: Family, pictures: Sequence[ImageRef]) -> list[list[Message]]:
    """Those that a family can read: a model that reads text only has two of its own."""
    if not one.is_blind:
        return talks(pictures)
    return [*talks(pictures)[:1], [ask("Cough?"), say("No."), ask("And dyspnea, at day?"), say("Yes")]]


def logits(one: Family, rows: Sequence[Rendered], side: str = "right") -> list[Any]:
    """Of each row, logits at its tokens."""
    inputs = batch(rows, one.processor, side)
    inputs.pop("labels")
    with torch.no_grad():
        found = one.model(**inputs).logits
    kept = inputs["attention_mask"].bool()
    return [own[keep] for own, keep in zip(found, kept, strict=True)]


def test_a_batch_of_all_shapes_gives_each_row_the_logits_it_has_alone(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    rows = [row for talk in seen_by(family, pictures) for row in render_turns(talk, family.processor)]
    alone = [logits(family, [row])[0] for row in rows]
    for side in ("right", "left"):
        for own, together in zip(alone, logits(family, rows, side), strict=True):
            assert (own - together).abs().max() < 1e-4
    assert max(float(own.abs().max()) for own in alone) > 0.1  # not all the same


def test_pixels_change_what_is_said_of_them(family: Family, pictures: tuple[ImageRef, ...]) -> None:
    """Were they ignored, every other comparison would hold for nothing."""
    from medxiaohe.images import open_image

    if family.is_blind:
        pytest.skip("reads no images")
    for picture in pictures:
        asked = [ask(picture, "Is it the lung?")]
        seen = render_prompt(asked, family.processor)
        other = render_prompt(asked, family.processor, opener=lambda ref: open_image(ref).rotate(180))
        (one,), (two,) = logits(family, [seen]), logits(family, [other])
        assert seen.tokens == other.tokens and (one[-1] - two[-1]).abs().max() > 1e-3


def test_a_prompt_is_the_beginning_of_training_and_only_assistants_carry_loss(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    for talk in seen_by(family, pictures):
        *_, whole = render_turns(talk, family.processor)
        prompt = render_prompt(talk[:-1], family.processor)
        assert whole.tokens[: len(prompt.tokens)] == prompt.tokens and not any(prompt.mask)
        learnt = [token for token, keep in zip(whole.tokens, whole.mask, strict=True) if keep]
        text = family.processor.tokenizer.decode(learnt)
        written = [message.text for message in talk if message.role == "assistant"]
        assert written[-1] in text
        assert all(message.text not in text for message in talk if message.role == "user")
        assert family.image_token not in learnt


def test_every_image_has_as_many_tokens_as_features(family: Family, pictures: tuple[ImageRef, ...]) -> None:
    if family.is_blind:
        pytest.skip("reads no images")
    for talk in talks(pictures)[1:]:
        *_, row = render_turns(talk, family.processor)
        assert row.num_images == len([ref for message in talk for ref in message.images])
        with torch.no_grad():
            found = family.model.get_image_features(**row.features).pooler_output
        vectors = sum(part.reshape(-1, part.shape[-1]).shape[0] for part in found)
        assert row.tokens.count(family.image_token) == vectors > 0


def test_tokens_and_what_each_is_are_those_of_the_processor(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    """Ours is rendered piece by piece; a single turn is one call of the processor, which says the same."""
    from medxiaohe.images import open_image

    if family.is_blind:
        pytest.skip("reads no images")
    for talk in talks(pictures)[1:4]:
        text = family.processor.apply_chat_template(
            chat(talk[:1], family.processor), add_generation_prompt=True, tokenize=False
        )
        opened = [open_image(ref) for ref in talk[0].images]
        theirs = family.processor(text=[text], images=[opened], add_special_tokens=False, return_tensors="pt")
        row = render_prompt(talk[:1], family.processor)
        assert tuple(theirs["input_ids"][0].tolist()) == row.tokens
        ours = batch([row], family.processor)
        for name in set(theirs) - {"input_ids", "attention_mask"}:
            if name in ours:
                assert torch.equal(ours[name].float(), theirs[name].float()), name
            else:
                assert name not in family.forward, f"the model reads {name}, which the render left out"


def test_replies_to_a_batch_are_those_to_each_alone_in_any_order(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    """Greedy, so that one different logit shows; text after images finds nothing of them left in the
    model."""
    asked = [talk[:-1] for talk in seen_by(family, pictures)]
    together = Transformers(family.loaded, 16, 6, 0.0, 0).reply(asked)
    for order in (range(len(asked)), reversed(range(len(asked)))):
        single = Transformers(family.loaded, 1, 6, 0.0, 0)
        for i in order:
            assert single.reply([asked[i]]) == [together[i]]
    assert len({reply.text for reply in together}) > 1 or family.is_blind


def test_answers_are_ranked_by_the_likelihood_they_have_alone(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    asked = [talk[:-1] for talk in seen_by(family, pictures)]
    answers = ["A", "asthma", "heart failure"]
    found = Transformers(family.loaded, 4, 4, 0.0, 0).choice_nats(asked, [answers] * len(asked))
    for messages, nats in zip(asked, found, strict=True):
        given = len(render_prompt(messages, family.processor).tokens)
        for answer, value in zip(answers, nats, strict=True):
            *_, row = render_turns([*messages, say(answer)], family.processor)
            (own,) = logits(family, [row])
            labels = torch.tensor(row.tokens[given:])
            exact = torch.nn.functional.cross_entropy(own[given - 1 : -1], labels, reduction="sum")
            assert value == pytest.approx(float(exact), abs=2e-3)


def test_a_document_with_images_is_read_as_its_model_reads_images(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    words = (
        ("The lung.", "A drug and a dose.") if family.is_blind else ("The lung.", *pictures[:2], "A dose.")
    )
    (row,) = render_turns([Message("document", words)], family.processor)
    assert row.mask.count(False) == row.tokens.count(family.image_token)
    (alone,) = logits(family, [row])
    (other,) = render_turns([ask("Yes?"), say("No.")], family.processor)
    assert (logits(family, [other, row])[1] - alone).abs().max() < 1e-4


def test_tokens_are_counted_from_headers_as_they_are_rendered(
    family: Family, pictures: tuple[ImageRef, ...], tmp_path: Path
) -> None:
    """Of many shapes, boxes and several images in a turn; files without pixels will do."""
    from PIL import Image

    if family.is_blind:
        pytest.skip("reads no images")
    shapes = [(8, 300), (300, 8), (57, 57), (111, 113), (640, 200), (28, 28), (224, 224), (199, 801)]
    refs = [*pictures, replace(pictures[0], box=(10, 5, 110, 55))]
    for number, shape in enumerate(shapes):
        Image.new("RGB", shape).save(tmp_path / f"{number}.png")
        refs.append(ImageRef(str(tmp_path / f"{number}.png")))
    asked = [[ask(ref, "What is it?"), say("A")] for ref in refs]
    asked += [[ask(*refs[:3], "Which?"), say("B"), ask(refs[4], "And this?"), say("C")]]
    asked += [[Message("document", ("One.", refs[0], "Two.", refs[1]))]]
    for talk in asked:
        (counted,) = render_turns(talk, family.processor, None)
        (row,) = render_turns(talk, family.processor)
        assert (counted.tokens, counted.mask) == (row.tokens, row.mask)
        assert counted.num_images == row.num_images and not counted.features
    whole = Path(refs[0].uri).read_bytes()
    (tmp_path / "header.png").write_bytes(whole[:64])
    torn = ImageRef(str(tmp_path / "header.png"))
    (counted,) = render_turns([ask(torn, "What is it?"), say("A")], family.processor, None)
    assert counted.tokens == render_turns(asked[0], family.processor, None)[0].tokens
