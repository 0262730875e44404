"""Compares what the inbox and the readers counted with what Sosik says; every difference is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import compat32
from urllib.parse import urlsplit

from newsletter.demo.ledger import Ledger
from newsletter.demo.reading import find_handles, read_message
from newsletter.tracking.stats import BalanceSheet


def judge_receipts(ledger: Ledger, expected: set[str], uncertain: set[str], sheet: BalanceSheet) -> Iterator[str]:
    """Whether everyone expected got the issue once; who did not must be listed as uncertain."""
    received = set(ledger.received)
    lost = expected - received - uncertain
    if lost:
        yield f"{len(lost)} expected mails did not arrive, and Sosik does not list them as uncertain."
    if ledger.duplicates:
        yield f"{len(ledger.duplicates)} readers got it more than once."
    if received - expected:
        yield f"{len(received - expected)} readers got it who should not have."
    if len(ledger.message_ids) != len(received):
        yield f"{len(received)} readers got {len(ledger.message_ids)} different Message-IDs."
    if not sheet.adds_up:
        yield "The balance sheet does not add up."
    if sheet.waiting:
        yield f"{sheet.waiting} deliveries are still waiting."
    if sheet.audience - sheet.skipped != len(expected):
        yield f"Sosik counts {sheet.audience - sheet.skipped} recipients where {len(expected)} were expected."
    if sheet.submitted > len(received):
        yield f"Sosik says {sheet.submitted} submitted where {len(received)} arrived."


def judge_reactions(ledger: Ledger, sheet: BalanceSheet) -> Iterator[str]:
    """Whether the report says what the readers and the provider did."""
    pairs = (
        ("delivered", sheet.delivered, ledger.delivered),
        ("hard bounces", sheet.hard_bounces, ledger.bounced),
        ("soft bounces", sheet.soft_bounces, ledger.deferred),
        ("complaints", sheet.complaints, ledger.complained),
        ("unsubscribes", sheet.unsubscribes, ledger.unsubscribed),
        ("opens by people", sheet.opens, ledger.opened | ledger.clicked),
        ("clicks by people", sheet.clicks, ledger.clicked),
        ("opens by machines", sheet.machine_opens, ledger.machine_opened),
        ("clicks by machines", sheet.machine_clicks, ledger.machine_clicked),
    )
    for name, said, done in pairs:
        if said != len(done):
            yield f"{name}: Sosik says {said}, there were {len(done)}."


def judge_mail(raw: bytes, *, subject: str, site_url: str, from_email: str) -> Iterator[str]:
    """Whether one raw mail is what mailbox providers ask for; read by the standard library's oldest parser."""
    message = message_from_bytes(raw, policy=compat32)
    mail = read_message(raw)
    domain = from_email.rpartition("@")[2]
    if message.defects:
        yield f"The mail has defects: {message.defects}."
    if mail.header("Subject") != subject:
        yield f"The subject reads “{mail.header('Subject')}”, not “{subject}”."
    if not mail.text.strip() or not mail.html.strip():
        yield "The mail lacks a text or an HTML part."
    one_click = str(message.get("List-Unsubscribe", ""))
    address = one_click.strip("<>")
    if f"<{address}>" != one_click or not address.isascii() or not address.startswith(f"{site_url}/"):
        yield "List-Unsubscribe is not one ASCII address of the site."
    if urlsplit(address).scheme != "https":
        yield "List-Unsubscribe is not https."
    if message.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield "List-Unsubscribe-Post is missing (RFC 8058)."
    list_id = str(message.get("List-Id", "")).rpartition("<")[2].rstrip(">")
    if not list_id.isascii() or not list_id.endswith(domain):
        yield f"List-Id does not end in an ASCII id in {domain}."
    if not str(message.get("Message-ID", "")).endswith(f"@{domain}>"):
        yield f"Message-ID is not in {domain}."
    if not find_handles(raw).pixel:
        yield "The mail has no pixel."
