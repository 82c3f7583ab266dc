"""A server of files on loopback that behaves as badly as the network does.

    with FlakyServer(folder, cut=0.5, ignore_range=0.2, busy=0.2) as server:
        ... server.url, server.sent ...

With the given chances it breaks a connection after a random number of bytes, sends the whole file where the rest was
asked for, and answers 503. The same seed does the same to a file's first, second, … request, whatever is asked for
in between, so that files that are fetched side by side do not decide each other's luck.
"""

import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple


class Sent(NamedTuple):
    """`count` bytes of a file from byte `start` on, as asked for (`ranged`) or in spite of what was asked."""

    name: str
    start: int
    count: int
    ranged: bool


class FlakyServer:
    """Serves the files below `folder` at `url`; `sent` records what went out, `pace` is seconds for each 64 kB."""

    def __init__(
        self,
        folder: Path,
        cut: float = 0.0,
        ignore_range: float = 0.0,
        busy: float = 0.0,
        pace: float = 0.0,
        seed: int = 0,
    ):
        self.folder, self.cut, self.ignore_range, self.busy, self.pace = folder, cut, ignore_range, busy, pace
        self.sent: list[Sent] = []
        self.requests = 0
        self.seed, self._random, self._lock = seed, dict[str, random.Random](), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FlakyServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bytes_of(self, name: str) -> int:
        """Bytes of a file that went out, all requests together."""
        return sum(sent.count for sent in self.sent if sent.name == name)

    def draw(self, name: str) -> tuple[bool, bool, float]:
        """(busy?, range ignored?, the share of the answer after which it breaks off) for a file's next request."""
        with self._lock:
            self.requests += 1
            luck = self._random.setdefault(name, random.Random(f"{self.seed} {name}"))
            busy, ignored, cut = luck.random() < self.busy, luck.random() < self.ignore_range, luck.random() < self.cut
            return busy, ignored, luck.random() if cut else 1.0

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                name = self.path.lstrip("/")
                path = server.folder / name
                if not path.is_file():
                    return self.send_error(404)
                content = path.read_bytes()
                asked = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
                busy, ignored, share = server.draw(name)
                if busy:
                    return self.send_error(503)
                start = 0 if ignored else asked
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                if body:
                    last = start + max(1, int(share * (len(content) - start)))  # or a last byte would hardly ever come
                    self.send(name, start, content[start:last], not ignored)

            def send(self, name: str, start: int, content: bytes, ranged: bool) -> None:
                count = 0
                try:
                    for begin in range(0, len(content), 1 << 16):
                        count += self.wfile.write(content[begin : begin + (1 << 16)])
                        time.sleep(server.pace)
                except OSError:  # the client has gone
                    pass
                with server._lock:
                    server.sent.append(Sent(name, start, count, ranged))

            def log_message(self, *_: object) -> None:
                pass

        return Handler
