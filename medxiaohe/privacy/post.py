"""Send one HTTP request to an allowed destination: no proxy of the environment, no redirect, no second
resolution of the address, and one deadline for all of it.

A socket timeout alone restarts at each byte, so a server that sends one byte at a time never times out. Here
each read and each write gets the remainder of the whole time: connecting, TLS, headers and body together.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import re
import socket
import ssl
import time
from contextlib import closing
from typing import Any

from medxiaohe.privacy.guard import Destination

MAX_BYTES = 8 * 2**20  # of an answer; 100,000 tokens of text with their escapes are 3 MiB
# what `post` may raise besides TooLarge: the server is not there, or breaks off
FAULTS = (OSError, http.client.HTTPException)
WrongCertificate = ssl.SSLCertVerificationError


class TooLarge(Exception):
    pass


class NotReached(OSError):
    """No connection could be opened: no server listens, or the network drops it."""


def post(
    server: Destination, path: str, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[int, bytes, float]:
    """Send one POST request and read the whole answer.

    Args:
        server: The destination that the guard returned.
        path: Appended to the path of the destination.
        body: Sent as it is.
        headers: Sent besides Host and Connection.
        timeout: Seconds for the whole request, from connecting to the last byte of the answer.

    Returns:
        Status, body, and the seconds that the header Retry-After asks for (0 where there is none).

    Raises:
        NotReached: No connection could be opened.
        TooLarge: The answer is larger than MAX_BYTES.
        TimeoutError: The whole answer was not there in time.
        OSError, http.client.HTTPException: The connection broke off, or the answer is not HTTP.
    """
    end = time.monotonic() + timeout
    connection = http.client.HTTPConnection(server.host, server.port, timeout=timeout)
    with closing(connection):
        connection.sock = _DeadlineSocket(_connected(server, end), end)
        connection.request(
            "POST",
            f"{server.path}{path}" or "/",
            body,
            {**headers, "Host": server.authority, "Connection": "close"},
        )
        with connection.getresponse() as response:
            answer = bytearray()
            while chunk := response.read1(2**16):
                answer += chunk
                if len(answer) > MAX_BYTES:
                    raise TooLarge(f"sent over {MAX_BYTES >> 20} MiB: nothing of it is used")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return response.status, bytes(answer), retry_after(response.headers.get("Retry-After", ""))


def retry_after(value: str) -> float:
    """Parse a Retry-After header: a number of seconds, or an HTTP date (RFC 9110, section 10.2.3).

    Returns:
        Seconds from now, at least 0; 0 where the header is neither.
    """
    if re.fullmatch(r"\d{1,6}", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _left(end: float) -> float:
    remaining = end - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _connected(server: Destination, end: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in server.addresses or (server.host,):
        try:
            plain = socket.create_connection((address, server.port), _left(end))
        except OSError as error:
            failure = error
            continue
        if server.scheme == "http":
            return plain
        plain.settimeout(_left(end))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=server.host)
    raise NotReached(str(failure)) from failure


class _DeadlineSocket:
    """The part of a socket that http.client uses, with one deadline for all reads and writes."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def sendall(self, data: Any) -> None:
        """Send all of `data` before the deadline.

        Raises:
            TimeoutError: the deadline has passed.
            OSError: the connection broke off.
        """
        self._sock.settimeout(_left(self._end))  # Python's sendall takes it for all of the data
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Open a reader with the same deadline.

        Returns:
            A buffered reader of bytes, whatever the mode.
        """
        return io.BufferedReader(_DeadlineReader(self._sock, self._end))

    def close(self) -> None:
        """Close the socket; readers keep the connection open until they are closed."""
        self._sock.close()


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, end: float) -> None:
        super().__init__()
        self._sock, self._end = sock, end
        self._raw = sock.makefile("rb", buffering=0)  # keeps the connection open until it is closed

    def readable(self) -> bool:
        """Whether the stream can be read.

        Returns:
            True.
        """
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into `buffer` before the deadline.

        Returns:
            The number of bytes, 0 at the end.

        Raises:
            TimeoutError: the deadline has passed.
        """
        self._sock.settimeout(_left(self._end))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the reader and, with it, the connection."""
        self._raw.close()
        super().close()
