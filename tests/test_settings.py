"""What the environment may say, and how a start is refused: every mistake at once, each with its name and what to write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
        ("mail.example.com", "is no address. Write smtp://host"),
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


# --- pace -------------------------------------------------------------------------------------------------------------


def test_domain_rates_are_read_with_groups_and_as_the_wire_spells_them(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DOMAIN_RATES", "naver.com=20 Hanmail.net,daum.net=0.5 한국.kr=1")
    env = CheckedEnv()
    assert env.domain_rates("DOMAIN_RATES") == {
        "naver.com": ("naver.com", 20.0),
        "hanmail.net": ("hanmail.net", 0.5),
        "daum.net": ("hanmail.net", 0.5),
        "xn--3e0b707e.kr": ("xn--3e0b707e.kr", 1.0),
    }
    assert env.wrong == []


@pytest.mark.parametrize(
    "raw",
    [
        "naver.com",
        "naver.com=",
        "=20",
        "naver.com=0",
        "naver.com=-1",
        "a,,b=3",
        "naver.com=x",
        "naver.com=abc,daum.net=2",
        "naver=2",
    ],
)
def test_a_domain_rate_that_is_none_is_refused(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("DOMAIN_RATES", raw)
    env = CheckedEnv()
    assert env.domain_rates("DOMAIN_RATES") == {}
    assert env.wrong == [f'DOMAIN_RATES has "{raw}". Write a domain and recipients a second, such as naver.com=20.']


def test_a_domain_with_two_rates_is_refused(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DOMAIN_RATES", "naver.com=1 daum.net,naver.com=2")
    env = CheckedEnv()
    env.domain_rates("DOMAIN_RATES")
    assert env.wrong == ["DOMAIN_RATES has naver.com twice: write one rate for it."]


def test_a_warm_up_of_a_provider_that_there_is_none_of_is_refused(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("WARMUP", "tow 2026-11-25 7 10")
    env = CheckedEnv()
    assert env.warm_ups("WARMUP", ["one", "two"]) == {}
    assert env.wrong == ['WARMUP names "tow", and EMAIL_URL has one, two.']


def test_stages_are_shares_and_the_waits_after_them(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("STAGES", "0.5% 10m 10% 2h")
    assert CheckedEnv().stages("STAGES", default="1% 30m") == ((0.5, 600), (10.0, 7200))


@pytest.mark.parametrize("raw", ["1%", "1% 30", "60% 1m 40% 1m", "0% 5m", "half", "1% 30m rest"])
def test_stages_that_leave_no_rest_or_no_wait_are_refused(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("STAGES", raw)
    env = CheckedEnv()
    env.stages("STAGES", default="1% 30m")
    assert len(env.wrong) == 1
    assert raw in env.wrong[0]


def test_a_warm_up_is_for_all_providers_or_for_one(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("WARMUP", "2026-12-01 50 100 200; mailgun 2026-12-08 20")
    env = CheckedEnv()
    assert env.warm_ups("WARMUP", ["mailgun", "smtp"]) == {
        "": (date(2026, 12, 1), (50, 100, 200)),
        "mailgun": (date(2026, 12, 8), (20,)),
    }
    assert env.wrong == []


@pytest.mark.parametrize("raw", ["50 100", "2026-12-01", "2026-13-01 50", "2026-12-01 fifty", "Mail gun 2026-12-01 5"])
def test_a_warm_up_without_a_day_or_a_figure_is_refused(bare: pytest.MonkeyPatch, raw: str) -> None:
    bare.setenv("WARMUP", raw)
    env = CheckedEnv()
    assert env.warm_ups("WARMUP", ["mailgun", "smtp"]) == {}
    assert len(env.wrong) == 1


@pytest.mark.parametrize(
    ("raw", "value"), [("0.1", 0.1), ("5", 5.0), ("0", 0.0), ("101", 3.0), ("-1", 3.0), ("1e1", 3.0)]
)
def test_a_percentage_lies_between_0_and_100(bare: pytest.MonkeyPatch, raw: str, value: float) -> None:
    bare.setenv("PERCENT", raw)
    env = CheckedEnv()
    assert env.percent("PERCENT", default="3") == value
    assert len(env.wrong) == (value == 3.0)


# --- signing and bounces ----------------------------------------------------------------------------------------------


def test_a_key_that_cannot_sign_stops_the_start_by_name(tmp_path: Path) -> None:
    code, words = start(tmp_path, **GOOD, DKIM_KEYS=f"news.example.com:s1:{tmp_path}/none.pem, news.example.com:s2")

    assert code == 1
    assert "Traceback" not in words
    assert f'DKIM_KEYS has "news.example.com:s1:{tmp_path}/none.pem"' in words
    assert 'DKIM_KEYS has "news.example.com:s2". Write domain:selector:path' in words


def test_good_keys_start_and_one_selector_twice_does_not(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert start(tmp_path, **GOOD, DKIM_KEYS=f"a.example:s1:{path},a.example:s2:{path}") == (0, "")
    bare.setenv("DKIM_KEYS", f"a.example:s1:{path},a.example:s1:{path}")
    env = CheckedEnv()
    env.dkim_keys("DKIM_KEYS")
    assert len(env.wrong) == 1
    assert "selector of its own" in env.wrong[0]


@pytest.mark.parametrize(
    ("raw", "is_good"),
    [
        ("bounces@news.example.com", True),
        ("b@localhost", False),
        ("bounces+x@news.example.com", False),
        ("반송@news.example.com", False),
        ("x" * 22 + "@news.example.com", False),
        ("bounces@news.example.com\r\nRCPT TO:<x@y>", False),
    ],
)
def test_a_bounce_address_leaves_room_for_its_tag(bare: pytest.MonkeyPatch, raw: str, is_good: bool) -> None:
    bare.setenv("BOUNCE_ADDRESS", raw)
    env = CheckedEnv()
    assert env.bounce_address("BOUNCE_ADDRESS") == (raw if is_good else "")
    assert (not env.wrong) is is_good
