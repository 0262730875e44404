"""What the environment may say, and how a start is refused: every mistake at once, each with its name and what to write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.checked_env import DEVELOPMENT_KEY, CheckedEnv, is_loopback

ROOT = Path(__file__).resolve().parents[1]
GOOD = {
    "SECRET_KEY": "k" * 48,
    "SITE_URL": "https://news.example.com",
    "EMAIL_URL": "smtp://user:password@mail.example.com:587/?tls",
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    return monkeypatch


def start(folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code of `manage.py check` in exactly this environment, and what it prints on stderr."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"SOSIK_ENV_FILE": "", "DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


# --- a real start -----------------------------------------------------------------------------------------------------


def test_a_complete_environment_starts(tmp_path: Path) -> None:
    assert start(tmp_path, **GOOD) == (0, "")


def test_debug_alone_starts_on_the_embedded_default(tmp_path: Path) -> None:
    assert start(tmp_path, DEBUG="1") == (0, "")


def test_without_debug_every_insecure_default_is_refused_at_once(tmp_path: Path) -> None:
    code, words = start(tmp_path)

    assert code == 1
    assert "Traceback" not in words
    assert [line.split()[1] for line in words.splitlines() if line.startswith("  - ")] == [
        "SECRET_KEY",
        "SITE_URL",
        "EMAIL_URL",
    ]


def test_all_wrong_values_are_listed_at_once_by_name(tmp_path: Path) -> None:
    wrong = {
        "BATCH_SIZE": "many",
        "SMTP_WINDOW": "0",
        "TIME_ZONE": "Asia/Soul",
        "DATABASE_URL": "mysql://localhost/sosik",
        "REDIS_URL": "localhost:6379",
        "LOG_LEVEL": "LOUD",
        "BEHIND_PROXY": "perhaps",
    }

    code, words = start(tmp_path, **GOOD, **wrong)

    assert code == 1
    assert {line.split()[1] for line in words.splitlines() if line.startswith("  - ")} == set(wrong)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": DEVELOPMENT_KEY}, "SECRET_KEY"),
        ({"SITE_URL": "http://news.example.com"}, "SITE_URL"),
        ({"EMAIL_URL": ""}, "EMAIL_URL"),
        ({"WEBHOOK_PROVIDERS": "mailgun"}, "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"),
    ],
)
def test_without_debug_one_insecure_value_is_enough_to_refuse(
    tmp_path: Path, changes: Mapping[str, str], name: str
) -> None:
    code, words = start(tmp_path, **{**GOOD, **changes})

    assert code == 1
    assert name in words
    assert words.count("  - ") == 1


def test_a_secret_never_stands_in_a_refusal(tmp_path: Path) -> None:
    secrets = {
        "SECRET_KEY": "hunter2",
        "DATABASE_URL": "mysql://sosik:hunter2@localhost/sosik",
        "REDIS_URL": "http://:hunter2@localhost",
        "EMAIL_URL": "pop3://user:hunter2@mail.example.com",
    }

    code, words = start(tmp_path, **{**GOOD, **secrets})

    assert code == 1
    assert "hunter2" not in words


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sosik.env"
    file.write_text("\n".join(f"{name}={value}" for name, value in {**GOOD, "TICK_SECONDS": "0"}.items()))

    assert "TICK_SECONDS" in start(tmp_path, SOSIK_ENV_FILE=str(file))[1]
    assert start(tmp_path, SOSIK_ENV_FILE=str(file), TICK_SECONDS="5") == (0, "")


# --- one kind of value after the other --------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["1", "true", "Yes", "ON"])
def test_a_flag_says_yes_in_several_ways(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("FLAG", raw)
    assert CheckedEnv().flag("FLAG", default=False)


def test_an_empty_variable_counts_as_not_set(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("NUMBER", " ")
    env = CheckedEnv()
    assert env.number("NUMBER", default=7, low=1, high=9) == 7
    assert env.wrong == []


@pytest.mark.parametrize("raw", ["0", "10", "-1", "1.5", "³", "one"])
def test_a_number_out_of_bounds_or_shape_falls_back_and_is_reported(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("NUMBER", raw)
    env = CheckedEnv()
    assert env.number("NUMBER", default=7, low=1, high=9) == 7
    assert env.wrong == [f'NUMBER is "{raw}". Write a whole number from 1 to 9.']


@pytest.mark.parametrize(
    "raw",
    [
        "news.example.com",
        "ftp://news.example.com",
        "https://news.example.com/path",
        "https://news.example.com?x=1",
        "https://news.example.com#top",
        "https://user@news.example.com",
        "https://",
        "https://[::1",
        "https://news.example.com:port",
        "https://소식.example.com",
    ],
)
def test_a_site_url_is_scheme_and_host_only(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("SITE_URL", raw)
    env = CheckedEnv()
    env.site_url("SITE_URL", debug=True)
    assert len(env.wrong) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "sosik.localhost"])
def test_plain_http_is_good_enough_on_this_machine(bare: pytest.MonkeyPatch, host: str) -> None:
    bare.setenv("SITE_URL", f"http://{host}:8000/")
    env = CheckedEnv()
    assert env.site_url("SITE_URL", debug=False) == f"http://{host}:8000"
    assert env.wrong == []


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


@pytest.mark.parametrize(
    ("raw", "port", "starttls", "tls"),
    [
        ("smtp://mail.example.com", 25, False, False),
        ("smtp://mail.example.com/?tls", 587, True, False),
        ("smtp://mail.example.com:2525/?tls=1", 2525, True, False),
        ("smtps://mail.example.com", 465, False, True),
        ("smtps://mail.example.com/?tls", 465, False, True),
    ],
)
def test_an_smtp_address_says_port_and_encryption(
    bare: pytest.MonkeyPatch, raw: str, port: int, starttls: bool, tls: bool
) -> None:
    bare.setenv("EMAIL_URL", raw)
    env = CheckedEnv()
    (found,) = env.providers("EMAIL_URL", {}, debug=False)
    assert (found.host, found.port, found.starttls, found.tls) == ("mail.example.com", port, starttls, tls)
    assert env.wrong == []


def test_a_password_with_signs_of_its_own_is_written_percent_encoded(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("EMAIL_URL", "smtp://news%40example.com:p%40ss%3Aword%2F@mail.example.com")
    (found,) = CheckedEnv().providers("EMAIL_URL", {}, debug=False)
    assert (found.user, found.password) == ("news@example.com", "p@ss:word/")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("smtp:", 'starts with "smtp:". Write smtp://host'),
        ("smtp://", 'starts with "smtp:". Write smtp://host'),
        ("mail.example.com", 'starts with ":"'),
        ("smtp://mail.example.com:port", "has no usable host and port"),
        ("provider:mailgun", "ANYMAIL_MAILGUN_API_KEY is not set"),
        ("provider:mailjet", "ANYMAIL_MAILJET_API_KEY and ANYMAIL_MAILJET_SECRET_KEY is not set"),
        ("provider:sendgrid", "not known here. Known are amazon_ses, brevo"),
        ("smtp://a.example.com smtp://b.example.com", 'names "smtp" twice. Give one of them another name'),
        ("inbox: smtp://a.example.com", "The built-in inbox stands alone"),
        ("smtp://a.example.com/?weight=0", "has weight=0. Write a whole number from 1 to 1000"),
        ("smtp://a.example.com/?per_day=many", "has per_day=many"),
        ("smtp://a.example.com/?name=A+B", 'has the name "A B"'),
        ("smtp://a.example.com/?speed=9", 'has an option "speed". Known are name, tls'),
        ("smtp://good.example.com pop3://u:hunter2@b.example.com", "has a mistake in its address 2: it starts"),
    ],
)
def test_a_mail_address_that_leads_nowhere_is_refused_and_says_why(
    bare: pytest.MonkeyPatch, raw: str, words: str
) -> None:
    bare.setenv("EMAIL_URL", raw)
    env = CheckedEnv()
    env.providers("EMAIL_URL", {}, debug=False)
    assert len(env.wrong) == 1
    assert env.wrong[0].startswith("EMAIL_URL ")
    assert words in env.wrong[0]
    assert "hunter2" not in env.wrong[0]


def test_several_addresses_share_the_mail_by_weight_and_keep_to_their_limits(bare: pytest.MonkeyPatch) -> None:
    bare.setenv(
        "EMAIL_URL", "provider:mailgun?weight=3&per_day=50000\n smtp://mail.example.com/?tls&name=own&per_second=5"
    )
    env = CheckedEnv()
    first, second = env.providers("EMAIL_URL", {"MAILGUN_API_KEY": "key"}, debug=False)
    assert env.wrong == []
    assert (first.kind, first.esp, first.name, first.weight, first.per_day) == ("api", "mailgun", "mailgun", 3, 50_000)
    assert (second.kind, second.name, second.starttls, second.port) == ("smtp", "own", True, 587)
    assert (second.weight, second.per_second, second.per_day) == (1, 5, 0)


def test_sqlite_is_opened_so_that_several_processes_can_write(bare: pytest.MonkeyPatch) -> None:
    options = CheckedEnv().database("DATABASE_URL", default="sqlite:////tmp/x.sqlite3")["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]
    assert "synchronous=FULL" in options["init_command"]


def test_postgres_is_taken_with_its_port_and_password(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DATABASE_URL", "postgres://sosik:p%40ss@db.example.com:5433/news")
    found = CheckedEnv().database("DATABASE_URL", default="")
    assert (found["HOST"], found["PORT"], found["PASSWORD"], found["NAME"]) == ("db.example.com", 5433, "p@ss", "news")


def test_anymail_settings_lose_their_prefix_and_json_stays_json(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("ANYMAIL_MAILGUN_API_KEY", "key")
    bare.setenv("ANYMAIL_WEBHOOK_SECRET", '["user:one", "user:two"]')
    bare.setenv("ANYMAIL_SEND_DEFAULTS", "{not json")
    env = CheckedEnv()
    assert env.anymail() == {"MAILGUN_API_KEY": "key", "WEBHOOK_SECRET": ["user:one", "user:two"]}
    assert env.wrong == ["ANYMAIL_SEND_DEFAULTS starts like JSON but is none."]


@pytest.mark.parametrize(
    ("provider", "anymail", "is_good"),
    [
        ("mailgun", {}, False),
        ("mailgun", {"MAILGUN_WEBHOOK_SIGNING_KEY": "key"}, True),
        ("mailgun", {"WEBHOOK_SECRET": "user:word"}, True),
        ("resend", {"RESEND_SIGNING_SECRET": "whsec_x"}, False),  # without the package that checks it
        ("resend", {"WEBHOOK_SECRET": "user:word"}, True),
        ("postmark", {}, False),
        ("postmark", {"WEBHOOK_SECRET": "user:word"}, True),
        ("nobody", {"WEBHOOK_SECRET": "user:word"}, False),
    ],
)
def test_a_webhook_is_open_only_with_something_that_proves_its_sender(
    bare: pytest.MonkeyPatch, provider: str, anymail: dict[str, str], is_good: bool
) -> None:
    bare.setenv("WEBHOOK_PROVIDERS", provider)
    env = CheckedEnv()
    env.webhook_providers("WEBHOOK_PROVIDERS", anymail)
    assert (not env.wrong) is is_good
    assert is_good or provider in env.wrong[0]
