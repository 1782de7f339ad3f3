"""What a request of a workflow and a turn against a server cost in CPU time, beside peers in the same run.

    python benchmarks/agents.py                        everything; peers that are not installed are named
    python benchmarks/agents.py --peers VENV/bin/python    peers from another environment
    python benchmarks/agents.py --conversations 64 --turns 4

Peers are dependencies of this benchmark only: pip install openai openai-agents langgraph langchain-openai

    requests   a workflow of asks, tools and notes with a model whose replies are written beforehand: time of
               one request, in lock-step and flowing, and memory of 1,000 conversations
    turns      conversations that call a tool in every turn but the last, all in flight at once, against an
               OpenAI-compatible server on this machine, a process of its own that waits 20 ms and one time
               in ten 200 ms: CPU time of the client for one turn (user and system, all threads), after a
               warm-up. Each client runs in a process of its own.

Goals: at most 0.1 ms for a request, at most 1.5 ms of CPU for a turn at 64 in flight, 1,000 conversations in
at most 200 MB. Figures are in docs/results/agents.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

FAST, SLOW = 0.02, 0.2  # seconds a reply takes
PEERS = ("openai client", "langgraph", "openai-agents")
MODULES = {"openai client": "openai", "langgraph": "langgraph", "openai-agents": "agents"}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--conversations", type=int, default=64, help="in flight at once")
    options.add_argument("--turns", type=int, default=4, help="of a conversation, the last without a tool")
    options.add_argument("--repeats", type=int, default=3, help="the median is shown")
    options.add_argument("--peers", default=sys.executable, help="the Python that has the peers")
    options.add_argument("--client", help=argparse.SUPPRESS)  # one client, in its own process
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.turns))
    elif chosen.client:
        print(json.dumps(client(chosen.client, chosen)))
    else:
        requests()
        turns(chosen)


# ---- requests with replies written beforehand --------------------------------------------------------


def requests() -> None:
    from medxiaohe.agents.engine import Answer, Ask, Case, Note, Use, run
    from medxiaohe.tools import tool
    from medxiaohe.types import Message, Prompt

    @tool
    def double(number: int) -> str:
        """Twice the number."""
        return str(2 * number)

    class Written:
        name, concurrent, workers = "written", True, 8

        def reply(self, conversations: Any, tools: Any = ()) -> list[Message]:
            return [Message("assistant", ("fine",)) for _ in conversations]

    def flow(case: Case) -> Generator[Any, Any, Answer]:
        talk = list(case.prompt.messages)
        for _ in range(5):
            views = yield [Ask(role, tuple(talk)) for role in ("a", "b", "c")]
            found = yield Use("double", {"number": len(talk)})
            yield Note("views", [view.text for view in views])
            talk += [views[0], Message("user", found.parts)]
        return Answer(messages=[*talk, views[-1]])

    prompts = [Prompt(str(i), (Message("user", (f"question {i} " + "x" * 300,)),)) for i in range(1000)]
    run(flow, prompts[:20], Written(), [double])
    for name, concurrent in (("lock-step", False), ("flowing, 8 threads", True)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, cpu = time.perf_counter(), time.process_time()
        traces = run(flow, prompts, Written(), [double], concurrent=concurrent)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        steps = sum(len(trace.steps) for trace in traces)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"requests, {name:<19} {steps:>6} steps of 1000 conversations: {1000 * took / steps:.3f} ms each,"
            f" {1000 * cpu / steps:.3f} ms of CPU; memory grew by {grown:.0f} MB",
            flush=True,
        )


# ---- turns against a server --------------------------------------------------------------------------


def turns(chosen: argparse.Namespace) -> None:
    print(f"\nturns, {chosen.conversations} conversations in flight, {chosen.turns} turns each")
    print("| client | answered | CPU ms a turn | wall s |\n|---|---|---|---|", flush=True)
    for name in ("medxiaohe", *PEERS):
        python = sys.executable if name == "medxiaohe" else chosen.peers
        found = subprocess.run(
            [python, "-c", f"import {MODULES.get(name, 'medxiaohe')}"], capture_output=True, check=False
        )
        if found.returncode:
            print(f"| {name} | not installed in {python}: pip install {name.split()[0]} | | |", flush=True)
            continue
        rows = [measured(name, python, chosen) for _ in range(chosen.repeats)]
        row = sorted(rows, key=lambda r: float(r["cpu"]))[len(rows) // 2]
        print(
            f"| {name} {row['version']} | {row['answered']} of {chosen.conversations} | {row['cpu']:.2f}"
            f" | {row['wall']:.2f} |",
            flush=True,
        )


def measured(name: str, python: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """One client against a server of its own."""
    here = str(Path(__file__).resolve())
    server = subprocess.Popen(
        [sys.executable, here, "--serve", "--turns", str(chosen.turns)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        words = ["--client", name, "--port", port, "--conversations", str(chosen.conversations)]
        done = subprocess.run(
            [python, here, *words, "--turns", str(chosen.turns)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))
    finally:
        server.kill()
        server.wait()


def client(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run the conversations once to warm up and once to measure; CPU of this process in ms for each turn."""
    url = f"http://127.0.0.1:{chosen.port}/v1"
    os.environ.update(OPENAI_API_KEY="x", OPENAI_BASE_URL=url, LANGSMITH_TRACING="false")
    questions = [f"question {i} " + "x" * 300 for i in range(chosen.conversations)]
    talk, version = CLIENTS[name](url, chosen.conversations)
    talk(questions[:8])
    began, cpu = time.perf_counter(), time.process_time()
    answers = talk(questions)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    asked = chosen.conversations * chosen.turns
    return {
        "answered": sum(answer == "B" for answer in answers),
        "cpu": 1000 * cpu / asked,
        "wall": took,
        "version": version,
    }


