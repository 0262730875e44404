"""The embedded process: what keeps a second one away, and its clock."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from celery import Celery
from kombu import Connection
from pytest_django import Settings

from newsletter.demo.system import System, find_free_port, make_environment
from newsletter.embedded import Embedded, PortTakenError, StartError, run_clock

HOST = "127.0.0.1"


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.REDIS_URL = ""  # with one there is no embedded process
    return tmp_path


def test_a_second_process_on_the_same_data_is_refused_until_the_first_has_gone(folder: Path) -> None:
    first, second = Embedded(HOST, find_free_port()), Embedded(HOST, find_free_port())
    first.claim()
    with pytest.raises(StartError, match="already runs on the data"):
        second.claim()
    assert first.stop()
    second.claim()
    assert second.stop()


def test_a_taken_port_is_named_and_another_is_proposed(folder: Path) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        embedded = Embedded(HOST, port)
        with pytest.raises(PortTakenError, match=f"Port {port} .* PORT={port + 1} make run"):
            embedded.claim()
        assert embedded.stop()


def test_with_a_redis_the_parts_are_processes_of_their_own(folder: Path, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(StartError, match="processes of their own"):
        Embedded(HOST, find_free_port()).claim()


def test_the_clock_rings_every_tick_at_once_and_then_in_its_interval() -> None:
    app = Celery("clock-test", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        "often": {"task": "often", "schedule": 0.05, "options": {"expires": 10}},
        "daily": {"task": "daily", "schedule": 86400.0},
    }
    stopping = threading.Event()
    clock = threading.Thread(target=run_clock, args=(app, stopping))
    clock.start()
    rung: list[str] = []
    with Connection("memory://") as connection, connection.SimpleQueue("celery") as queue:
        while rung.count("often") < 3:
            message = queue.get(timeout=10)
            rung.append(message.headers["task"])
            message.ack()
    stopping.set()
    clock.join(timeout=10)
    assert not clock.is_alive()
    assert rung.count("daily") == 1


def test_a_running_process_answers_and_ends_cleanly_on_a_signal(tmp_path: Path) -> None:
    environment = make_environment({}, folder=tmp_path, site_url="https://news.example.org", smtp_port=1)
    system = System(environment, find_free_port())
    system.start()
    process = system._processes["sosik"]
    connection = http.client.HTTPConnection(HOST, system.web_port, timeout=10)
    connection.request("GET", "/", headers={"Host": "news.example.org", "X-Forwarded-Proto": "https"})
    assert connection.getresponse().status == 200
    # The connection stays open: whoever reads a page must not keep the process alive.
    asked_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    connection.close()
    assert time.monotonic() - asked_at < 15
    assert "Traceback" not in system.read_log("sosik")
    system.stop()
