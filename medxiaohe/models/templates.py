"""Render chat templates in a child process with limits: a template is a program that came with a model.

The sandbox of Jinja keeps a template from files and modules, not from loops without end or texts that double.
So every template that transformers renders in this process, for a tokenizer or a processor, is rendered by a
child that may use SECONDS of processor time a text and MEMORY_MIB more than it starts with. The child runs
transformers' own code for it, without the rest of transformers, and gets and gives JSON.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

from medxiaohe import threads
from medxiaohe.errors import ModelError

SECONDS, MEMORY_MIB = 1.0, 100
KILL_SECONDS = 3  # for what no signal handler interrupts, such as one long multiplication
WAIT_SECONDS, START_SECONDS = 30.0, 120.0  # of the clock: other processes may have the processor
MAX_TEMPLATE = 2**20  # characters; the longest of the hub has 30,000
MAX_TEXT = 32 * 2**20  # bytes of a rendered text
_lock = threading.Lock()
_children: dict[int, _Child] = {}


def _fresh_lock() -> None:
    """Replace the lock in a forked process, in which no thread would release it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_fresh_lock)


def bound() -> None:
    """Patch transformers so that this process renders chat templates within limits of time and memory.

    A second call changes nothing. A template that is too long, too slow or too large then raises ModelError.
    """
    from transformers.utils import chat_template_utils as utils

    plain: Any = utils._compile_jinja_template
    if not hasattr(plain, "bounded"):

        @functools.wraps(plain)
        def compiled(chat_template: str) -> _Template:
            if len(chat_template) > MAX_TEMPLATE:
                raise ModelError(f"the chat template has more than {MAX_TEMPLATE:,} characters")
            return _Template(chat_template, plain)

        compiled.bounded = True  # type: ignore[attr-defined]
        utils._compile_jinja_template = compiled  # type: ignore[assignment]


class _Template:
    """The interface of a compiled template that transformers uses; the text is compiled in the child only,
    since compiling folds constants.
    """

    def __init__(self, text: str, plain: Any) -> None:
        self._text, self._plain = text, plain

    @property
    def environment(self) -> Any:
        """The Jinja environment, which transformers reads.

        Returns:
            that of an empty template.
        """
        return self._plain("").environment

    def render(self, **values: Any) -> str:
        """Render the template in the child process.

        Args:
            values: variables of the template, as JSON data.

        Returns:
            the text.

        Raises:
            ModelError: it needs more than SECONDS, MEMORY_MIB or MAX_TEXT.
            jinja2.TemplateError: the template is wrong, or refuses the conversation.
        """
        return render(self._text, values)

    def generate(self, **_: Any) -> Any:
        """Refuse the streaming interface, which transformers uses for the mask of `generation` blocks.

        Raises:
            ModelError: always.
        """
        raise ModelError("the mask of `generation` blocks is not made here: models.render makes one")


def render(template: str, values: dict[str, Any], *, strict: bool = False) -> str:
    """Render a chat template in the child process.

    Args:
        template: of Jinja, with what transformers adds.
        values: plain data.
        strict: a name without a value is an error, a last newline stays, and there is `regex_replace`: as
            lm-evaluation-harness renders the texts of its tasks.

    Returns:
        the text.

    Raises:
        ModelError: the template needs more than SECONDS, MEMORY_MIB or MAX_TEXT.
        jinja2.TemplateError: the template is wrong, or refuses the conversation.
    """
    with _lock:
        child = _children.get(os.getpid())
        if child is None or not child.alive:
            child = _children[os.getpid()] = _Child()
        answer = child.ask({"template": template, "values": values, "strict": strict})
    if "text" in answer:
        return str(answer["text"])
    if "limit" in answer:
        raise ModelError(
            f"the chat template needs more than {answer['limit']} for one conversation: it loops or doubles"
            " its text, so use the template of the model's authors"
        )
    from jinja2 import TemplateError

    raise TemplateError(answer["error"])


