"""`manage.py doctor`, as an operator meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone

from newsletter.delivery.email_url import ProviderSettings
from newsletter.models import Issue
from tests.factories import make_issue, make_list
from tests.newsletter.delivery.conftest import receiver  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
LONG_AGO = timedelta(minutes=10)


def doctor() -> tuple[str, bool]:
    """What the doctor says, and whether it found nothing wrong."""
    out = StringIO()
    try:
        call_command("doctor", stdout=out, no_color=True)
    except CommandError:
        return out.getvalue(), False
    return out.getvalue(), True


@pytest.mark.usefixtures("receiver")
def test_the_doctor_is_content_with_a_mail_server_that_answers(settings: LazySettings) -> None:
    settings.REDIS_URL = ""  # no worker runs beside this test

    page, is_well = doctor()

    assert is_well, page
    assert "PIPELINING" in page
    assert "nothing is overdue" in page


def test_the_doctor_says_what_to_do_when_no_mail_server_listens(settings: LazySettings) -> None:
    settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=1),)

    page, is_well = doctor()

    assert not is_well
    assert "no connection to 127.0.0.1:1" in page
    assert "Check host and port in EMAIL_URL" in page


@pytest.mark.usefixtures("receiver")
def test_the_doctor_finds_a_server_without_the_tls_it_was_promised(settings: LazySettings) -> None:
    settings.PROVIDERS = (replace(settings.PROVIDERS[0], starttls=True),)

    page, is_well = doctor()

    assert not is_well
    assert "offers no STARTTLS" in page


@pytest.mark.usefixtures("receiver")
def test_the_doctor_says_that_redis_is_away(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    page, is_well = doctor()

    assert not is_well
    assert "Start Redis, or correct REDIS_URL." in page


@pytest.mark.usefixtures("receiver")
def test_the_doctor_sees_that_the_clock_stands_still() -> None:
    make_issue(make_list(), status=Issue.Status.SCHEDULED, scheduled_at=timezone.now() - LONG_AGO)

    page, is_well = doctor()

    assert not is_well
    assert "1 issue is overdue" in page


def test_the_doctor_finds_a_database_without_tables(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "SOSIK_ENV_FILE": "",
            "DEBUG": "1",
            "DATA_DIR": str(tmp_path),
            "EMAIL_URL": "smtp://127.0.0.1:1",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 1
    assert "manage.py migrate" in found.stdout
    assert "overdue" not in found.stdout, "it would only ask tables that are not there"


def test_the_doctor_says_of_a_provider_what_a_start_can_know(settings: LazySettings) -> None:
    settings.PROVIDERS = (ProviderSettings("api", esp="mailgun", name="eu"),)
    settings.ANYMAIL = {"MAILGUN_API_KEY": "key"}
    assert "ok   mail      eu: API of mailgun; send a test" in doctor()[0]
    settings.ANYMAIL = {}
    page, is_well = doctor()
    assert not is_well
    assert "MAILGUN_API_KEY" in page
