"""Sosik in one process: web server, Celery workers and clock as threads; for the embedded default only.

The broker is Celery's in-memory one, so no other process can hold work: what a killed process left behind is swept at the start.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import IO, Any

from celery import Celery, current_app
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.utils.translation import gettext as _
from waitress.server import create_server
from waitress.wasyncore import close_all

from newsletter.delivery import recovery, stopping

log = logging.getLogger(__name__)

WEB_THREADS = 8
# Two workers, so that a confirmation mail never waits behind an issue.
WORKERS = (("default,tracking", 3), ("issues,bulk", 2))
READY_SECONDS = 15  # a worker that is not there by then never will be
STOP_SECONDS = 8  # a batch stops at its next checkpoint, the consumers within 2 s


class StartError(Exception):
    """Sosik cannot start: what stands in the way, and what to do."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what} {advice}")
        self.what = what
        self.advice = advice


class PortTakenError(StartError):
    """Another program listens on the web port."""


class Embedded:
    """One running Sosik: claim(), start(), wait(), stop(), in that order; stop() is safe after any of them."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.stopping = threading.Event()
        self._lock: IO[str] | None = None
        self._web: Any = None
        self._threads: list[threading.Thread] = []

    def claim(self) -> None:
        """Takes the data directory and the web port; raises StartError while another process has one of them."""
        if settings.REDIS_URL:
            raise StartError(
                _("REDIS_URL is set, so Sosik's web server, workers and clock are processes of their own."),
                _("Start them as docker-compose.yml does, or leave REDIS_URL empty."),
            )
        self._lock = _lock_data()
        self._web = _bind_web(self.host, self.port)

    def start(self) -> None:
        """Sweeps what a killed process left, then starts workers, clock and web server; returns when all are ready."""
        assert self._web is not None, "claim() comes first"
        recovery.sweep_batches(everything=True)
        connections.close_all()  # opened by this thread, which only waits from here on
        app: Celery = current_app
        # One process has nobody to talk to about its workers; the mailboxes for it would be polled 50 times a second.
        app.conf.worker_enable_remote_control = False
        logging.getLogger("kombu.connection").setLevel(
            logging.ERROR
        )  # memory:// has no host name, and it warns each time
        _tell_workers(None)
        for queues, concurrency in WORKERS:
            self._threads.append(_start_worker(app, queues, concurrency))
        self._run("clock", lambda: run_clock(app, self.stopping))
        self._run("web", self._web.run)

    def wait(self) -> None:
        """Returns after SIGINT or SIGTERM; a second one ends the process at once."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            del frame
            if self.stopping.is_set():
                os._exit(128 + number)
            self.stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        while not self.stopping.wait(timeout=3600):
            pass

    def stop(self) -> bool:
        """Ends workers, clock and web server; False when a thread did not end in time (its batch is then swept at the next start)."""
        self.stopping.set()
        stopping.request_stop()
        _tell_workers(os.EX_OK)
        if self._web is not None:
            self._stop_web()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            log.warning("embedded.late threads=%s", ",".join(late))
        return not late

    def _run(self, name: str, work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _stop_web(self) -> None:
        web, self._web = self._web, None
        web.task_dispatcher.shutdown(timeout=3)
        if any(thread.name == "web" for thread in self._threads):
            # Closed in the loop's own thread: an empty map ends the loop.
            web.trigger.pull_trigger(lambda: close_all(web._map))
        else:
            close_all(web._map)


def run_clock(app: Celery, stopping: threading.Event) -> None:
    """Rings every tick of the schedule at once and then in its interval (seconds), until told to stop.

    Celery's own beat would write a schedule file and forget nothing but its last run, which means nothing here: ticks read the database.
    """
    schedule: dict[str, dict[str, Any]] = app.conf.beat_schedule
    due = dict.fromkeys(schedule, 0.0)
    while not stopping.is_set():
        now = time.monotonic()
        for name, entry in schedule.items():
            if due[name] <= now:
                try:
                    app.send_task(entry["task"], **entry.get("options", {}))
                except Exception:  # the clock outlives whatever a broker may say
                    log.exception("clock.failed tick=%s", name)
                due[name] = now + float(entry["schedule"])
        stopping.wait(max(0.0, min(due.values()) - time.monotonic()))


def _start_worker(app: Celery, queues: str, concurrency: int) -> threading.Thread:
    """A worker that takes tasks from `queues` (names, comma-separated), and the thread it lives in."""
    ready = threading.Event()
    worker = WorkController(
        app=app,
        hostname=f"{queues.partition(',')[0]}@embedded",
        queues=queues,
        pool_cls="threads",
        concurrency=concurrency,
        ready_callback=lambda _: ready.set(),
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    thread = threading.Thread(target=worker.start, name=f"worker-{queues}", daemon=True)
    thread.start()
    # The app holds one selection of queues, read when a consumer starts: the next worker may choose only after that.
    if not ready.wait(READY_SECONDS):
        what = _("The worker for %(queues)s did not start in %(seconds)d s.")
        raise StartError(what % {"queues": queues, "seconds": READY_SECONDS}, _("Start Sosik again."))
    return thread


def _tell_workers(stop: int | None) -> None:
    """Writes what Celery's own SIGTERM handler writes: an exit code ends every worker of this process at its next look, within 2 s."""
    worker_state.should_stop = stop  # type: ignore[assignment]


def _lock_data() -> IO[str]:
    """The lock on the data directory, held as long as the file is open; the kernel drops it with the process."""
    path = settings.DATA_DIR / "sosik.lock"
    handle: IO[str] = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise StartError(
            _("Sosik already runs on the data in %(folder)s.") % {"folder": settings.DATA_DIR},
            _("Stop it first (Ctrl-C where it runs), or set DATA_DIR to another folder."),
        ) from None
    return handle


def _bind_web(host: str, port: int) -> Any:
    """The web server, listening and not yet answering."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTakenError(
            _("Port %(port)d on %(host)s is taken by another program.") % {"port": port, "host": host},
            _("Choose another: %(do)s") % {"do": f"PORT={port + 1} make run"},
        ) from None
    return create_server(
        WSGIHandler(),
        sockets=[listener],
        threads=WEB_THREADS,
        ident="Sosik",
        # waitress drops X-Forwarded-* by default; the operator has said by BEHIND_PROXY that a proxy sets it.
        clear_untrusted_proxy_headers=not settings.BEHIND_PROXY,
    )
