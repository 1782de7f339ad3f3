"""A wire tap for tests: forwards TCP connections to a local server and keeps every byte that was sent to
it."""

import socket
import threading


class Tap:
    """Listens on a free port of 127.0.0.1; `sent` has the bytes of each connection, in the order they were
    opened."""

    def __init__(self, port: int) -> None:
        self.sent: list[bytearray] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._there = port
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/v1"

    def close(self) -> None:
        self._server.close()

    def taken(self) -> list[bytes]:
        """What was sent since the last call."""
        found, self.sent = [bytes(one) for one in self.sent], []
        return found

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._server.accept()
            except OSError:
                return  # closed
            kept = bytearray()
            self.sent.append(kept)
            there = socket.create_connection(("127.0.0.1", self._there))
            threading.Thread(target=_pump, args=(here, there, kept), daemon=True).start()
            threading.Thread(target=_pump, args=(there, here, bytearray()), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    try:
        while chunk := source.recv(2**16):
            kept += chunk
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side hung up
