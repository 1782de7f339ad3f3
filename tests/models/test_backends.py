"""Backends answer alike: a real model in this process, and the same model behind a real server process."""

import importlib.util
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import images, plugins
from medxiaohe.errors import ConfigError, MissingExtra, ModelError
from medxiaohe.models import render, wire
from medxiaohe.models.backends.openai_compatible import openai_compatible
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import ImageRef, Message, Tool, ToolCall, ToolResult

DOSE = Tool(
    "dose",
    "Dose of a drug.",
    {"type": "object", "properties": {"kilograms": {"type": "number"}}},
    lambda: ToolResult("", ()),
)
SECRET = "MRN 4711 Jane Miller"
QUESTIONS = [
    "Why?",
    "What is the most likely diagnosis?",
    "Is there fever?",
    "A",
    "cough " * 30,
    "世界",
    "Name a drug.",
    "yes or no",
]


def user(*parts: Any) -> list[Message]:
    return [Message("user", parts)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    pil = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("pictures")
    for i, color in enumerate(["red", "blue", "white"]):
        picture = pil.new("RGB", (40, 30), color)
        picture.putpixel((i, i), (0, 0, 0))
        picture.save(folder / f"{i}.png", pnginfo=None)
    return [images.ref(folder / f"{i}.png") for i in range(3)]


# ---- scripted ------------------------------------------------------------------------------------


def test_the_scripted_model_gives_its_replies_in_order_then_fails() -> None:
    model = scripted(answer=["A", "B"])
    assert [m.text for m in model.reply([user("1"), user("2")])] == ["A", "B"]
    assert [c[0].text for c in model.conversations] == ["1", "2"]
    with pytest.raises(ModelError, match="more often"):
        model.reply([user("3")])


def test_the_scripted_model_may_be_a_function_found_by_name() -> None:
    model = plugins.load("models", "scripted")(answer=lambda conversation: conversation[-1].text.upper())
    assert model.reply([user("ok")])[0].text == "OK"


# ---- tool calls ----------------------------------------------------------------------------------


def test_tool_calls_in_text_become_parts_and_broken_ones_stay_text() -> None:
    text = (
        'I look.\n<tool_call>\n{"name": "dose", "arguments": {"kilograms":'
        ' 70}}\n</tool_call>\n<tool_call>{"name": </tool_call>'
    )
    earlier = [Message("assistant", (ToolCall("call_0", "dose", {}),))]
    reply = wire.reply_from_text(text, earlier, [DOSE])
    assert reply.parts == (
        "I look.",
        ToolCall("call_1", "dose", {"kilograms": 70}),
        '<tool_call>{"name": </tool_call>',
    )


@pytest.mark.parametrize(
    "inside",
    ["[]", "7", "{}", '{"name": 1, "arguments": {}}', '{"name": "dose", "arguments": [1]}', "[" * 9999],
)
def test_what_is_no_call_stays_text(inside: str) -> None:
    text = f"<tool_call>{inside}</tool_call>"
    assert wire.reply_from_text(text, [], [DOSE]).parts == (text,)


def test_without_tools_nothing_is_a_call() -> None:
    text = '<tool_call>{"name": "dose", "arguments": {}}</tool_call>'
    assert wire.reply_from_text(text, [], []).parts == (text,)


def test_results_of_tools_and_their_images_are_told_to_a_server(pictures: list[ImageRef]) -> None:
    call, result = (
        ToolCall("c", "dose", {"kilograms": 70}),
        ToolResult("c", ("see", pictures[0]), error="half"),
    )
    asked, told, shown = wire.conversation([Message("assistant", ("Hm", call)), Message("tool", (result,))])
    assert asked["tool_calls"][0]["function"] == {"name": "dose", "arguments": '{"kilograms": 70}'}
    assert told == {"role": "tool", "tool_call_id": "c", "content": "see\nerror: half"}
    assert shown["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")


def test_an_image_travels_as_pixels_without_the_metadata_of_its_file(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("PatientName", SECRET)
    pil.new("RGB", (8, 8), "red").save(tmp_path / "x.png", pnginfo=info)
    import base64

    sent = base64.b64decode(wire.data_uri(ImageRef(str(tmp_path / "x.png"))).partition(",")[2])
    assert SECRET.encode() in (tmp_path / "x.png").read_bytes() and SECRET.encode() not in sent


# ---- transformers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tiny_vlm: Path) -> Any:
    return plugins.load("models", "transformers")(str(tiny_vlm), batch_size=4, max_new_tokens=8, device="cpu")


@pytest.fixture(scope="module")
def asked(pictures: list[ImageRef]) -> list[list[Message]]:
    """Conversations of many lengths, with no image, one, or two."""
    shown: list[list[Any]] = [[], [pictures[0]], [pictures[1]], [pictures[0], pictures[2]]]
    return [user(*shown[i % 4], text) for i, text in enumerate(QUESTIONS)]


def test_replies_are_the_same_in_any_company_and_every_time(local: Any, asked: list[list[Message]]) -> None:
    together = local.reply(asked)
    assert together == local.reply(asked)
    assert together == [local.reply([conversation])[0] for conversation in asked]
    assert together[::-1] == local.reply(asked[::-1])
    assert len({reply.text for reply in together}) == len(asked)


def test_a_reply_depends_on_the_pixels(local: Any, pictures: list[ImageRef]) -> None:
    red, blue = local.reply([user(pictures[0], "What?"), user(pictures[1], "What?")])
    assert red != blue


def test_a_reply_has_no_special_tokens_and_ends_at_the_end_of_the_turn(
    local: Any, asked: list[list[Message]]
) -> None:
    assert not any(
        mark in reply.text
        for reply in local.reply(asked)
        for mark in ("<|im_end|>", "<pad>", "<|endoftext|>")
    )


def test_no_conversations_no_replies(local: Any) -> None:
    assert local.reply([]) == []


def test_sampling_is_seeded(tiny_vlm: Path) -> None:
    def replies(seed: int) -> list[Message]:
        model = plugins.load("models", "transformers")(
            str(tiny_vlm), max_new_tokens=8, temperature=1.0, seed=seed, device="cpu"
        )
        return list(model.reply([user("Why?")] * 3))

    assert replies(1) == replies(1) != replies(2)
    assert len(set(replies(1))) > 1


def test_token_nats_are_those_of_the_model_whatever_the_batch(local: Any) -> None:
    import torch

    texts = [
        "fever and cough",
        "a",
        "",
        "The patient is a 54 year old woman. " * 40,
        "<image> is only text <|im_end|>",
    ]
    together, alone = local.token_nats(texts), [local.token_nats([text])[0] for text in texts]
    assert (
        [n for _, n in together] == [n for _, n in alone]
        and together[1:3] == [(0.0, 0), (0.0, 0)]
        and together[3][1] == 255
    )
    assert [nats for nats, _ in together] == pytest.approx([nats for nats, _ in alone], rel=1e-4)
    ids = local.processor.tokenizer(texts[0], return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        mean = float(local.model(input_ids=ids, labels=ids).loss)
    assert together[0][0] == pytest.approx(mean * (ids.shape[1] - 1), rel=1e-4)


def test_choice_nats_score_the_answer_alone(local: Any, pictures: list[ImageRef]) -> None:
    import torch

    question = [
        Message("user", ("Hm?",)),
        Message("assistant", ("Yes?",)),
        Message("user", (pictures[0], "What?")),
    ]
    ((heart, lung),) = local.choice_nats([question], [["heart failure", "pneumonia of the lung"]])
    given = render.render_prompt(question, local.processor)
    answer = local.processor.tokenizer("pneumonia of the lung<|im_end|>\n", add_special_tokens=False)[
        "input_ids"
    ]
    with torch.no_grad():
        logits = (
            local.model(input_ids=torch.tensor([[*given.tokens, *answer]]), **given.features)
            .logits[0]
            .log_softmax(-1)
        )
    by_hand = -sum(float(logits[len(given.tokens) - 1 + i, token]) for i, token in enumerate(answer))
    assert lung == pytest.approx(by_hand, rel=1e-4) and heart != lung


# ---- vLLM ----------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_message_has_the_command() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'medxiaohe\[vllm\]'"):
        plugins.load("models", "vllm")("ORG/NAME")


# ---- a server ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=30) as answer:
            return dict(json.load(answer))

    def requests(self, model: str) -> list[dict[str, Any]]:
        return [r for r in self.seen()["requests"] if r["model"] == model]


@pytest.fixture(scope="module")
def server(tiny_vlm: Path) -> Iterator[Server]:
    """A process of its own that serves the tiny model."""
    script = Path(__file__).parent.parent / "servers" / "openai_server.py"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), str(tiny_vlm)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            log.seek(0)
            assert line.startswith("port "), log.read()
            yield Server(int(line.split()[1]))
        finally:
            process.kill()
            process.wait()


def remote(server: Server, model: str, **options: Any) -> Any:
    return openai_compatible(
        model, server.url, **{"first_wait": 0.01, "retries": 2, "timeout": 60.0, **options}
    )


def failure(server: Server, model: str, **options: Any) -> str:
    """The message of the ModelError; it never has the prompt in it."""
    with pytest.raises(ModelError) as error:
        remote(server, model, **options).reply([user(SECRET)])
    message = str(error.value)
    assert f"127.0.0.1:{server.port}" in message and not any(
        word in message for word in ("Miller", "4711", "\n")
    )
    return message


def test_a_server_answers_as_the_same_model_here(
    server: Server, local: Any, asked: list[list[Message]]
) -> None:
    assert remote(server, "tiny").reply(asked) == local.reply(asked)
    request = server.requests("tiny")[0]
    assert (request["path"], request["temperature"], request["key"]) == ("/v1/chat/completions", 0.0, "")


def test_different_images_reach_the_server_as_different_bytes(
    server: Server, pictures: list[ImageRef]
) -> None:
    before = len(server.seen()["images"])
    corner = ImageRef(pictures[0].uri, pictures[0].sha256, box=(0, 0, 8, 8))
    replies = remote(server, "tiny", workers=1).reply(
        [user(p, "What?") for p in (pictures[0], pictures[1], corner, pictures[0])]
    )
    first, second, third, again = server.seen()["images"][before:]
    assert len({first, second, third}) == 3 and first == again
    assert replies[0] == replies[3] != replies[1]


def test_a_server_that_fails_twice_is_asked_again(server: Server) -> None:
    assert remote(server, "fails-twice").reply([user("Why?")])[0].text
    assert len(server.requests("fails-twice")) == 3


def test_an_answer_that_breaks_off_is_asked_for_again(server: Server) -> None:
    assert remote(server, "cut-off").reply([user("Why?")])[0].text


def test_a_server_that_keeps_failing_is_named_with_its_status(server: Server) -> None:
    assert "answered 503, 3 times" in failure(server, "always-503")


def test_a_key_is_sent_and_a_wrong_one_is_not_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cr3t-key")
    model = remote(server, "wants-key", api_key_env="SOME_API_KEY")
    assert model.reply([user("Why?")])[0].text and "s3cr3t" not in repr(model)
    monkeypatch.setenv("SOME_API_KEY", "wr0ng-key")
    message = failure(server, "wants-key", api_key_env="SOME_API_KEY")
    assert (
        "answered 401 (invalid_api_key): check the key in SOME_API_KEY" in message and "wr0ng" not in message
    )
    assert "name its variable in api_key_env" in failure(server, "wants-key")
    assert len(server.requests("wants-key")) == 3


@pytest.mark.parametrize("key", ["", "two words", "a\r\nX-Evil: 1", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_unseen(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", key)
    with pytest.raises(ConfigError, match="SOME_API_KEY holds no key") as error:
        remote(server, "tiny", api_key_env="SOME_API_KEY")
    assert not key or key not in str(error.value)


@pytest.mark.parametrize("model", ["not-json", "not-chat"])
def test_an_answer_that_is_no_chat_completion_is_an_error(server: Server, model: str) -> None:
    assert "is it an OpenAI-compatible server?" in failure(server, model)


@pytest.mark.parametrize("model", ["slow:1", "drips:1"])
def test_a_slow_server_is_given_up_on(server: Server, model: str) -> None:
    assert "did not answer within 0.5 s, 1 times" in failure(server, model, timeout=0.5, retries=0)


def test_a_redirect_is_not_followed(server: Server) -> None:
    assert "answered 307: a redirect is not followed" in failure(server, "redirects")
    assert server.seen()["elsewhere"] == []


def test_an_endless_answer_is_cut_off(server: Server) -> None:
    assert "sent over 8 MiB" in failure(server, "endless")


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    model = openai_compatible("m", "http://127.0.0.1:9/v1", retries=1, first_wait=0.01)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9 could not be reached, 2 times: check that it runs"):
        model.reply([user(SECRET)])


def test_a_proxy_of_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    assert remote(server, "tiny").reply([user("Why?")])[0].text


def test_tool_calls_of_a_server_become_parts_and_broken_ones_stay_text(server: Server) -> None:
    call, broken = remote(server, "calls").reply([user("Dose?")], [DOSE])[0].parts
    assert call == ToolCall("abc", "dose", {"kilograms": 70})
    assert isinstance(broken, str) and broken.startswith("<tool_call>")
    assert server.requests("calls")[0]["tools"][0]["function"]["parameters"] == DOSE.parameters
