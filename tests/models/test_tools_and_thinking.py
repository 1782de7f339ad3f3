"""Tools, calls, results and thoughts are seen by every family, in training as in rollouts; nothing is dropped
in silence."""

import json

import pytest
from tiny_families import Family

from medxiaohe.errors import DataError, ModelError
from medxiaohe.models import checkpoint, tool_prompt, wire
from medxiaohe.models.render import render_prompt, render_turns, set_thinking
from medxiaohe.models.turns import end_of_turn, render_next
from medxiaohe.types import ImageRef, Message, Tool, ToolCall, ToolResult

pytest.importorskip("torch")
SCHEMA = {"type": "object", "properties": {"image": {"type": "integer"}}, "required": ["image"]}
ZOOM = Tool("zoom", "Look closer at an image.", SCHEMA, lambda image: ToolResult("", ()))
NATIVE = ("starter", "qwen3_vl", "qwen3")  # templates that write tools and calls that we read


def asked(family: Family, pictures: tuple[ImageRef, ...]) -> tuple[Message, ...]:
    return (
        Message("system", ("You are a radiologist.",)),
        Message("user", (*(() if family.is_blind else pictures[:1]), "Is it the lung?")),
    )


def conversation(family: Family, pictures: tuple[ImageRef, ...]) -> tuple[Message, ...]:
    """A call, a result with an image of another shape, and the answer."""
    closer = ToolResult("call_0", ("Closer.", *(() if family.is_blind else pictures[1:2])))
    return (
        *asked(family, pictures),
        Message("assistant", ("I look closer.", ToolCall("call_0", "zoom", {"image": 1}))),
        Message("tool", (closer,)),
        Message("assistant", ("Yes, the lung.",)),
    )


def text(family: Family, tokens: tuple[int, ...]) -> str:
    return str(family.processor.tokenizer.decode(tokens))


def test_tools_reach_every_model(family: Family, pictures: tuple[ImageRef, ...]) -> None:
    seen = text(family, render_prompt(asked(family, pictures), family.processor, [ZOOM]).tokens)
    assert "Look closer at an image." in seen and "You are a radiologist." in seen
    assert (
        "<tool_call>" in seen or family.name == "starter"
    )  # whose template says no more than the signatures
    assert tool_prompt.writes_tools(family.processor) == (family.name in NATIVE)


