"""Who may come in, and how."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLPattern, reverse

from newsletter.desk import entrance
from newsletter.desk.urls import urlpatterns

pytestmark = pytest.mark.django_db

# name -> what its address needs. A route without a row fails the first test below.
ROUTES: dict[str, dict[str, Any]] = {
    "login": {},
    "enter": {"token": "nonsense"},
    "language": {},
    "logout": {},
    "account": {},
    "issues": {},
    "start": {},
    "upload": {},
    "ask": {"pk": 1, "action": "send"},
    "lists": {},
    "list-new": {},
    "list": {"slug": "morning"},
    "list-edit": {"slug": "morning"},
    "subscribers": {},
}
OF_AN_ISSUE = ("issue", "write", "preview", "findings", "watch", "progress", "read")
ACTS = ("test", "schedule", "send", "undo", "unschedule", "pause", "resume", "cancel", "retry", "resend", "accept")
ROUTES |= {name: {"pk": 1} for name in (*OF_AN_ISSUE, *ACTS)}
OPEN_TO_ALL = {"login", "enter", "language"}
POST_ONLY = {"logout", "upload", "findings", *ACTS}


def make_editor() -> User:
    return User.objects.create_user(username="editor@example.org", email="editor@example.org")


def test_every_route_has_a_row_in_the_table() -> None:
    assert {pattern.name for pattern in urlpatterns if isinstance(pattern, URLPattern)} == set(ROUTES)


@pytest.mark.parametrize("name", sorted(set(ROUTES) - OPEN_TO_ALL))
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_led_to_the_login_page(client: Client, name: str, method: str) -> None:
    path = reverse(f"desk:{name}", kwargs=ROUTES[name])
    response = getattr(client, method)(path)
    assert (response.status_code, response["Location"]) == (302, f"{reverse('desk:login')}?next={path}")


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_an_act_refuses_get(desk: Client, name: str) -> None:
    assert desk.get(reverse(f"desk:{name}", kwargs=ROUTES[name])).status_code == 405


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_an_act_refuses_a_post_from_another_site(name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_editor())
    assert client.post(reverse(f"desk:{name}", kwargs=ROUTES[name])).status_code == 403


def test_a_fragment_asked_for_after_the_session_ended_reloads_the_page(client: Client) -> None:
    response = client.get(reverse("desk:progress", args=[1]), headers={"HX-Request": "true"})
    assert response.headers["HX-Refresh"] == "true"


def test_a_one_time_link_shows_a_button_and_works_once(client: Client) -> None:
    link = entrance.make_login_link(make_editor())
    assert b"<button" in client.get(link).content
    assert "_auth_user_id" not in client.session  # a mail scanner that follows links spends nothing

    assert client.post(link).status_code == 302
    assert client.get(reverse("desk:issues")).status_code == 200

    stranger = Client()
    assert stranger.post(link).status_code == 410
    assert "_auth_user_id" not in stranger.session


def test_a_one_time_link_dies_with_a_day_a_login_a_new_password_and_a_closed_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_editor()
    token = entrance.make_login_link(user).split("/")[-2]
    assert entrance.read_login_token(token) == user

    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + timedelta(days=1, seconds=2).total_seconds())
    assert entrance.read_login_token(token) is None
    monkeypatch.undo()

    user.set_password("a long new sentence")
    user.save()
    assert entrance.read_login_token(token) is None

    token = entrance.make_login_link(user).split("/")[-2]
    User.objects.update(is_active=False)
    assert entrance.read_login_token(token) is None
    assert entrance.read_login_token(token[:-1] + "x") is None


def test_invite_creates_an_editor_once_and_prints_a_link_that_works(client: Client, settings: Any) -> None:
    settings.SITE_URL = "https://news.example.org"
    for _ in range(2):
        out = StringIO()
        call_command("invite", "New@Example.org", stdout=out)
    link = out.getvalue().strip()
    assert User.objects.count() == 1
    assert link.startswith("https://news.example.org/desk/enter/")
    assert client.post(link.removeprefix("https://news.example.org")).status_code == 302
    assert not User.objects.get().has_usable_password()

    with pytest.raises(CommandError, match="not an email address"):
        call_command("invite", "nobody")


def test_an_invited_editor_sets_a_password_and_logs_in_with_it(client: Client) -> None:
    user = make_editor()
    client.post(entrance.make_login_link(user))
    passwords = {"new_password1": "아침마다 좋은 소식", "new_password2": "아침마다 좋은 소식"}
    assert client.post(reverse("desk:account"), passwords).status_code == 302
    client.post(reverse("desk:logout"))
    assert client.get(reverse("desk:issues")).status_code == 302

    login = {"username": user.username, "password": "아침마다 좋은 소식"}
    assert client.post(reverse("desk:login"), login)["Location"] == reverse("desk:issues")


def test_the_language_switch_is_a_post_and_is_remembered(desk: Client) -> None:
    desk.post(reverse("desk:language"), {"language": "ko", "next": "/desk/"})
    assert b'<html lang="ko">' in desk.get(reverse("desk:issues")).content
