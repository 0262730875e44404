"""Gives each journey its worlds: embedded everywhere, services where PostgreSQL and Redis are found."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.demo.ground import borrow_database, borrow_redis
from tests.journeys.services import Services, leave_out, missing_services, run_services
from tests.journeys.worlds import World, open_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything here as a journey."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """One PostgreSQL and one Redis for all journeys; left out in one line where they are missing, unless they are required."""
    absent = missing_services()
    if absent:
        leave_out(f"the journeys on services need {' and '.join(absent)}")
    # Not below pytest's own folder: another pytest closes that to all but its owner, and PostgreSQL may run as nobody.
    with tempfile.TemporaryDirectory(prefix="sosik-services-") as folder:
        Path(folder).chmod(0o755)
        with run_services(Path(folder)) as running:
            yield running


# Tests run in two processes: a world's journeys stay together in one, so that it is made once.
WORLDS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("embedded", "services")]


@pytest.fixture(scope="session", params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Sosik on its embedded default, and on PostgreSQL and Redis with a process for each part.

    One world for all journeys, since it takes seconds to start: each journey has a list and readers of its own.
    """
    folder = tmp_path_factory.mktemp("world")
    if request.param == "embedded":
        with open_world(folder, os.environ, None) as opened:
            yield opened
        return
    running: Services = request.getfixturevalue("services")
    with (
        borrow_database(running.database_url) as database_url,
        borrow_redis(running.redis_url) as redis_url,
        open_world(folder, os.environ, Services(database_url, redis_url)) as opened,
    ):
        yield opened
