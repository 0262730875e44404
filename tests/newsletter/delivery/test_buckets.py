"""A pace that all workers share: never more than rate x time + burst, on the database's clock and on Redis'."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import LazySettings
from django.db import connection

from newsletter.delivery import buckets
from newsletter.delivery.buckets import BURST_SECONDS, Bucket, give_back, take
from newsletter.models import PaceBucket
from tests.journeys.services import find_redis, leave_out, run_redis

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    if find_redis() is None:
        leave_out("the buckets in Redis need one (apt-get install redis-server)")
    with tempfile.TemporaryDirectory(prefix="sosik-redis-") as folder, run_redis(Path(folder) / "redis") as url:
        yield url


@pytest.fixture(params=["database", "redis"])
def keeper(request: pytest.FixtureRequest, settings: LazySettings) -> str:
    """Where the buckets are kept."""
    settings.REDIS_URL = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    buckets._redis_rests_until = 0.0
    return str(request.param)


def fill(bucket: Bucket) -> None:
    """A bucket begins empty; this one has rested."""
    take(bucket, 1)
    give_back(bucket, 10**6)


def race(bucket: Bucket, threads: int, seconds: float) -> tuple[int, float]:
    """(granted to all, seconds from before the first asking to after the last answer)."""
    granted: list[int] = []
    start = threading.Barrier(threads + 1)
    end = [0.0]

    def ask() -> None:
        start.wait()
        try:
            while time.monotonic() < end[0]:
                granted.append(take(bucket, 3).count)
        finally:
            connection.close()

    crowd = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    began = time.monotonic()
    end[0] = began + seconds
    start.wait()
    for thread in crowd:
        thread.join(30)
    return sum(granted), time.monotonic() - began


@pytest.mark.parametrize("rate", [40, 400])
def test_six_connections_never_get_more_than_rate_by_time_and_the_burst(keeper: str, rate: int) -> None:
    bucket = Bucket("race", rate)
    fill(bucket)
    total, seconds = race(bucket, 6, 0.6)
    assert total <= rate * seconds + max(1, rate * BURST_SECONDS)
    assert total >= rate * 0.6 * 0.5, "nor does the pace stand still"


def test_a_bucket_nobody_knows_begins_empty(keeper: str) -> None:
    grant = take(Bucket("new", 10), 5)
    assert grant.count == 0
    assert 0 < grant.wait_seconds <= 0.1


def test_a_rested_bucket_gives_its_burst_and_then_says_when_there_is_more(keeper: str) -> None:
    bucket = Bucket("rested", 8)
    fill(bucket)
    assert take(bucket, 100).count == 2
    after = take(bucket, 100)
    assert after.count == 0
    assert 0.05 < after.wait_seconds <= 0.125


def test_less_than_one_a_second_still_lets_one_go(keeper: str) -> None:
    bucket = Bucket("slow", 0.01)
    fill(bucket)
    assert take(bucket, 5).count == 1
    assert 95 < take(bucket, 5).wait_seconds <= 100


def test_what_is_given_back_can_be_taken_again(keeper: str) -> None:
    bucket = Bucket("returned", 0.1)
    fill(bucket)
    assert take(bucket, 1).count == 1
    assert take(bucket, 1).count == 0
    give_back(bucket, 1)
    assert take(bucket, 1).count == 1


def test_two_names_do_not_touch_each_other(keeper: str) -> None:
    one, other = Bucket("one", 0.1), Bucket("other", 0.1)
    fill(one)
    fill(other)
    assert (take(one, 1).count, take(other, 1).count) == (1, 1)


def test_emptying_redis_gives_nobody_a_second_burst(redis_url: str, settings: LazySettings) -> None:
    settings.REDIS_URL = redis_url
    buckets._redis_rests_until = 0.0
    bucket = Bucket("flushed", 100)
    redis.Redis.from_url(redis_url).flushall()
    assert take(bucket, 100).count == 0


def test_when_redis_goes_away_the_database_keeps_the_pace(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    buckets._redis_rests_until = 0.0
    bucket = Bucket("orphan", 50)
    began = time.monotonic()
    total = 0
    while time.monotonic() - began < 0.4:
        total += take(bucket, 1000).count
    assert 0 < total <= 50 * (time.monotonic() - began) + 50 * BURST_SECONDS
    assert PaceBucket.objects.filter(name="orphan").exists()
    assert buckets._redis_rests_until > time.monotonic(), "a Redis that is away costs no time-out for every mail"
    buckets._redis_rests_until = 0.0
