"""Client of servers with the OpenAI chat completions API: vLLM, SGLang, Ollama, llama.cpp, transformers
serve, hosted APIs.

The guard decides on every call where it may go, and the connection is made to what the guard returned:
no proxy of the environment, no redirect, no second reading of the address. Error messages name the host and
the status; never the key, the prompt, or the server's own words, which may repeat either.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from medxiaohe import io, permission
from medxiaohe.errors import ConfigError, DataError, ModelError, RequestRejected, ServerGone
from medxiaohe.io import bounded_json
from medxiaohe.models import wire
from medxiaohe.models.replies import Keep, Reply
from medxiaohe.privacy import guard, outgoing, post
from medxiaohe.types import Message, Tool

RETRIED = (408, 425, 429, 500, 502, 503, 504)
REFUSES_ALL = (401, 402)  # the key or the account: no other request can succeed
REFUSALS = 3  # of these, or redirects, before the first answer: then all are refused
LONGEST_WAIT = 60.0  # seconds, even when the server asks for more
CODES = (  # what an error may be called in a message; any other word of the server may quote the prompt
    "context_length_exceeded", "content_filter", "content_policy_violation", "insufficient_quota",
    "invalid_api_key",
    "invalid_request_error", "model_not_found", "rate_limit_exceeded",
)  # fmt: skip
MAX_CONTAINERS = 50_000  # lists and objects of an answer; brackets of its text count too
USAGE = ("prompt_tokens", "completion_tokens")
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
    `timeout` is in seconds for one answer, from connecting to its last byte; an answer that breaks off, is
    late, cannot be read as a chat completion, or has one of the statuses RETRIED is asked for again up to
    `retries` times, after `first_wait` seconds, doubled each time, or what Retry-After asks for where that
    is longer.

    Args:
        model: name of the model, as the server knows it.
        url: such as http://127.0.0.1:8000/v1.
        api_key_env: environment variable with the key; "": no key.
        privacy: mode of `privacy.guard`.
        max_new_tokens: tokens of a reply at most.
        temperature: 0 is greedy decoding.
        seed: of sampling.
        timeout: seconds for one request.
        retries: further tries of a failed request.
        first_wait: seconds before the first of these; doubled each time.
        workers: requests in flight.
        resolve: looks host names up; for tests.

    Returns:
        the server as a model

    Raises:
        ConfigError: there is no url.
        PrivacyError: the guard refuses the address.
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
    """Client of one model at one server; build it with `openai_compatible`."""

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
    # True once a request was answered, else False for each that was refused as all would be
    heard: list[bool] = field(default_factory=list, compare=False, repr=False)
    concurrent: ClassVar[bool] = True  # takes requests from several threads at once

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Answer a batch of conversations; the first failure raises and cancels the others.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.

        Returns:
            assistant messages

        Raises:
            ModelError: a request failed for good.
        """
        messages: dict[int, Message] = {}
        for group in self.outcomes(conversations, tools):
            for i, reply in group:
                if reply.message is None:
                    raise reply.error or ModelError(f"{self._who()} gave no reply")
                messages[i] = reply.message
        return [messages[i] for i in range(len(conversations))]

    def outcomes(
        self,
        conversations: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        keep: Keep = lambda group: None,
    ) -> Iterator[list[tuple[int, Reply]]]:
        """Request a reply or ModelError for each conversation, in groups as they come.

        `keep` is called with each result at once, in the thread of its request and before the next request
        of that thread. ServerGone is raised after the requests in flight have ended.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.
            keep: called with each group, to write a journal.

        Yields:
            groups of (index of the conversation, reply or error)

        Raises:
            ServerGone: no request can succeed.
        """

        def outcome(i: int) -> Reply:
            reply = self._outcome(conversations[i], tools, stop)
            keep([(i, reply)])
            return reply

        stop = threading.Event()
        if len(conversations) == 1:  # no thread of its own
            result = outcome(0)
            if isinstance(result.error, ServerGone):
                raise result.error
            yield [(0, result)]
            return
        done: queue.SimpleQueue[tuple[int, Future[Reply]]] = queue.SimpleQueue()
        end: BaseException | None = None
        with ThreadPoolExecutor(max_workers=max(1, min(self.workers, len(conversations)))) as pool:
            futures = [pool.submit(outcome, i) for i in range(len(conversations))]
            for i, future in enumerate(futures):
                future.add_done_callback(lambda future, i=i: done.put((i, future)))  # type: ignore[misc]
            try:
                left = len(futures)
                while left:
                    group = [done.get()]
                    while not done.empty():  # this is the only thread that takes from it
                        group.append(done.get())
                    left -= len(group)
                    ended = [(i, future) for i, future in group if not future.cancelled()]
                    end = end or next((e for _, future in ended if (e := _end(future)) is not None), None)
                    if end is not None and not stop.is_set():
                        stop.set()
                        for future in futures:
                            future.cancel()
                    if ready := [(i, future.result()) for i, future in ended if _end(future) is None]:
                        yield ready
            finally:
                stop.set()
                for future in futures:
                    future.cancel()
        if end is not None:
            raise end

    def with_seed(self, seed: int) -> OpenAICompatible:
        """Copy the backend with another sampling seed.

        Returns:
            the same server and settings.
        """
        return replace(self, seed=seed)

    def _outcome(self, messages: Sequence[Message], tools: Sequence[Tool], stop: threading.Event) -> Reply:
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
        began = time.monotonic()
        try:
            return self._ask(json.dumps(body, ensure_ascii=False).encode(), messages, stop)
        except ModelError as error:
            return Reply(error=error, began=began)

    def _ask(self, body: bytes, messages: Sequence[Message], stop: threading.Event) -> Reply:
        """Send a request until an answer can be used; waits and retries while that may help."""
        failure = ModelError("")
        for attempt in range(self.retries + 1):
            wait, times = self.first_wait * 2**attempt, f"{attempt + 1} times"
            try:
                status, answer, asked_wait = post.post(
                    self.destination(), "/chat/completions", body, self.headers(), self.timeout
                )
            except post.TooLarge as error:
                raise ModelError(f"{self._who()} {error}") from None
            except post.WrongCertificate:
                raise ServerGone(
                    f"{self._who()} has a certificate that is not valid for it: nothing was sent"
                ) from None
            except post.FAULTS as error:
                failure = self._fault(error, times)
            else:
                if status == 200:
                    try:
                        reply = _read(answer, messages)
                        if True not in self.heard:
                            self.heard.append(True)
                        return reply
                    except DataError as error:
                        failure = ModelError(
                            f"{self._who()} answered 200, but {error}, {times}: is it an OpenAI-compatible"
                            " server?"
                        )
                else:
                    failure = self._refusal(status, _code(answer), times)
                    if status not in RETRIED:
                        break
                    wait = max(wait, asked_wait)
            if attempt < self.retries and stop.wait(min(wait, LONGEST_WAIT)):
                break
        raise failure from None

    def _fault(self, error: BaseException, times: str) -> ModelError:
        hint = "check that it runs, or raise timeout or retries"
        if isinstance(error, post.NotReached):
            return ServerGone(f"{self._who()} could not be reached, {times}: {hint}")
        late = isinstance(error, TimeoutError)
        problem = f"did not answer within {self.timeout:g} s" if late else "broke off its answer"
        return ModelError(f"{self._who()} {problem}, {times}: {hint}")

    def _refusal(self, status: int, code: str, times: str) -> ModelError:
        problem = f"{self._who()} answered {status}{code}"
        kind: type[ModelError] = RequestRejected
        if status in RETRIED:
            kind = ServerGone if "insufficient_quota" in code else ModelError
            return kind(f"{problem}, {times}: check that it runs, or raise timeout or retries")
        if status in REFUSES_ALL or 300 <= status < 400:
            # one item's word does not end a run; many in a row do later on too (asking.Client)
            if True not in self.heard:
                self.heard.append(False)
            gone = True not in self.heard and len(self.heard) >= REFUSALS
            kind = ServerGone if gone else ModelError
        return kind(f"{problem}: {self._hint(status)}")

    def destination(self) -> guard.Destination:
        """Resolve the address of the server, if the privacy guard allows it.

        Returns:
            scheme, host, port and path, with the IP addresses to connect to.

        Raises:
            PrivacyError: the guard refuses the address.
        """
        deidentified = self.privacy == "deid"  # `_reply` sends only what `outgoing` made of it
        return guard.check(self.url, self.privacy, deidentified, self._what(), self.resolve)

    def _what(self) -> str:
        return f"the conversation for the model {self.name!r}"

    def headers(self) -> dict[str, str]:
        """Build the headers of a request. The key is read at each request, so that no object that could be
        printed holds it.

        Returns:
            headers of a request, with the key where one is set

        Raises:
            ConfigError: the environment variable has no key.
        """
        fixed = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if not self.api_key_env:
            return fixed
        permission.check_variable(self.api_key_env, "api_key_env", as_key=True)
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
                else "it needs a key: name its variable in api_key_env"
            )
        if 300 <= status < 400:
            return "a redirect is not followed: give the final address as url"
        return HINTS.get(status, "see the log of that server")


def _end(future: Future[Reply]) -> BaseException | None:
    """Decide what a finished request means for all others: the server is gone, or an image cannot be read."""
    if (failure := future.exception()) is not None:
        return failure
    error = future.result().error
    return error if isinstance(error, ServerGone) else None


def _read(answer: bytes, messages: Sequence[Message]) -> Reply:
    """Parse the reply in the body of an answer; DataError with the reason where there is none."""
    try:
        bounded_json.check(answer, MAX_CONTAINERS)
        body = json.loads(answer)
        message = wire.reply_from_json(body["choices"][0]["message"], messages)
        if problem := io.unwritable(message):
            raise DataError(problem)
        return Reply(message, None, *_usage(body))
    except DataError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise DataError("the answer is not a chat completion in JSON") from None


def _usage(body: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Read the token counts, where the server reports them."""
    usage = body.get("usage")
    counts = [usage.get(key) if isinstance(usage, dict) else None for key in USAGE]
    valid = [count if type(count) is int and count >= 0 else None for count in counts]
    return valid[0], valid[1]


def _code(answer: bytes) -> str:
    try:
        error = json.loads(answer)["error"]
        return next(f" ({code})" for code in (error.get("code"), error.get("type")) if code in CODES)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        return ""
