"""One request to where the guard allows: no proxy of the environment, no redirect, no second reading of the
address."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from contextlib import closing

from medxiaohe.privacy.guard import Destination

MAX_BYTES = 32 * 2**20
# what `post` may raise besides TooLarge: the server is not there, or breaks off
FAULTS = (OSError, http.client.HTTPException)
WrongCertificate = ssl.SSLCertVerificationError


class TooLarge(Exception):
    pass


def post(
    there: Destination, path: str, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[int, bytes, float]:
    """Status, body and Retry-After seconds of one POST; `path` is put behind that of the destination."""
    deadline = time.monotonic() + timeout
    connection = http.client.HTTPConnection(there.host, there.port, timeout=timeout)
    with closing(connection):
        connection.sock = _socket(there, timeout)
        connection.request(
            "POST",
            f"{there.path}{path}" or "/",
            body,
            {**headers, "Host": there.authority, "Connection": "close"},
        )
        with connection.getresponse() as response:
            answer = bytearray()
            while chunk := response.read1(2**16):
                answer += chunk
                if len(answer) > MAX_BYTES:
                    raise TooLarge(f"sent over {MAX_BYTES >> 20} MiB: nothing of it is used")
                if time.monotonic() > deadline:
                    raise TimeoutError
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            wait = response.headers.get("Retry-After", "")
            return response.status, bytes(answer), float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0


def _socket(there: Destination, timeout: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in there.addresses or (there.host,):
        try:
            plain = socket.create_connection((address, there.port), timeout)
        except OSError as error:
            failure = error
            continue
        if there.scheme == "http":
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=there.host)
    raise failure
