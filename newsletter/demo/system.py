"""Sosik's own processes for a rehearsal or a test: started on throw-away data, killed without a word, started again.

Without REDIS_URL that is one embedded process; with it, the processes of docker-compose.yml with the same command lines.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
READY_SECONDS = 60  # an embedded start takes 2 s, four processes 6 s on two idle cores
STOP_SECONDS = 15
# Our own variables in the caller's environment that must not reach throw-away processes.
FOREIGN = (
    "DEBUG",
    "EXTRA_HOSTS",
    "SECRET_KEY_FALLBACKS",
    "LANGUAGE_CODE",
    "TIME_ZONE",
    "WEB_HOST",
    "WEB_PORT",
    "LOG_LEVEL",
    "DOMAIN_RATES",
    "WARMUP",
    "STAGES",
    "STAGES_ABOVE",
    "BREAKER_ERRORS",
)


class SystemFailedError(Exception):
    """A process of ours ended by itself or never answered; the text ends with the last lines of its log."""


def find_free_port() -> int:
    """A port of this machine that nobody listens on right now."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def make_environment(
    base: Mapping[str, str],
    *,
    folder: Path,
    site_url: str,
    smtp_port: int,
    database_url: str = "",
    redis_url: str = "",
) -> dict[str, str]:
    """The environment of processes that know only `folder` and, when given, these two servers.

    Mail goes to `smtp_port` on this machine; Mailgun's webhooks are taken, signed with a key made here.
    """
    environment = {
        name: value for name, value in base.items() if name not in FOREIGN and not name.startswith("ANYMAIL_")
    }
    return environment | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SOSIK_ENV_FILE": "",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FINGERPRINT_KEY": secrets.token_urlsafe(48),
        "SITE_URL": site_url,
        "BEHIND_PROXY": "1",
        "EMAIL_URL": f"smtp://{HOST}:{smtp_port}",
        "WEBHOOK_PROVIDERS": "mailgun",
        "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY": secrets.token_urlsafe(24),
        # A person waits: look twice as often, and believe a silent worker dead after seconds instead of a minute.
        "TICK_SECONDS": "1",
        "LEASE_SECONDS": "6",
        "UNDO_SECONDS": "0",
        # Simulated readers bounce and complain by the dice, and nobody is there to resume a halted issue.
        "HALT_BOUNCE_PERCENT": "0",
        "HALT_COMPLAINT_PERCENT": "0",
        "HALT_ERROR_PERCENT": "0",
        "PYTHONUNBUFFERED": "1",
    }


class System:
    """The running processes. Use as a context: whatever was started is gone afterwards."""

    def __init__(self, environment: Mapping[str, str], web_port: int) -> None:
        self.environment = dict(environment)
        self.web_port = web_port
        self.folder = Path(environment["DATA_DIR"])
        self.is_separate = bool(environment.get("REDIS_URL"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def sender(self) -> str:
        """The process that sends issues: what kill_sender() kills."""
        return "issues" if self.is_separate else "sosik"

    def commands(self) -> dict[str, list[str]]:
        """Each process by name, with its command line."""
        python = sys.executable
        if not self.is_separate:
            return {"sosik": [python, "manage.py", "run", "--bare", "--host", HOST, "--port", str(self.web_port)]}
        celery = [python, "-m", "celery", "-A", "config"]
        schedule = str(self.folder / "beat-schedule")
        bind = f"{HOST}:{self.web_port}"
        return {
            "web": [python, "-m", "gunicorn", "config.wsgi", "--bind", bind, "--workers", "2", "--threads", "4"],
            "default": [*celery, "worker", "-Q", "default,tracking", "-c", "2", "-n", "default@%h"],
            "issues": [*celery, "worker", "-Q", "issues,bulk", "-c", "2", "-n", "issues@%h"],
            "beat": [*celery, "beat", "--schedule", schedule, "--pidfile", ""],
        }

    def start(self) -> None:
        """Starts what is not running and returns when the web server answers; raises SystemFailedError."""
        try:
            for name in self.commands():
                self._start(name)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends everything: politely, and after STOP_SECONDS without asking."""
        for process in self._processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _signal_group(process, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def kill_sender(self) -> None:
        """Kills the process that sends issues."""
        self.kill(self.sender)

    def kill(self, *names: str) -> None:
        """SIGKILL to these processes and to their children: no handler runs, nothing is flushed."""
        killed = [self._processes.pop(name) for name in names]
        for process in killed:
            _signal_group(process, signal.SIGKILL)
        for process in killed:
            process.wait()

    def restart_sender(self) -> None:
        """Starts the killed process again; returns when the web server answers."""
        self.start()

    def revive(self) -> list[str]:
        """Starts again what has ended by itself, as docker compose's `restart: unless-stopped` does; gives the names."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            del self._processes[name]
            self._start(name)
        return ended

    def freeze(self, name: str) -> None:
        """SIGSTOP: the process and its children stand still, their connections stay open."""
        _signal_group(self._processes[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT: they go on as if no time had passed."""
        _signal_group(self._processes[name], signal.SIGCONT)

    def children(self, name: str) -> list[int]:
        """The process ids of a process' children: a Celery worker's pool."""
        pid = self._processes[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def check(self) -> None:
        """Raises SystemFailedError when a process has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise SystemFailedError(
                    f"{name} ended by itself with code {process.returncode}.\n{self.read_log(name)}"
                )

    def wait_until_ready(self) -> None:
        """Returns when the web server answers any request at all; raises SystemFailedError."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if self._answers():
                return
            time.sleep(0.05)
        name = "web" if self.is_separate else "sosik"
        raise SystemFailedError(f"{name} did not answer in {READY_SECONDS} s.\n{self.read_log(name)}")

    def read_log(self, name: str, lines: int = 30) -> str:
        """The last lines of what a process has printed."""
        path = self._log_path(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def run_command(self, *arguments: str, seconds: float = 120) -> str:
        """What `manage.py <arguments>` prints in the same environment; raises SystemFailedError when it fails."""
        done = subprocess.run(  # noqa: S603  (our own manage.py)
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise SystemFailedError(
                f"manage.py {arguments[0]} ended with code {done.returncode}.\n{done.stderr[-3000:]}"
            )
        return done.stdout

    def _start(self, name: str) -> None:
        if name in self._processes:
            return
        with self._log_path(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603  (our own command lines)
                self.commands()[name],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, and a kill takes the children along
            )

    def _log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _answers(self) -> bool:
        host = urlsplit(self.environment["SITE_URL"]).netloc
        connection = http.client.HTTPConnection(HOST, self.web_port, timeout=10)
        try:
            connection.request("GET", "/", headers={"Host": host, "X-Forwarded-Proto": "https"})
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)  # its session is its own, so its group has its number
