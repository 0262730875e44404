"""What every test may count on; the settings are in tests/settings.py."""

import os
from collections.abc import Iterator

import pytest
import redis
from django.conf import LazySettings
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# The same examples on every run: a newcomer's test run must not fail by chance. HYPOTHESIS_SEARCH=1 looks for new ones.
# No clock judges them either: on a machine that others use too, it would find fault with the machine.
hypothesis_settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if os.environ.get("HYPOTHESIS_SEARCH") != "1":
    hypothesis_settings.load_profile("same")


@pytest.fixture(autouse=True)
def forget_links() -> Iterator[None]:
    """Tests use the same numbers for other issues: the redirect must not remember the last test's links."""
    yield
    from newsletter.public.clicking import link_url

    link_url.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def forget_witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The memory outside the database would outlive the run, a file for every issue ever made."""
    from newsletter.delivery import witness

    folder = tmp_path_factory.mktemp("witness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witness, "_folder", lambda: folder)
        yield


@pytest.fixture(autouse=True)
def speak_english() -> Iterator[None]:
    """A request in Korean leaves its thread in Korean; the next test must not hear it."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def empty_redis(settings: LazySettings) -> None:
    """Redis knows no transaction that ends with the test."""
    if settings.REDIS_URL:
        redis.Redis.from_url(settings.REDIS_URL).flushdb()
