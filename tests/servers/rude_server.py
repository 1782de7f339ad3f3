"""An OpenAI-compatible server that misbehaves, in a process of its own: `python rude_server.py [PORT]
[calm]` on 127.0.0.1; a calm one answers everything.

The last line of a conversation says what it does to this item: `item 7 good` is answered with "7 is good",
`item 7 good 50` after 50 ms; `item 7 cut` fails at the first request and is answered at the second;
`item 7 cut!` fails each time; at `item 7 gone` the server ends. GET /seen gives {item: [requests, good
answers that were sent whole]}. It prints `port N` when it listens.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys

LATE = 2.5  # seconds that a slow answer takes at least: longer than the timeout of the tests
PORT, CALM = int(sys.argv[1]) if len(sys.argv) > 1 else 0, "calm" in sys.argv
SEEN: dict[str, list[int]] = {}
UNREADABLE = {
    "garbage": b"<html>Bad gateway</html>",
    "cut": b'{"choices": [{"message": {"role": "assistant", "content": "7 is',
    "empty": b"",
    "none": b'{"choices": []}',
    "half": b'{"choices": [{"message": {"role": "assistant", "content": "\\ud83d"}}]}',
    "error": b'{"error": {"message": "overloaded"}}',
}
UNREADABLE["object"] = b'{"choices": [{"message": {"role": "assistant", "content": {"text": "7 is good"}}}]}'
UNREADABLE["brackets"] = b'{"choices": [' + b"[]," * 60_000 + b"[]]}"
STATUS = {"long": 400, "busy": 429, "busier": 429, "down": 503, "broken": 500, "moved": 307, "keyless": 401}


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if head.startswith("GET"):
            await send(writer, 200, json.dumps(SEEN).encode())
        else:
            length = next(
                int(h.split(":")[1]) for h in head.splitlines() if h.lower().startswith("content-length")
            )
            request = json.loads(await reader.readexactly(length))
            await answer(request["messages"][-1]["content"].splitlines()[-1].split(), writer)
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


async def answer(words: list[str], writer: asyncio.StreamWriter) -> None:
    _, item, how, *wait = words
    counts = SEEN.setdefault(item, [0, 0])
    counts[0] += 1
    if wait:
        await asyncio.sleep(int(wait[0]) / 1000)
    what = how.rstrip("!")
    if what == "gone" and not CALM:
        os._exit(1)
    if what == "good" or CALM or (not how.endswith("!") and counts[0] > 1):
        message = {"role": "assistant", "content": f"{item} is good"}
        usage = {"prompt_tokens": 10, "completion_tokens": 3}
        await send(writer, 200, json.dumps({"choices": [{"message": message}], "usage": usage}).encode())
        counts[1] += 1
    elif what in UNREADABLE:
        await send(writer, 200, UNREADABLE[what])
    elif what in STATUS:
        await send(writer, STATUS[what], b'{"error": {}}', "Retry-After: 1\r\n" if what == "busier" else "")
    elif what == "short":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + UNREADABLE["cut"])
        await writer.drain()
    elif what == "header":
        await drip(writer, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60)
    elif what == "body":
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await drip(writer, b" " * 60)
    elif what == "silent":
        await asyncio.sleep(LATE)
    else:  # reset, and what it does not know
        linger = struct.pack("ii", 1, 0)  # closing sends RST
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """A byte now and then, each long before a timeout that starts anew at every byte."""
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(2 * LATE / len(data))


async def send(writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> None:
    writer.write(f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def main() -> None:
    server = await asyncio.start_server(talk, "127.0.0.1", PORT, backlog=1024)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
