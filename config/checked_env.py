"""Reads environment variables, each checked; what is wrong is collected, so that one start names every mistake."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import zoneinfo
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import environ

from newsletter.delivery.email_url import ProviderSettings, read_email_url

# WAL alone gave 565 "database is locked" of 1,200 writes by several processes; IMMEDIATE transactions gave none.
# synchronous=FULL: a checkpoint says which mails may have left, so it must survive a power cut, not only a kill.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA temp_store=MEMORY;",
}
DEVELOPMENT_KEY = "development-only-" + "0" * 40
DEVELOPMENT_SITE = "http://127.0.0.1:8000"
ANYMAIL_PREFIX = "ANYMAIL_"
# What proves that a webhook is the provider's: its own signature where Anymail checks one, else WEBHOOK_SECRET (basic auth).
WEBHOOK_PROOFS = {
    "mailersend": "MAILERSEND_SIGNING_SECRET",
    "mailgun": "MAILGUN_WEBHOOK_SIGNING_KEY",
    "mandrill": "MANDRILL_WEBHOOK_KEY",
    "postal": "POSTAL_WEBHOOK_KEY",
    "resend": "RESEND_SIGNING_SECRET",
    "unisender_go": "UNISENDER_GO_API_KEY",
}
WEBHOOK_SECRET = "WEBHOOK_SECRET"  # noqa: S105  (a setting's name)
WEBHOOKS_BY_SECRET = {"amazon_ses", "brevo", "mailjet", "mailtrap", "postmark", "sparkpost"}


def is_loopback(host: str) -> bool:
    """Says whether only this machine can reach `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class CheckedEnv:
    """Values of the environment; `wrong` holds one sentence for each that cannot be used."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def text(self, name: str, *, default: str) -> str:
        """The variable as it stands; an empty one counts as not set."""
        return os.environ.get(name, "").strip() or default

    def words(self, name: str) -> list[str]:
        """A comma-separated list."""
        return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes or no."""
        raw = self.text(name, default="1" if default else "0").lower()
        if raw in {"1", "true", "yes", "on"}:
            return True
        if raw not in {"0", "false", "no", "off"}:
            self.wrong.append(f'{name} is "{raw}". Write 1 or 0.')
        return False

    def number(self, name: str, *, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        raw = self.text(name, default=str(default))
        if not raw.isdecimal() or not low <= int(raw) <= high:
            self.wrong.append(f'{name} is "{raw}". Write a whole number from {low} to {high}.')
            return default
        return int(raw)

    def choice(self, name: str, *, default: str, among: Sequence[str]) -> str:
        """One of a few words."""
        raw = self.text(name, default=default)
        if raw not in among:
            self.wrong.append(f'{name} is "{raw}". Write one of {", ".join(among)}.')
            return default
        return raw

    def zone(self, name: str, *, default: str) -> str:
        """A time zone's name."""
        raw = self.text(name, default=default)
        try:
            zoneinfo.ZoneInfo(raw)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            self.wrong.append(f'{name} is "{raw}", which is no time zone. Write a name such as Asia/Seoul or UTC.')
            return default
        return raw

    def secret(self, name: str, *, debug: bool) -> str:
        """The signing key: at least 32 characters, never the development key outside DEBUG."""
        raw = self.text(name, default=DEVELOPMENT_KEY if debug else "")
        if not debug and (len(raw) < 32 or raw == DEVELOPMENT_KEY):
            found = "not set" if not raw else "too short or publicly known"
            self.wrong.append(
                f"{name} is {found}. Set it to at least 32 random characters "
                '(python3 -c "import secrets; print(secrets.token_urlsafe(48))"), or use `make run`, which makes one.'
            )
        return raw or DEVELOPMENT_KEY

    def site_url(self, name: str, *, debug: bool) -> str:
        """The public address, without a path; plain http only on this machine."""
        raw = self.text(name, default=DEVELOPMENT_SITE if debug else "").rstrip("/")
        if not raw:
            self.wrong.append(f"{name} is not set. Write the public address, such as https://news.example.com.")
            return DEVELOPMENT_SITE
        try:
            parts = urlsplit(raw)
            more = parts.path or parts.query or parts.fragment or parts.username is not None
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not more and parts.port != 0
            good = good and raw.isascii()  # it stands in List-Unsubscribe, which must be one ASCII address
        except ValueError:
            good = False
        if not good:
            self.wrong.append(
                f'{name} is "{raw}". Write scheme and host only, in ASCII, such as https://news.example.com.'
            )
            return DEVELOPMENT_SITE
        if parts.scheme == "http" and not debug and not is_loopback(parts.hostname or ""):
            self.wrong.append(
                f'{name} is "{raw}", which is not encrypted. Use https: one-click unsubscribe (RFC 8058) needs it.'
            )
        return raw

    def database(self, name: str, *, default: str) -> dict[str, Any]:
        """Django's database settings from a URL; SQLite and PostgreSQL only."""
        raw = self.text(name, default=default)
        try:
            settings: dict[str, Any] = dict(environ.Env.db_url_config(raw))
        except Exception:  # django-environ raises several kinds for a malformed URL
            settings = {}
        engine = str(settings.get("ENGINE", "")).rpartition(".")[2]
        match engine:
            case "sqlite3":
                settings["OPTIONS"] = dict(SQLITE_OPTIONS)
            case "postgresql":
                settings["CONN_MAX_AGE"] = 60  # seconds
                settings["CONN_HEALTH_CHECKS"] = True
            case _:
                self.wrong.append(f"{name} is not a sqlite:/// or postgres:// address.")
        return settings

    def redis_url(self, name: str) -> str:
        """Redis' address, or nothing for the embedded default."""
        raw = self.text(name, default="")
        if raw and urlsplit(raw).scheme not in {"redis", "rediss", "unix"}:
            self.wrong.append(f"{name} is not a redis:// address. Leave it empty for the embedded default.")
        return raw

    def providers(self, name: str, anymail: dict[str, Any], *, debug: bool) -> tuple[ProviderSettings, ...]:
        """Where mail goes: one address, or several separated by white space; the built-in inbox where they cannot be used."""
        raw = self.text(name, default="inbox:" if debug else "")
        inbox_port = self.number("INBOX_SMTP_PORT", default=8025, low=1, high=65535)
        providers, wrong = read_email_url(raw, anymail, inbox_port)
        self.wrong += [f"{name} {sentence}" for sentence in wrong]
        return providers or (ProviderSettings("inbox", port=inbox_port),)

    def anymail(self) -> dict[str, Any]:
        """Anymail's settings: ANYMAIL_MAILGUN_API_KEY becomes MAILGUN_API_KEY; a JSON object stays one."""
        found: dict[str, Any] = {}
        for name, value in os.environ.items():
            if name.startswith(ANYMAIL_PREFIX) and value:
                key = name.removeprefix(ANYMAIL_PREFIX)
                try:
                    found[key] = json.loads(value) if value.startswith(("{", "[")) else value
                except ValueError:
                    self.wrong.append(f"{name} starts like JSON but is none.")
        return found

    def webhook_providers(self, name: str, anymail: dict[str, Any]) -> list[str]:
        """Names of Anymail providers, each with what proves its webhooks: an open address would take anybody's word."""
        providers = self.words(name)
        for provider in providers:
            proof = WEBHOOK_PROOFS.get(provider, WEBHOOK_SECRET if provider in WEBHOOKS_BY_SECRET else "")
            if not proof:
                known = ", ".join(sorted(WEBHOOK_PROOFS | dict.fromkeys(WEBHOOKS_BY_SECRET, "")))
                self.wrong.append(f'{name} names "{provider}", which is not known here. Known are {known}.')
            elif not anymail.get(proof) and not anymail.get(WEBHOOK_SECRET):
                self.wrong.append(
                    f"{name} names {provider}, but {ANYMAIL_PREFIX}{proof} is not set: anybody could send its events."
                )
        if "resend" in providers and anymail.get("RESEND_SIGNING_SECRET") and importlib.util.find_spec("svix") is None:
            self.wrong.append(
                f"{name} names resend, and its signature needs the package svix. Run .venv/bin/uv pip install svix, or "
                f"set {ANYMAIL_PREFIX}{WEBHOOK_SECRET} in place of {ANYMAIL_PREFIX}RESEND_SIGNING_SECRET."
            )
        return providers
