"""Options of the server."""

from dataclasses import dataclass
from pathlib import Path

from asrdistill.config import option
from asrdistill.errors import UserError


@dataclass(frozen=True)
class ServeOptions:
    """Where it listens, and what a client may take."""

    host: str = option("127.0.0.1", "address to listen at; 0.0.0.0: all of this machine's")
    port: int = option(2700, "port of Vosk's WebSocket and of HTTP")
    wyoming: int = option(0, "port of the Wyoming protocol; 0: none")
    token: str = option("", "what clients must give: Authorization: Bearer TOKEN, or ?token=TOKEN")
    page: str = option("", "folder from asrdistill export --to web, shown to browsers at /")
    streams: int = option(100, "most streams and uploads at a time")
    seconds: float = option(14400.0, "most seconds of audio of a stream or upload")
    megabytes: float = option(200.0, "most megabytes of an upload")
    idle: float = option(30.0, "seconds without audio, or without the reading of replies, after which a client is left")
    grace: float = option(30.0, "seconds that streams have to end after SIGTERM")
    threads: int = option(0, "threads that recognise; 0: one per processor")

    def __post_init__(self) -> None:
        if not (0 <= self.port < 65536 and 0 <= self.wyoming < 65536):
            raise UserError(f"ports are numbers up to 65535, not {self.port} and {self.wyoming}; choose others")
        if min(self.streams, self.seconds, self.megabytes, self.idle) <= 0 or min(self.grace, self.threads) < 0:
            raise UserError("streams, seconds, megabytes and idle must be above 0, grace and threads at least 0")
        if self.token and self.wyoming:
            raise UserError("the Wyoming protocol has no tokens; leave out --token or --wyoming")
        if self.token and self.page:
            raise UserError("browsers cannot give the token for a page; leave out --token or --page")
        if self.page and not (Path(self.page) / "index.html").is_file():
            raise UserError(f"{self.page} has no index.html; make it with asrdistill export --to web")
