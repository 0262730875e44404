"""What every test may count on; the settings are in tests/settings.py."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def forget_links() -> Iterator[None]:
    """Tests use the same numbers for other issues: the redirect must not remember the last test's links."""
    yield
    from newsletter.public.clicking import link_url

    link_url.cache_clear()
