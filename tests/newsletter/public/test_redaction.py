"""What Django writes of a refused request names no token."""

import pytest
from django.test import Client

from newsletter.public.redaction import TokenFilter

TOKEN = "AAAAAQAAAAAAB7vkbZTvC7g4LKQ0"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/c/1/{}", "/u/{}", "/u/{}/", "/confirm/{}/", "/desk/enter/{}/x/"])
def test_a_refused_request_leaves_its_path_but_not_its_token(client: Client, caplog, path: str) -> None:
    caplog.handler.addFilter(TokenFilter())
    client.get(path.format(TOKEN))
    client.put(path.format(TOKEN))
    assert path.partition("{}")[0] + "…" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.django_db
def test_other_paths_are_written_as_they_are(client: Client, caplog) -> None:
    caplog.handler.addFilter(TokenFilter())
    client.get("/morning/2026-11-24-no-such-issue/")
    assert "/morning/2026-11-24-no-such-issue/" in caplog.text
