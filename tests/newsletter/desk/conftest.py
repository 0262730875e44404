"""An editor who is logged in."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def desk() -> Client:
    """A browser at the desk."""
    client = Client()
    client.force_login(User.objects.create_user(username="editor@example.org", email="editor@example.org"))
    return client
