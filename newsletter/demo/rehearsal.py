"""The rehearsal: every post to every reader, one after another, counted at the receiving end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from newsletter.content.loader import read_issue_file
from newsletter.content.publishing import save_draft
from newsletter.delivery.lifecycle import start_issue_now
from newsletter.demo.crowd import Crowd
from newsletter.demo.inbox import Inbox
from newsletter.demo.judging import judge_mail, judge_reactions, judge_receipts
from newsletter.demo.ledger import Ledger
from newsletter.demo.readers import cast_readers
from newsletter.demo.report import IssueResult, Report
from newsletter.demo.sample import add_readers
from newsletter.demo.system import System
from newsletter.models import Issue, Outcome
from newsletter.tracking.stats import BalanceSheet, balance_sheet, not_delivered
from subscribers.addresses import fingerprint
from subscribers.models import MailingList, Subscriber

# Nothing has moved for so long: longer than a lease, a retry and a bell that is rung again.
STALL_SECONDS = 120.0
SETTLE_SECONDS = (
    30.0  # a report that still differs has not moved for so long: the fold's delay of 10 s, its tick of 1 s, and room
)
KILL_FROM, KILL_TO = (
    0.03,
    0.85,
)  # shares of the expected mails between which kills fall: after it, uncertain ones may end the issue

_NAMES = ("김서연", "이도윤", "박지우", "Amelia Novak", "Ben Okafor", "")


class StuckError(Exception):
    """An issue did not come to its end; says where it stood."""


@dataclass(slots=True)
class Rehearsal:
    """One rehearsal: the running system, its inbox and its readers. `say` prints one line."""

    system: System
    inbox: Inbox
    crowd: Crowd
    mailing_list: MailingList
    readers: list[str]
    seed: int
    say: Callable[[str], None]

    def rehearse(self, posts: list[Path], kills: int, report: Report) -> None:
        """Fills the report, an issue at a time. Raises StuckError, SystemFailedError, ContentError."""
        rng = random.Random(f"{self.seed}:kills")  # noqa: S311  (a rehearsal must repeat itself)
        issues = [save_draft(read_issue_file(path), self.mailing_list).issue for path in posts]
        gone: set[str] = set()
        for number, issue in enumerate(issues):
            share = kills // len(issues) + (number < kills % len(issues))
            moments = sorted(rng.uniform(KILL_FROM, KILL_TO) for _ in range(share))
            expected = set(self.readers) - gone
            killed = self.send(issue, expected=len(expected), moments=moments)
            self.settle(issue)
            report.issues.append(self.judge(issue, expected, killed=killed, planned=share))
            gone |= self.ledger(issue).gone
        self.judge_at_the_end(issues, report)

    def ledger(self, issue: Issue) -> Ledger:
        """What the world saw of the issue."""
        return self.crowd.books.of(str(issue.pk))

    def send(self, issue: Issue, *, expected: int, moments: list[float]) -> int:
        """Starts the issue, kills the sender at the given shares of the expected mails, and says how often once it is sent."""
        start_issue_now(issue.pk, undo_seconds=0)
        issue.refresh_from_db()
        self.say(f"Sending “{issue.subject}” to {expected:,} readers.")
        waiting = list(moments)
        ledger = self.ledger(issue)
        seen, moved_at = (-1, ""), time.monotonic()
        while True:
            received = len(ledger.received)
            status = Issue.objects.values_list("status", flat=True).get(pk=issue.pk)
            if status == Issue.Status.SENT:
                return len(moments) - len(waiting)
            if status in {Issue.Status.PAUSED, Issue.Status.CANCELLED, Issue.Status.FAILED}:
                issue.refresh_from_db()
                raise StuckError(f"“{issue.slug}” is {status}: {issue.status_reason or 'no reason given'}")
            if waiting and status == Issue.Status.SENDING and received >= waiting[0] * expected:
                waiting.pop(0)
                self.system.kill_sender()
                self.say(f"  killed the {self.system.sender} process after {received:,} mails")
                self.system.restart_sender()
            self.system.check()
            if (received, status) != seen:
                seen, moved_at = (received, status), time.monotonic()
            elif time.monotonic() - moved_at > STALL_SECONDS:
                raise StuckError(f"“{issue.slug}” has been {status} with {received:,} mails for {STALL_SECONDS:.0f} s.")
            time.sleep(0.01 if waiting else 0.1)

    def settle(self, issue: Issue) -> None:
        """Returns when every reader has reacted and Sosik's report says so, or says so no more: judging tells the difference."""
        patience = time.monotonic() + STALL_SECONDS
        seen = -1
        while not self.crowd.wait_until_idle(5.0):
            self.system.check()
            unfinished = self.crowd.count_unfinished()
            if unfinished != seen:
                seen, patience = unfinished, time.monotonic() + STALL_SECONDS
            elif time.monotonic() > patience:
                raise StuckError(f"{unfinished:,} readers of “{issue.slug}” have not finished.")
        sheet = balance_sheet(issue)
        patience = time.monotonic() + SETTLE_SECONDS
        while any(judge_reactions(self.ledger(issue), sheet)) and time.monotonic() < patience:
            self.system.check()
            time.sleep(0.25)
            before, sheet = sheet, balance_sheet(issue)
            if sheet != before:
                patience = time.monotonic() + SETTLE_SECONDS

    def judge(self, issue: Issue, expected: set[str], *, killed: int, planned: int) -> IssueResult:
        """The issue's line in the report."""
        issue.refresh_from_db()
        ledger, sheet = self.ledger(issue), balance_sheet(issue)
        mistakes = [
            *judge_receipts(ledger, expected, self.find_uncertain(issue, sheet), sheet),
            *judge_reactions(ledger, sheet),
            *self.judge_first_mail(issue, ledger),
        ]
        if killed < planned:
            mistakes.append(f"Only {killed} of {planned} kills fell into the sending: take more subscribers.")
        received = set(ledger.received)
        return IssueResult(
            slug=issue.slug,
            subject=issue.subject,
            sheet=sheet,
            expected=len(expected),
            received=len(received & expected),
            missing=len(expected - received),
            duplicates=len(ledger.duplicates),
            unexpected=len(received - expected),
            kills=killed,
            seconds=round(ledger.last_at - ledger.first_at, 3),
            mistakes=tuple(mistakes),
        )

    def judge_first_mail(self, issue: Issue, ledger: Ledger) -> list[str]:
        found = self.inbox.read_mail(ledger.first_mail_id)
        if found is None:
            return ["No mail arrived."]
        return list(
            judge_mail(
                found[1],
                subject=" ".join(issue.subject.split()),
                site_url=settings.SITE_URL,
                from_email=self.mailing_list.from_email,
            )
        )

    def judge_at_the_end(self, issues: list[Issue], report: Report) -> None:
        """What only shows when all is over: late duplicates, mails of no issue, and reactions that were refused."""
        strangers = self.crowd.books.issues() - {str(issue.pk) for issue in issues}
        if strangers:
            report.mistakes.append(f"{len(strangers)} Feedback-IDs name no issue of this rehearsal.")
        for issue, result in zip(issues, report.issues, strict=True):
            late = len(self.ledger(issue).duplicates) - result.duplicates
            if late:
                report.mistakes.append(f"{late} readers got “{issue.slug}” again after it was sent.")
        troubles = self.crowd.books.troubles
        report.mistakes += [f"A reaction was refused: {trouble}." for trouble in sorted(set(troubles))]

    def find_uncertain(self, issue: Issue, sheet: BalanceSheet) -> set[str]:
        """The addresses Sosik lists as uncertain."""
        listed = not_delivered(issue, limit=max(1, sheet.uncertain), outcome=Outcome.UNCERTAIN)
        return {person.address for person in listed}


def make_audience(count: int, seed: int) -> tuple[MailingList, list[str]]:
    """A list and its simulated readers, in an empty database."""
    rng = random.Random(f"{seed}:readers")  # noqa: S311  (a rehearsal must repeat itself)
    mailing_list = MailingList.objects.create(
        slug="demo",
        name="아침 소식",
        from_name="아침 소식",
        from_email="news@news.example.org",
        postal_address="서울특별시 중구 세종대로 110",
        language="ko",
        timezone="Asia/Seoul",
    )
    readers = cast_readers(count, rng)
    people = [
        Subscriber(email=email, fingerprint=fingerprint(email), name=rng.choice(_NAMES), created_at=timezone.now())
        for email in readers
    ]
    add_readers(mailing_list, people, source="demo")
    connection.close()
    return mailing_list, readers