def test_calls_are_trained_and_read_back_and_results_are_seen_with_their_images(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    talk = conversation(family, pictures)
    rows = render_turns(talk, family.processor, tools=[ZOOM])
    row = rows[-1]
    trained = [t for one in rows for t, keep in zip(one.tokens, one.mask, strict=True) if keep]
    learnt = text(family, tuple(trained))
    reply = wire.reply_from_text(learnt.split("</tool_call>")[0] + "</tool_call>", talk[:2], [ZOOM])
    assert reply.calls == (ToolCall("call_0", "zoom", {"image": 1}),) and "I look closer." in reply.text
    assert "Closer." in text(family, row.tokens) and "Closer." not in learnt and "Yes, the lung." in learnt
    assert row.num_images == (0 if family.is_blind else 2)
    assert (family.image_token in row.tokens) == (not family.is_blind)


def test_what_a_tool_answers_stands_in_a_rollout_as_in_training(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    """The prompt, the sampled call with its end, and what comes between are the first tokens of training."""
    talk = conversation(family, pictures)
    whole, *others = render_turns(talk, family.processor, tools=[ZOOM])
    if others:  # a call without a thought is written otherwise once it is answered
        with pytest.raises(DataError, match="rewrites earlier turns"):
            render_next(talk[:4], family.processor, [ZOOM])
        return
    prompt = render_prompt(talk[:2], family.processor, [ZOOM])
    called = render_turns(talk[:3], family.processor, tools=[ZOOM])[0]
    end = end_of_turn(family.processor)
    assert end is not None
    # what the policy samples: its turn up to the token that ends it
    last = len(called.tokens) - called.tokens[::-1].index(end)
    between = render_next(talk[:4], family.processor, [ZOOM])
    rollout = called.tokens[:last] + between.tokens
    assert whole.tokens[: len(rollout)] == rollout and rollout[: len(prompt.tokens)] == prompt.tokens
    assert render_prompt(talk[:4], family.processor, [ZOOM]).tokens == rollout
    not_ended = render_next(talk[:4], family.processor, [ZOOM], ended=False)
    assert not_ended.tokens == (end, *between.tokens)


def test_a_conversation_without_tools_is_as_the_template_writes_it(
    family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    seen = text(family, render_prompt(asked(family, pictures)[1:], family.processor).tokens)
    assert "tool" not in seen


def test_thoughts_are_asked_for_where_the_template_has_a_switch(family: Family) -> None:
    ask = [Message("user", ("Is it fever?",))]
    own = checkpoint.processor(str(family.folder))
    if family.name != "qwen3":
        with pytest.raises(ModelError, match="no switch for thoughts"):
            set_thinking(own, "off")
        assert render_prompt(ask, own).tokens == render_prompt(ask, family.processor).tokens
        return
    set_thinking(own, "off")
    off = own.tokenizer.decode(render_prompt(ask, own).tokens)
    assert off.endswith("<think>\n\n</think>\n\n")
    set_thinking(own, "on")
    assert own.tokenizer.decode(render_prompt(ask, own).tokens) == off.removesuffix("<think>\n\n</think>\n\n")


def test_a_template_that_drops_earlier_thoughts_is_trained_turn_by_turn(family: Family) -> None:
    def say(thought: str, answer: str) -> Message:
        return Message("assistant", (f"<think>\n{thought}\n</think>\n\n{answer}",))

    talk = [
        Message("user", ("Is it fever?",)), say("a cough", "Yes."),
        Message("user", ("And pain?",)), say("a drug", "No."),
    ]  # fmt: skip
    rows = render_turns(talk, family.processor)
    if family.name != "qwen3":
        assert len(rows) == 1
        return
    assert len(rows) == 2
    for row, end in zip(rows, (2, 4), strict=True):
        prompt = render_prompt(talk[: end - 1], family.processor)
        assert row.tokens[: len(prompt.tokens)] == prompt.tokens and not any(row.mask[: len(prompt.tokens)])
        assert all(row.mask[len(prompt.tokens) :])
    first, second = (text(family, row.tokens) for row in rows)
    assert "a cough" in first and "a cough" not in second and "Yes." in second and "a drug" in second


def test_arguments_of_a_call_survive_as_they_are(family: Family) -> None:
    arguments = {"query": 'a "quoted" <b>µg</b>\n\\line', "top": 3, "deep": {"x": [1.5, None, True]}}
    talk = [Message("user", ("Look.",)), Message("assistant", (ToolCall("call_0", "zoom", arguments),))]
    (row,) = render_turns(talk, family.processor, tools=[ZOOM])
    learnt = text(family, tuple(t for t, keep in zip(row.tokens, row.mask, strict=True) if keep))
    (call,) = wire.reply_from_text(learnt.split("</tool_call>")[0] + "</tool_call>", talk[:1], [ZOOM]).calls
    assert json.dumps(dict(call.arguments)) == json.dumps(arguments)


@pytest.mark.parametrize("form", ["rwr", "calls"])
def test_rollouts_are_the_rows_of_training_whatever_the_template_does_to_thoughts(
    form: str, family: Family, pictures: tuple[ImageRef, ...]
) -> None:
    """A thought, a request to a tool, its result, and the answer, sampled token by token as written here."""
    import torch

    from medxiaohe.train.rollouts.rollout import roll
    from medxiaohe.train.rollouts.talk import started
    from medxiaohe.types import Prompt

    look = Tool("search", "Search.", {"type": "object"}, lambda **_: ToolResult("", ("A heart.",)))
    call = '<tool_call>\n{"name": "search", "arguments": {"query": "lung"}}\n</tool_call>'
    turns = {
        "rwr": ["<think>a dose</think><query>lung</query>", "<think>a drug</think><answer>yes</answer>"],
        "calls": [f"<think>\na dose\n</think>\n\nI look.\n{call}", "<think>\na drug\n</think>\n\nYes."],
    }[form]
    if family.name == "qwen3":  # whose template writes thoughts in a form of its own
        turns = [
            t.replace("<think>a d", "<think>\na d").replace("</think><", "\n</think>\n\n<") for t in turns
        ]
    hello = render_turns([Message("user", ("x",)), Message("assistant", ("hello",))], family.processor)[0]
    written = text(family, tuple(t for t, keep in zip(hello.tokens, hello.mask, strict=True) if keep))
    blank = written.split("hello")[0] if "<think>" not in written else ""  # "Assistant:" wants a space
    said = iter(blank + turn for turn in turns)
    end = end_of_turn(family.processor)
    assert end is not None

    def generate(inputs: dict[str, torch.Tensor], _: tuple[str, ...]) -> torch.Tensor:
        tokens = family.processor.tokenizer(next(said), add_special_tokens=False)["input_ids"]
        new = torch.tensor([[*tokens, end]] * len(inputs["input_ids"]))
        return torch.cat([inputs["input_ids"], new], dim=1)

    talk = started(Prompt("p", asked(family, pictures)), [look], "allowed", form, 3)
    rows = roll([talk], family.processor, 8192, generate, frozenset({end}))
    trained = render_turns(talk.messages, family.processor, tools=talk.tools)
    assert next(said, None) is None and len(rows) == len(trained)
    for row, own in zip(rows, trained, strict=True):
        assert tuple(row.tokens) == own.tokens[: len(row.tokens)] and len(own.tokens) - len(row.tokens) <= 1
        mask = [False] * row.num_prompt + [bool(one) for one in row.mask]
        apart = [token for token, a, b in zip(row.tokens, mask, own.mask, strict=False) if a != b]
        assert not text(family, tuple(apart)).strip()  # a line's end behind a turn is the template's
