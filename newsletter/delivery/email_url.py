"""EMAIL_URL: where mail goes. One address or several, each a server or a provider, with its weight and limits."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Kind = Literal["inbox", "smtp", "api"]

# The providers that `provider:` may name, and which of Anymail's settings each cannot do without (anymail/backends, 15.0).
PROVIDER_KEYS: dict[str, tuple[str, ...]] = {
    "amazon_ses": (),  # its keys come from boto3: environment, profile or instance role
    "brevo": ("BREVO_API_KEY",),
    "mailersend": ("MAILERSEND_API_TOKEN",),
    "mailgun": ("MAILGUN_API_KEY",),
    "mailjet": ("MAILJET_API_KEY", "MAILJET_SECRET_KEY"),
    "mailtrap": ("MAILTRAP_API_TOKEN",),
    "mandrill": ("MANDRILL_API_KEY",),
    "postal": ("POSTAL_API_KEY", "POSTAL_API_URL"),
    "postmark": ("POSTMARK_SERVER_TOKEN",),
    "resend": ("RESEND_API_KEY",),
    "scaleway": ("SCALEWAY_SECRET_KEY", "SCALEWAY_PROJECT_ID"),
    "sparkpost": ("SPARKPOST_API_KEY",),
    "unisender_go": ("UNISENDER_GO_API_KEY", "UNISENDER_GO_API_URL"),
}
# (least, most) of each number an address may carry; a limit of 0 is none.
_BOUNDS = {"weight": (1, 1000), "per_second": (0, 100_000), "per_day": (0, 100_000_000)}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")  # 40 as Batch.provider has


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One way out. `name` stands in the database and the log; `weight` is its share among several; a limit of 0 is none."""

    kind: Kind
    host: str = "127.0.0.1"
    port: int = 25
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False
    esp: str = ""  # Anymail's name of it, for kind "api"
    name: str = ""
    weight: int = 1
    per_second: int = 0  # recipients
    per_day: int = 0  # recipients

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.esp or self.kind)


def read_email_url(
    raw: str, anymail: dict[str, Any], inbox_port: int
) -> tuple[tuple[ProviderSettings, ...], list[str]]:
    """(the ways out in their order, what is wrong); a sentence goes on behind the variable's name and shows no password."""
    if not raw:
        advice = "Write smtp://user:password@host:587/?tls, provider:mailgun, or inbox: for a trial."
        return (), [f"is not set. {advice}"]
    providers: list[ProviderSettings] = []
    wrong: list[str] = []
    for number, address in enumerate(raw.split(), 1):
        try:
            providers.append(_read_address(address, anymail, inbox_port))
        except ValueError as error:
            place = f"has a mistake in its address {number}: it" if len(raw.split()) > 1 else ""
            wrong.append(f"{place} {error}".strip())
    twice = [name for name, count in Counter(provider.name for provider in providers).items() if count > 1]
    if twice:
        wrong.append(f'names "{twice[0]}" twice. Give one of them another name: ?name=second.')
    if len(providers) > 1 and any(provider.kind == "inbox" for provider in providers):
        wrong.append("has inbox: beside others. The built-in inbox stands alone.")
    return tuple(providers), wrong


def _read_address(address: str, anymail: dict[str, Any], inbox_port: int) -> ProviderSettings:
    """Raises ValueError with the rest of a sentence that begins with the variable's name."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError("has no usable host and port. Write smtp://user:password@host:587/?tls.") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    starttls = options.pop("tls", None) is not None
    common = _read_options(options)
    match parts.scheme:
        case "inbox":
            return ProviderSettings("inbox", port=inbox_port, **common)
        case "provider":
            return _read_provider(parts, anymail, common)
        case "smtp" | "smtps" if parts.hostname:
            tls = parts.scheme == "smtps"
            return ProviderSettings(
                "smtp",
                host=parts.hostname,
                port=port or (465 if tls else 587 if starttls else 25),
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                starttls=starttls and not tls,
                tls=tls,
                **common,
            )
        case "":
            raise ValueError("is no address. Write smtp://host, smtps://host, provider:name or inbox:.")
        case _:
            raise ValueError(
                f'starts with "{parts.scheme}:". Write smtp://host, smtps://host, provider:name or inbox:.'
            )


def _read_provider(parts: SplitResult, anymail: dict[str, Any], common: dict[str, Any]) -> ProviderSettings:
    esp = parts.path
    if esp not in PROVIDER_KEYS:
        known = ", ".join(sorted(PROVIDER_KEYS))
        raise ValueError(f"names provider:{esp}, which is not known here. Known are {known}.")
    missing = [f"ANYMAIL_{key}" for key in PROVIDER_KEYS[esp] if not anymail.get(key)]
    if missing:
        raise ValueError(
            f"names provider:{esp}, but {' and '.join(missing)} is not set. Copy it from the provider's pages."
        )
    if esp == "amazon_ses" and importlib.util.find_spec("boto3") is None:
        raise ValueError("names provider:amazon_ses, which needs boto3. Run: .venv/bin/uv sync --frozen --extra ses")
    return ProviderSettings("api", esp=esp, **common)


def _read_options(options: dict[str, str]) -> dict[str, Any]:
    common: dict[str, Any] = {}
    for option, value in options.items():
        if option == "name":
            if not _NAME.fullmatch(value):
                raise ValueError(f'has the name "{value}". Write up to 40 small letters, digits, - or _.')
            common["name"] = value
        elif option in _BOUNDS:
            low, high = _BOUNDS[option]
            if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
                raise ValueError(f"has {option}={value}. Write a whole number from {low} to {high}.")
            common[option] = int(value)
        else:
            known = ", ".join(["name", "tls", *_BOUNDS])
            raise ValueError(f'has an option "{option}". Known are {known}.')
    return common
