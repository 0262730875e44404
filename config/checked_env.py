"""Reads environment variables, each checked; what is wrong is collected, so that one start names every mistake."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import re
import zoneinfo
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import idna

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
# RFC 5321: 64 characters before the @, of which "+" and the tag (newsletter/tokens.py) take 43.
BOUNCE_LOCAL_LENGTH = 21
_DOMAIN = re.compile(r"[^\s=,@/:]+\.[^\s=,@/:.]+")
_BOUNCE_ADDRESS = re.compile(rf"[A-Za-z0-9._-]{{1,{BOUNCE_LOCAL_LENGTH}}}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def is_loopback(host: str) -> bool:
    """Says whether only this machine can reach `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ascii_domain(domain: str) -> str:
    """As it stands on the wire."""
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain


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

    def percent(self, name: str, *, default: str) -> float:
        """A share from 0 to 100, with up to three decimals."""
        raw = self.text(name, default=default)
        if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", raw) is None or float(raw) > 100:
            self.wrong.append(f'{name} is "{raw}". Write a percentage from 0 to 100, such as {default}; 0 never halts.')
            return float(default)
        return float(raw)

    def stages(self, name: str, *, default: str) -> tuple[tuple[float, int], ...]:
        """(percent, seconds to wait after it) of each stage but the last. Written 1% 30m 10% 60m"""
        raw = self.text(name, default=default)
        found = re.fullmatch(r"(?:\d{1,2}(?:\.\d{1,2})?% +\d{1,5}[mh]\s*)+", raw)
        pairs = re.findall(r"([\d.]+)% +(\d+)([mh])", raw) if found else []
        stages = tuple((float(share), int(count) * (60 if unit == "m" else 3600)) for share, count, unit in pairs)
        if not stages or sum(share for share, _ in stages) >= 100 or not all(share for share, _ in stages):
            self.wrong.append(f'{name} is "{raw}". Write shares and the waits after them, such as {default}.')
            return ()
        return stages

    def warm_ups(self, name: str, providers: Sequence[str]) -> dict[str, tuple[date, tuple[int, ...]]]:
        """Of each provider ("" for all): the first day, and recipients of that day and those after it.

        Written 2026-12-01 50 100 200, or mailgun 2026-12-01 50 100; smtp 2026-12-08 20 40
        """
        found: dict[str, tuple[date, tuple[int, ...]]] = {}
        for part in filter(None, map(str.strip, self.text(name, default="").split(";"))):
            match = re.fullmatch(r"(?:([a-z0-9][a-z0-9_-]*) +)?(\d{4}-\d{2}-\d{2})((?: +\d{1,9})+)", part)
            try:
                first = date.fromisoformat(match[2] if match else "")
            except ValueError:
                self.wrong.append(f'{name} has "{part}". Write a day and figures, such as 2026-12-01 50 100 200 400.')
                continue
            assert match is not None
            if match[1] and match[1] not in providers:  # left out, a new address would have no cap at all
                self.wrong.append(f'{name} names "{match[1]}", and EMAIL_URL has {", ".join(providers)}.')
                continue
            found[match[1] or ""] = (first, tuple(map(int, match[3].split())))
        return found

    def domain_rates(self, name: str) -> dict[str, tuple[str, float]]:
        """Of each domain: the name its group shares, and recipients a second. Written naver.com=20 hanmail.net,daum.net=10"""
        rates: dict[str, tuple[str, float]] = {}
        for word in self.text(name, default="").split():
            domains, found, raw = word.lower().rpartition("=")
            names = [domain.strip(".@") for domain in domains.split(",")]
            good = re.fullmatch(r"\d{1,6}(\.\d{1,3})?", raw) is not None and float(raw) > 0
            if not (good and found and all(_DOMAIN.fullmatch(domain) for domain in names)):
                self.wrong.append(f'{name} has "{word}". Write a domain and recipients a second, such as naver.com=20.')
                continue
            twice = [domain for domain in names if _ascii_domain(domain) in rates]
            if twice:
                self.wrong.append(f"{name} has {twice[0]} twice: write one rate for it.")
                continue
            rates |= {_ascii_domain(domain): (_ascii_domain(names[0]), float(raw)) for domain in names}
        return rates

    def choice(self, name: str, *, default: str, among: Sequence[str]) -> str:
        """One of a few words."""
        raw = self.text(name, default=default)
        if raw not in among:
            self.wrong.append(f'{name} is "{raw}". Write one of {", ".join(among)}.')
            return default
        return raw

    def address(self, name: str) -> str:
        """An email address, or an empty text."""
        raw = self.text(name, default="")
        local, _, domain = raw.rpartition("@")
        if raw and (not local or "." not in domain or any(character.isspace() for character in raw)):
            self.wrong.append(f'{name} is "{raw}", which is no address. Write one like operator@example.com.')
            return ""
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

    def dkim_keys(self, name: str) -> tuple[Any, ...]:
        """Keys from `domain:selector:path` entries; each is read now, so that a wrong one stops the start and not an issue."""
        entries = self.words(name)
        if not entries:
            return ()
        from newsletter.delivery.dkim import DkimKeyError, load_key  # not for those who do not sign: it takes 0.1 s

        keys = []
        for entry in entries:
            domain, _, rest = entry.partition(":")
            selector, _, path = rest.partition(":")
            if not path:
                self.wrong.append(
                    f'{name} has "{entry}". Write domain:selector:path, such as example.com:s1:/keys/s1.pem.'
                )
                continue
            try:
                keys.append(load_key(domain, selector, Path(path)))
            except DkimKeyError as error:
                self.wrong.append(f'{name} has "{entry}": {error}. See docs/operations.md, "Signing mail".')
        if len({key.record_name for key in keys}) < len(keys):
            self.wrong.append(f"{name} names one selector of one domain twice: each key needs a selector of its own.")
        return tuple(keys)

    def bounce_address(self, name: str) -> str:
        """An ASCII address whose local part leaves room for the tag."""
        raw = self.text(name, default="")
        if raw and not _BOUNCE_ADDRESS.fullmatch(raw):
            self.wrong.append(
                f'{name} is "{raw}". Write an address such as bounces@news.example.com: ASCII, no plus sign,'
                f" at most {BOUNCE_LOCAL_LENGTH} characters before the @."
            )
            return ""
        return raw

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
                f"{name} names resend, and its signature needs the package svix, which Sosik does not carry. "
                f"Set {ANYMAIL_PREFIX}{WEBHOOK_SECRET} in place of {ANYMAIL_PREFIX}RESEND_SIGNING_SECRET."
            )
        return providers
