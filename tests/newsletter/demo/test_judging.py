"""The judge must see every kind of mistake: one that says yes to everything proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from django.test import RequestFactory

from newsletter.demo.judging import judge_mail, judge_reactions, judge_receipts
from newsletter.demo.ledger import Books, Ledger, issue_number
from newsletter.demo.report import IssueResult, Report
from newsletter.demo.webhooks import Event, write_event
from newsletter.tracking.stats import BalanceSheet

READERS = {"a@example.net", "b@example.net", "c@example.net"}
SHEET = BalanceSheet(
    audience=3, submitted=3, skipped=0, rejected=0, failed=0, uncertain=0, waiting=0, delivered=3, hard_bounces=0,
    soft_bounces=0, complaints=0, unsubscribes=0, opens=1, machine_opens=0, clicks=0, machine_clicks=0, raw_opens=1,
    raw_clicks=0, adds_up=True,
)  # fmt: skip


def make_ledger() -> Ledger:
    books = Books()
    for number, address in enumerate(sorted(READERS)):
        books.enter_mail("7", address, mail_id=number, message_id=f"<{number}@x>", at=float(number))
        books.enter("7", "delivered", address)
    books.enter("7", "opened", "a@example.net")
    return books.of("7")


def receipts(ledger: Ledger, sheet: BalanceSheet = SHEET, uncertain: set[str] | None = None) -> str:
    return "\n".join(judge_receipts(ledger, READERS, uncertain or set(), sheet))


def test_what_is_right_is_right() -> None:
    assert receipts(make_ledger()) == ""
    assert list(judge_reactions(make_ledger(), SHEET)) == []


def test_a_lost_mail_is_forgiven_only_to_who_is_listed_as_uncertain() -> None:
    ledger = make_ledger()
    del ledger.received["a@example.net"]
    ledger.message_ids.pop()
    sheet = replace(SHEET, submitted=2, uncertain=1)
    assert "1 expected mails did not arrive" in receipts(ledger, sheet)
    assert receipts(ledger, sheet, uncertain={"a@example.net"}) == ""


def test_a_second_mail_and_a_mail_too_many_are_seen() -> None:
    ledger = make_ledger()
    ledger.received["a@example.net"] += 1
    ledger.received["gone@example.net"] += 1
    said = receipts(ledger)
    assert "1 readers got it more than once" in said
    assert "1 readers got it who should not have" in said


def test_accounts_that_do_not_balance_are_seen() -> None:
    said = receipts(make_ledger(), replace(SHEET, adds_up=False, waiting=1, submitted=4, skipped=1))
    assert "does not add up" in said
    assert "still waiting" in said
    assert "4 submitted where 3 arrived" in said
    assert "2 recipients where 3 were expected" in said


def test_every_figure_of_the_report_is_compared() -> None:
    wrong = replace(
        SHEET, delivered=2, hard_bounces=1, soft_bounces=1, complaints=1, unsubscribes=1, opens=2, machine_opens=1,
        clicks=1, machine_clicks=1,
    )  # fmt: skip
    assert len(list(judge_reactions(make_ledger(), wrong))) == 9


def test_a_bare_mail_fails_in_everything_providers_ask_for() -> None:
    mistakes = list(
        judge_mail(
            b"Subject: x\r\n\r\nhello\r\n", subject="y", site_url="https://news.example.org", from_email="n@example.org"
        )
    )
    assert len(mistakes) == 8


def test_feedback_ids_name_their_issue() -> None:
    assert issue_number("12:morning:issue:sosik") == "12"
    assert issue_number("") == ""


def make_report(*mistakes: str) -> Report:
    result = IssueResult(
        slug="first", subject="첫 소식", sheet=SHEET, expected=3, received=3, missing=0, duplicates=0, unexpected=0,
        kills=0, seconds=2.0, mistakes=mistakes,
    )  # fmt: skip
    return Report(subscribers=3, seed=1, processes="one embedded", issues=[result])


def test_one_mistake_anywhere_makes_the_report_wrong() -> None:
    assert make_report().is_right
    assert not make_report("lost").is_right
    assert not Report(subscribers=0, seed=1, processes="").is_right
    late = make_report()
    late.mistakes.append("again")
    assert not late.is_right
    assert "WRONG  again" in late.write_table()


def test_the_table_is_aligned_with_korean_in_it() -> None:
    lines = make_report().write_table().splitlines()
    assert lines[0].endswith("첫 소식")
    assert "recipients per second" in lines[-2]
    assert lines[-2].endswith("2")  # 1.5, rounded for people
    assert '"recipients_per_second": 1.5' in make_report().write_json()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("event", "kind"),
    [("delivered", "delivered"), ("bounced", "bounced"), ("deferred", "deferred"), ("complained", "complained")],
)
def test_anymail_reads_our_webhooks_as_mailguns(event: Event, kind: str) -> None:
    seen: list[AnymailTrackingEvent] = []

    def note(event: AnymailTrackingEvent, **_: object) -> None:
        seen.append(event)

    key = "signing-key"
    body = write_event(event, signing_key=key, message_id="<token@example.org>", recipient="a@example.net")
    request = RequestFactory().post("/", data=body, content_type="application/json")
    tracking.connect(note)
    try:
        response = MailgunTrackingWebhookView.as_view(webhook_signing_key=key)(request)
    finally:
        tracking.disconnect(note)
    assert response.status_code == 200
    (read,) = seen
    assert (read.event_type, read.message_id, read.recipient) == (kind, "<token@example.org>", "a@example.net")
