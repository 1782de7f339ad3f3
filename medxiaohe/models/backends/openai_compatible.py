"""Any server that speaks OpenAI chat completions: vLLM, SGLang, Ollama, llama.cpp, transformers serve, hosted
APIs.

The guard decides on every call where it may go, and the connection is made to what the guard returned:
no proxy of the environment, no redirect, no second reading of the address. Error messages name the host and
the status; never the key, the prompt, or the server's own words, which may repeat either.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.models import wire
from medxiaohe.privacy import guard, outgoing, post
from medxiaohe.types import Message, Tool

RETRIED = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0  # seconds, even when the server asks for more
CODES = (  # what an error may be called in a message; any other word of the server may quote the prompt
    "context_length_exceeded", "content_filter", "content_policy_violation", "insufficient_quota",
    "invalid_api_key",
    "invalid_request_error", "model_not_found", "rate_limit_exceeded",
)  # fmt: skip
HINTS = {
    400: "the model may not take images or tools, or the conversation is too long for it",
    404: "check url (it usually ends in /v1) and the name of the model",
    413: "the images are too large for it",
}


def openai_compatible(
    model: str,
    url: str = "",
    *,
    api_key_env: str = "",
    privacy: str = "local_only",
    max_new_tokens: int = 512,
    temperature: float = 0.0,
    seed: int = 0,
    timeout: float = 120.0,
    retries: int = 4,
    first_wait: float = 1.0,
    workers: int = 8,
    resolve: guard.Resolver = guard.system_resolver,
) -> OpenAICompatible:
    """The model called `model` at `url`, such as http://127.0.0.1:8000/v1.

    `api_key_env` names the environment variable that holds the key. `privacy` is one of the modes of
    `privacy.guard`; PrivacyError at once when the server is elsewhere and the mode keeps conversations here.
    In the mode `deid` a server elsewhere gets conversations redacted (`privacy.outgoing`).
    `timeout` is in seconds for one answer; `first_wait` is doubled at each of the `retries`.
    """
    if not url:
        raise ConfigError(
            "the backend openai_compatible needs the option url, such as http://127.0.0.1:8000/v1"
        )
    server = OpenAICompatible(
        model,
        url,
        api_key_env,
        privacy,
        max_new_tokens,
        temperature,
        seed,
        timeout,
        retries,
        first_wait,
        workers,
        resolve,
    )
    server.destination()
    server.headers()
    return server


@dataclass(frozen=True)
class OpenAICompatible:
    name: str
    url: str
    api_key_env: str
    privacy: str
    max_new_tokens: int
    temperature: float
    seed: int
    timeout: float
    retries: int
    first_wait: float
    workers: int
    resolve: Callable[[str], Sequence[str]]

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        found = dict(pair for group in self.replies(conversations, tools) for pair in group)
        return [found[i] for i in range(len(conversations))]

    def replies(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()
    ) -> Iterator[list[tuple[int, Message]]]:
        """The same replies as they come, each with the index of its conversation."""
        with ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(conversations)))) as pool:
            asked = {pool.submit(self._reply, messages, tools): i for i, messages in enumerate(conversations)}
            try:
                for done in as_completed(asked):
                    yield [(asked[done], done.result())]
            finally:
                for one in asked:
                    one.cancel()

    def with_seed(self, seed: int) -> OpenAICompatible:
        return replace(self, seed=seed)

    def _reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Message:
        if not self.destination().local and self.privacy == "deid":  # before a pixel is read
            messages = outgoing.cleaned(messages, self._what())
        body = {
            "model": self.name,
            "messages": wire.conversation(messages),
            "max_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            **({"tools": wire.schemas(tools)} if tools else {}),
        }
        answer = self._ask(json.dumps(body, ensure_ascii=False).encode())
        try:
            return wire.reply_from_json(json.loads(answer)["choices"][0]["message"], messages)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            why = (
                str(error) if isinstance(error, DataError) else "the answer is not a chat completion in JSON"
            )
            raise ModelError(
                f"{self._who()} answered 200, but {why}: is it an OpenAI-compatible server?"
            ) from None

    def _ask(self, body: bytes) -> bytes:
        """The body of the answer with status 200; waits and asks again while that may help."""
        problem = ""
        for attempt in range(self.retries + 1):
            wait = self.first_wait * 2**attempt
            try:
                status, answer, asked_wait = post.post(
                    self.destination(), "/chat/completions", body, self.headers(), self.timeout
                )
            except post.TooLarge as error:
                raise ModelError(f"{self._who()} {error}") from None
            except post.FAULTS as error:
                problem = (
                    f"did not answer within {self.timeout:g} s"
                    if isinstance(error, TimeoutError)
                    else "could not be reached"
                )
                if isinstance(error, post.WrongCertificate):
                    raise ModelError(
                        f"{self._who()} has a certificate that is not valid for it: nothing was sent"
                    ) from None
            else:
                if status == 200:
                    return answer
                problem = f"answered {status}{_code(answer)}"
                if status not in RETRIED:
                    raise ModelError(f"{self._who()} {problem}: {self._hint(status)}")
                wait = max(wait, asked_wait)
            if attempt < self.retries:
                time.sleep(min(wait, LONGEST_WAIT))
        raise ModelError(
            f"{self._who()} {problem}, {self.retries + 1} times: check that it runs, or raise timeout or"
            " retries"
        )

    def destination(self) -> guard.Destination:
        deidentified = self.privacy == "deid"  # `_reply` sends only what `outgoing` made of it
        return guard.check(self.url, self.privacy, deidentified, self._what(), self.resolve)

    def _what(self) -> str:
        return f"the conversation for the model {self.name!r}"

    def headers(self) -> dict[str, str]:
        """Read when they are needed, so that the key is in no object that could be printed."""
        fixed = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if not self.api_key_env:
            return fixed
        key = os.environ.get(self.api_key_env, "").strip()
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigError(
                f"the environment variable {self.api_key_env} holds no key: export {self.api_key_env}=..."
            )
        return {**fixed, "Authorization": f"Bearer {key}"}

    def _who(self) -> str:
        return f"the model server {self.destination().authority}"

    def _hint(self, status: int) -> str:
        if status in (401, 403):
            return (
                f"check the key in {self.api_key_env}"
                if self.api_key_env
                else "it wants a key: name its variable in api_key_env"
            )
        if 300 <= status < 400:
            return "a redirect is not followed: give the final address as url"
        return HINTS.get(status, "see the log of that server")


def _code(answer: bytes) -> str:
    try:
        error = json.loads(answer)["error"]
        return next(f" ({code})" for code in (error.get("code"), error.get("type")) if code in CODES)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        return ""