LOOP = asyncio.Runner()  # one event loop for warm-up and measurement: clients keep their connections
Talk = tuple[Callable[[list[str]], list[str]], str]


def medxiaohe(url: str, width: int) -> Talk:
    import medxiaohe as package
    from medxiaohe.agents.answer import answer
    from medxiaohe.models.backends.openai_compatible import openai_compatible
    from medxiaohe.tools import tool
    from medxiaohe.types import Message, Prompt

    @tool
    def calculate(expression: str) -> str:
        """Arithmetic."""
        return "2"

    model = openai_compatible("stub", url, workers=width)

    def talk(questions: list[str]) -> list[str]:
        prompts = [Prompt(str(i), (Message("user", (text,)),)) for i, text in enumerate(questions)]
        return [trace.answer for trace in answer(prompts, model, (calculate,))]

    return talk, package.__version__


def openai_client(url: str, width: int) -> Talk:
    import openai

    parameters = {"type": "object", "properties": {"expression": {"type": "string"}}}
    function = {"name": "calculate", "description": "Arithmetic.", "parameters": parameters}
    tools: Any = [{"type": "function", "function": function}]

    async def one(server: Any, question: str) -> str:
        messages: list[Any] = [{"role": "user", "content": question}]
        while True:
            done = await server.chat.completions.create(model="stub", messages=messages, tools=tools)
            reply = done.choices[0].message
            if not reply.tool_calls:
                return str(reply.content)
            calls = [call.model_dump() for call in reply.tool_calls]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": call["id"], "content": "2"} for call in calls]

    async def every(questions: list[str]) -> list[str]:
        async with openai.AsyncOpenAI() as server:
            return list(await asyncio.gather(*[one(server, question) for question in questions]))

    return lambda questions: LOOP.run(every(questions)), openai.__version__


def langgraph(url: str, width: int) -> Talk:
    from importlib.metadata import version

    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.prebuilt import create_react_agent

    @tool
    def calculate(expression: str) -> str:
        """Arithmetic."""
        return "2"

    async def every(questions: list[str]) -> list[str]:
        graph = create_react_agent(ChatOpenAI(model="stub", base_url=url, api_key="x"), [calculate])
        asked = [graph.ainvoke({"messages": [("user", question)]}) for question in questions]
        return [str(state["messages"][-1].content) for state in await asyncio.gather(*asked)]

    return lambda questions: LOOP.run(every(questions)), version("langgraph")


def openai_agents(url: str, width: int) -> Talk:
    from importlib.metadata import version

    here = Path(__file__).resolve().parent  # this file is called agents as well
    sys.path = [path for path in sys.path if Path(path).resolve() != here]
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    @function_tool
    def calculate(expression: str) -> str:
        """Arithmetic."""
        return "2"

    async def every(questions: list[str]) -> list[str]:
        model = OpenAIChatCompletionsModel(model="stub", openai_client=AsyncOpenAI())
        agent = Agent(name="a", model=model, tools=[calculate])
        done = await asyncio.gather(*[Runner.run(agent, q, max_turns=20) for q in questions])
        return [str(one.final_output) for one in done]

    return lambda questions: LOOP.run(every(questions)), version("openai-agents")


CLIENTS: dict[str, Callable[[str, int], Talk]] = {
    "medxiaohe": medxiaohe,
    "openai client": openai_client,
    "langgraph": langgraph,
    "openai-agents": openai_agents,
}


# ---- the server --------------------------------------------------------------------------------------


async def serve(turns: int) -> None:
    """Chat completions on a free port, which it prints; every turn but the last calls the tool."""
    number = 0

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                messages = json.loads(await reader.readexactly(size))["messages"]
                number += 1
                await asyncio.sleep(SLOW if number % 10 == 0 else FAST)
                done = sum(message["role"] == "tool" for message in messages)
                body = json.dumps(completion(done, done + 1 < turns)).encode()
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                writer.write(kind + str(len(body)).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def completion(number: int, calls: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "B"}
    if calls:
        function = {"name": "calculate", "arguments": '{"expression": "1+1"}'}
        call = {"id": f"c{number}", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [choice],
        "usage": usage,
    }


if __name__ == "__main__":
    main()
