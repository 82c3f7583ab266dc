"""The server: listens, admits clients, and ends with its streams."""

import asyncio
import hmac
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from asrdistill.errors import UserError
from asrdistill.serve import http, vosk, wyoming
from asrdistill.serve.options import ServeOptions
from asrdistill.serve.service import Service

log = logging.getLogger("asrdistill")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOCAL = ("127.0.0.1", "::1", "localhost")


def serve(folder: Path, options: ServeOptions) -> None:
    """Serve the recogniser of a folder until SIGTERM or SIGINT; raises UserError for a port that is taken."""
    asyncio.run(_serve(Service(folder, options)))


def application(service: Service) -> web.Application:
    """The HTTP side: / is Vosk's WebSocket."""
    token = service.options.token.encode()
    socket = vosk.handler(service)

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.query.get("token", "")
        if token and not hmac.compare_digest(given.encode(), token):
            return http.RefusalError(401, "the token is missing or wrong; send Authorization: Bearer TOKEN").response()
        return await handler(request)

    async def root(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await socket(request)
        if service.options.page:
            return web.FileResponse(Path(service.options.page) / "index.html")
        return web.Response(text=f"{service.name}: connect a WebSocket here, or POST /v1/audio/transcriptions\n")

    async def models(_: web.Request) -> web.Response:
        data = [{"id": service.name, "object": "model", "created": 0, "owned_by": "asrdistill"}]
        return web.json_response({"object": "list", "data": data})

    made = web.Application(middlewares=[admitted])  # type: ignore[list-item]
    made.router.add_get("/", root)
    made.router.add_get("/v1/models", models)
    made.router.add_post("/v1/audio/transcriptions", http.handler(service))
    if service.options.page:
        made.router.add_static("/", service.options.page)
    return made


async def _serve(service: Service) -> None:
    options, loop, stop = service.options, asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    busy: set[object] = set()  # connections whose requests are being answered
    made = application(service)
    made.middlewares.insert(0, _marking(busy))
    runner = web.AppRunner(made, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    servers = []
    try:
        try:
            port = options.port
            site = web.TCPSite(runner, options.host, port)
            await site.start()
            port = options.wyoming
            servers = [await wyoming.listen(service, options.host, port)] if port else []
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"cannot listen at {options.host}:{port} ({reason}); choose another port") from None
        if options.host not in LOCAL and not options.token:
            log.warning("anybody who reaches %s may use this server; --token asks for a token", options.host)
        log.info(
            "%s: listening at %s:%d%s; Ctrl-C ends it",
            service.name,
            options.host,
            _port(site),
            f", Wyoming at {port}" * bool(port),
        )
        reaping = asyncio.ensure_future(_reap(runner, busy, options.idle))
        await stop.wait()
        log.info("ending: streams have %g s", options.grace)
        await site.stop()
        for server in servers:
            server.close()
        ending = asyncio.ensure_future(service.end())
        stop.clear()
        again = asyncio.ensure_future(stop.wait())  # a second signal ends at once
        await asyncio.wait({ending, again}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reaping, ending, again):
            task.cancel()
    finally:
        await runner.cleanup()


def _port(site: web.TCPSite) -> int:
    return site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr,attr-defined]


def _marking(busy: set[object]) -> Any:
    """Remembers the connections whose requests are being answered."""

    @web.middleware
    async def mark(request: web.Request, handler: Handler) -> web.StreamResponse:
        busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            busy.discard(request.protocol)

    return mark


async def _reap(runner: web.AppRunner, busy: set[object], idle: float) -> None:
    """Close connections that never send a whole request."""
    since: dict[object, float] = {}
    while True:
        await asyncio.sleep(idle / 4)
        now, open_ones = time.monotonic(), list(runner.server.connections if runner.server else [])
        since = {one: since.get(one, now) for one in open_ones if one not in busy}
        for one in open_ones:
            if now - since.get(one, now) > idle and one.transport:
                one.transport.abort()
