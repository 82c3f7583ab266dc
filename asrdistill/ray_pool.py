"""Work per utterance on a Ray cluster whose machines share a file system: the pool of :mod:`asrdistill.parallel`."""

from __future__ import annotations

import contextlib
import itertools
import logging
import platform
import socket
from collections.abc import Callable
from typing import Any

from asrdistill.errors import UserError

RETRIES = 3  # of an item whose worker process or machine ended


class RayPool:
    """Stands in for a ProcessPoolExecutor: items are tasks; each worker process first calls `prepare`.

    address  of a cluster, auto for the one of this machine, or "" to start one here

    A task whose worker is lost is done again on another one. Raises UserError if Ray is not installed or the cluster
    does not answer.
    """

    tokens = itertools.count()

    def __init__(self, address: str, prepare: Callable[[], Any]):
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError("--executor ray needs Ray; pip install 'asrdistill[ray]'") from None
        self._ray = ray
        if not ray.is_initialized():
            try:
                _reach(address)
                with contextlib.redirect_stdout(None):
                    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise UserError(f"no Ray cluster at '{address}': {reason}; start one with ray start --head") from None
        token = f"{ray.get_runtime_context().get_job_id()}.{next(self.tokens)}"
        self._given = ray.put((token, prepare, versions()))  # sent once to each machine
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_task)

    @property
    def jobs(self) -> int:
        """Processors of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Pending:
        return Pending(self._ray, self._remote.remote(self._given, function, *arguments))

    def shutdown(self, wait: bool, *, cancel_futures: bool) -> None:
        """The cluster goes on; items that are not wanted are cancelled one by one."""


def _reach(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


class Pending:
    """A task's result to come, as :class:`concurrent.futures.Future` has it."""

    def __init__(self, ray: Any, reference: Any):
        self._ray, self._reference = ray, reference

    def result(self) -> Any:
        try:
            return self._ray.get(self._reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"Ray lost an item {1 + RETRIES} times: {reason}; look at ray status") from None

    def cancel(self) -> None:
        self._ray.cancel(self._reference)


def versions() -> tuple[str, str]:
    from asrdistill import __version__

    return __version__, platform.python_version()


_token = ""  # of the pool that this worker process is prepared for


def _task(given: tuple[str, Callable[[], Any], tuple[str, str]], function: Callable[..., Any], *rest: Any) -> Any:
    """A task; the first of a pool in this process prepares it."""
    global _token
    token, prepare, wanted = given
    if (found := versions()) != wanted:
        ours, theirs = (f"asrdistill {version} on Python {python}" for version, python in (found, wanted))
        raise UserError(f"a worker on {platform.node()} has {ours}, not {theirs}; install the same everywhere")
    if _token != token:
        prepare()
        _token = token
    return function(*rest)
