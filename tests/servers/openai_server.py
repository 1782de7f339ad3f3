"""A real OpenAI-compatible server for tests: `python openai_server.py MODEL_FOLDER`, on a free port of
127.0.0.1.

It answers with the model of the folder and prints `port N` when it listens. The name of the model asked for
chooses how it behaves; GET /seen tells what arrived. It reads requests with code of its own, not with that of
the package. `served:FOLDER` answers with the model of another folder, and is offered the tools of the
request.
"""

import base64
import hashlib
import json
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from medxiaohe.models.backends.transformers import Transformers, transformers
from medxiaohe.types import ImageRef, Message, Tool, ToolCall, ToolResult

KEY = "s3cr3t-key"
MODEL = transformers(sys.argv[1], max_new_tokens=8, device="cpu")
SERVED: dict[str, Transformers] = {}
ADAPTERS: dict[str, Transformers] = {}  # name of an adapter -> its base model with it folded in
FOLDER = Path(tempfile.mkdtemp())
LOCK = Lock()
SEEN: dict[str, list] = {"requests": [], "images": [], "elsewhere": []}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        SEEN["elsewhere"] += [] if self.path == "/seen" else [self.path]
        self.answer(200, json.dumps(SEEN).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request["path"], request["key"] = self.path, self.headers.get("Authorization", "")
        with LOCK:
            SEEN["requests"].append(request)
            if self.path.endswith("_lora_adapter"):
                return self.adapter(request)
            if request["model"] in ADAPTERS:
                return self.policy(request)
            earlier = sum(r.get("model") == request["model"] for r in SEEN["requests"]) - 1
            how = request["model"].split(":")[0]
            getattr(self, how.replace("-", "_"), self.complete)(request, earlier)

    def fails_twice(self, request: dict, earlier: int) -> None:
        self.complete(request, 0) if earlier >= 2 else self.error(
            500 if earlier else 429, "the prompt was " + json.dumps(request)
        )

    def always_503(self, request: dict, earlier: int) -> None:
        self.error(503, json.dumps(request))

    def wants_key(self, request: dict, earlier: int) -> None:
        self.complete(request, 0) if request["key"] == f"Bearer {KEY}" else self.error(
            401, request["key"], "invalid_api_key"
        )

    def not_json(self, request: dict, earlier: int) -> None:
        self.answer(200, b'{"choices": [{"message": ' + json.dumps(request).encode())

    def not_chat(self, request: dict, earlier: int) -> None:
        self.answer(200, json.dumps({"choices": [{"message": {"content": 7, "request": request}}]}).encode())

    def cut_off(self, request: dict, earlier: int) -> None:
        if earlier:
            self.complete(request, 0)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices"')

    def slow(self, request: dict, earlier: int) -> None:
        time.sleep(2)
        self.complete(request, 0)

    def drips(self, request: dict, earlier: int) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(20):
            self.wfile.write(b" ")
            time.sleep(0.2)

    def redirects(self, request: dict, earlier: int) -> None:
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.end_headers()

    def endless(self, request: dict, earlier: int) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(200):
            self.wfile.write(b"x" * 2**20)

    def calls(self, request: dict, earlier: int) -> None:
        name = request["tools"][0]["function"]["name"]
        calls = [
            {"id": "abc", "type": "function", "function": {"name": name, "arguments": '{"kilograms": 70}'}}
        ]
        calls.append(
            {"id": "bad", "type": "function", "function": {"name": name, "arguments": '{"kilograms": '}}
        )
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        self.answer(
            200, json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
        )

    def judges(self, request: dict, earlier: int) -> None:
        """judges:LABEL gives this verdict on every id it is told."""
        told = "\n".join(p["text"] for m in request["messages"] for p in parts(m))
        ids = told.rpartition("Ids: ")[2].rstrip(".\n").split(", ")
        rows = [{"id": id, "why": "told to", "verdict": request["model"].partition(":")[2]} for id in ids]
        message = {"role": "assistant", "content": json.dumps({"verdicts": rows})}
        self.answer(200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

    def complete(self, request: dict, earlier: int) -> None:
        message = MODEL.reply(
            [[Message(m["role"], tuple(map(part, parts(m)))) for m in request["messages"]]]
        )[0]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": message.text},
            "finish_reason": "stop",
        }
        self.answer(200, json.dumps({"object": "chat.completion", "choices": [choice]}).encode())

    def served(self, request: dict, earlier: int) -> None:
        """The model of a folder renders with its own template and answers; calls go out as tool_calls."""
        folder = request["model"].partition(":")[2]
        if folder not in SERVED:
            SERVED.clear()  # one family after the other
            SERVED[folder] = transformers(folder, max_new_tokens=request["max_tokens"], device="cpu")
        offered = [row["function"] for row in request.get("tools", ())]
        tools = [
            Tool(row["name"], row["description"], row["parameters"], lambda **_: ToolResult("", ()))
            for row in offered
        ]
        (message,) = SERVED[folder].reply([list(map(whole_message, request["messages"]))], tools)
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.calls
        ]
        told = {"role": "assistant", "content": message.text, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": told, "finish_reason": "tool_calls" if calls else "stop"}
        self.answer(200, json.dumps({"object": "chat.completion", "choices": [choice]}).encode())

    def adapter(self, request: dict) -> None:
        """POST /v1/load_lora_adapter and /v1/unload_lora_adapter of vLLM."""
        from peft import PeftModel

        if self.path.endswith("unload_lora_adapter"):
            del ADAPTERS[request["lora_name"]]
            return self.answer(200, b"Success")
        folder = Path(request["lora_path"])
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        made = transformers(base, device="cpu")
        made.model = PeftModel.from_pretrained(made.model, str(folder)).merge_and_unload().eval()
        ADAPTERS[request["lora_name"]] = made
        self.answer(200, b"Success")

    def policy(self, request: dict) -> None:
        """A sampled answer with the tokens read and written and their log-likelihoods, as vLLM tells them."""
        import torch

        from medxiaohe.models.backends.transformers import generation
        from medxiaohe.models.checkpoint import Loaded
        from medxiaohe.models.render import batch, render_prompt

        made = ADAPTERS[request["model"]]
        prompt = render_prompt(list(map(whole_message, request["messages"])), made.processor)
        inputs = batch([prompt], made.processor, "left")
        inputs.pop("labels")
        loaded = Loaded(made.model, made.processor, "policy")
        settings = generation(loaded, request["max_tokens"], request["temperature"])
        torch.manual_seed(request["seed"])
        with torch.no_grad():
            out = made.model.generate(
                **inputs, generation_config=settings, output_logits=True, return_dict_in_generate=True
            )
        new = out.sequences[0, len(prompt.tokens) :].tolist()
        nats = torch.cat(out.logits).log_softmax(-1)
        content = [{"token": "", "logprob": float(nats[i, token])} for i, token in enumerate(new)]
        choice = {
            "message": {"role": "assistant", "content": made.processor.tokenizer.decode(new)},
            "token_ids": new,
            "logprobs": {"content": content},
        }
        told = {"prompt_token_ids": list(prompt.tokens), "choices": [choice]}
        self.answer(200, json.dumps(told).encode())

    def error(self, status: int, message: str, code: str = "") -> None:
        self.answer(status, json.dumps({"error": {"message": message, "code": code}}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def whole_message(row: dict) -> Message:
    """A message of any role, with calls and results."""
    if row["role"] == "tool":
        return Message("tool", (ToolResult(row["tool_call_id"], (row["content"],)),))
    said = tuple(map(part, parts(row))) if row["content"] else ()
    calls = [
        ToolCall(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in row.get("tool_calls", ())
    ]
    return Message(row["role"], (*said, *calls))


def parts(message: dict) -> list[dict]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def part(content: dict) -> str | ImageRef:
    if content["type"] == "text":
        return content["text"]
    head, _, data = content["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64", head
    pixels = base64.b64decode(data, validate=True)
    digest = hashlib.sha256(pixels).hexdigest()
    SEEN["images"].append(digest)
    (FOLDER / f"{digest}.png").write_bytes(pixels)
    return ImageRef(str(FOLDER / f"{digest}.png"), sha256=digest)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()