class _Child:
    def __init__(self) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        env |= threads.SINGLE
        env.pop("CRASH_AT", None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "medxiaohe.models.templates"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
        )
        self._buffer, self._owner = b"", os.getpid()
        atexit.register(self.stop)
        if "ready" not in self._answer(START_SECONDS):
            raise ModelError("the process that renders chat templates does not start: is jinja2 installed?")

    @property
    def alive(self) -> bool:
        """Whether the process runs.

        Returns:
            False once it has ended.
        """
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer, at most WAIT_SECONDS.

        Args:
            request: JSON data.

        Returns:
            the answer of the child, or one that says why it died.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request, default=str).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer(WAIT_SECONDS)
        except OSError:
            return self._died()
        except BaseException:
            self.stop()  # the next one would read an answer that is not its own
            raise

    def _died(self) -> dict[str, Any]:
        self._process.wait()
        late = self._process.returncode == -signal.SIGXCPU
        return {"limit": f"{SECONDS:g} s" if late else f"{MEMORY_MIB} MiB"}

    def _answer(self, seconds: float) -> dict[str, Any]:
        """Read the next line of the child; it is killed where that is too late, too long or missing."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.stop()
                return {"limit": f"{SECONDS:g} s"}
            data = os.read(self._process.stdout.fileno(), 2**20)
            self._buffer += data
            if not data:
                return self._died()
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Kill the process and close its pipes; a forked process leaves the child of its parent alone."""
        atexit.unregister(self.stop)
        if self._owner == os.getpid():  # a forked process does not end the child of its parent
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()


# ---- inside the child ------------------------------------------------------------------------------


class _TooLong(BaseException):
    """Not an Exception, which a filter might catch."""


def _serve() -> None:
    import resource

    from jinja2 import TemplateError

    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def give(value: dict[str, Any]) -> None:
        out.write(json.dumps(value).encode() + b"\n")
        out.flush()

    compiled = _compiler()
    compiled("{% for m in messages %}{{ m.role }}{% endfor %}").render(messages=[{"role": "x"}])
    signal.signal(signal.SIGPROF, _late)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit()
    give({"ready": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            most = int(time.process_time()) + KILL_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            make = _strict if request.get("strict") else compiled
            text = make(request["template"]).render(**request["values"])
            signal.setitimer(signal.ITIMER_PROF, 0)
            give({"text": text} if len(text) <= MAX_TEXT else {"limit": f"{MAX_TEXT >> 20} MiB of text"})
        except _TooLong:
            give({"limit": f"{SECONDS:g} s"})
        except (MemoryError, OverflowError):
            give({"limit": f"{MEMORY_MIB} MiB"})
        except Exception as error:
            kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
            give({"error": f"{kind}{error}"[:2000]})
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _strict(template: str) -> Any:
    import re

    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["regex_replace"] = lambda text, pattern, new, count=0: re.sub(
        pattern, new, text, count=count
    )
    return environment.from_string(template)


def _late(*_: Any) -> None:
    raise _TooLong


def _compiler() -> Any:
    """Load `_compile_jinja_template` from its file only: transformers takes seconds to import."""
    spec = importlib.util.find_spec("transformers")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "utils"
    package, logs, imports = (types.ModuleType(f"alone{name}") for name in ("", ".logging", ".import_utils"))
    package.__path__ = []
    import logging

    logs.get_logger = logging.getLogger  # type: ignore[attr-defined]
    imports.is_jinja_available = lambda: True  # type: ignore[attr-defined]
    imports.is_torch_available = imports.is_vision_available = lambda: False  # type: ignore[attr-defined]
    package.logging, package.import_utils = logs, imports  # type: ignore[attr-defined]
    sys.modules |= {"alone": package, "alone.logging": logs, "alone.import_utils": imports}
    name = "alone.chat_template_utils"
    source = importlib.util.spec_from_file_location(name, folder / "chat_template_utils.py")
    assert source is not None and source.loader is not None
    module = importlib.util.module_from_spec(source)
    sys.modules[name] = module
    source.loader.exec_module(module)
    return module._compile_jinja_template


def _limit() -> None:
    """Limit the growth of writable memory to MEMORY_MIB; RLIMIT_AS would count mapped libraries too."""
    import resource

    if not os.path.exists("/proc/self/status"):  # not Linux: only the time is limited
        return
    with open("/proc/self/status", encoding="ascii") as file:
        (data,) = (int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
    limit = data + MEMORY_MIB * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _serve()
