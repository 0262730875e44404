"""One issue on its way through faults: started, watched, and judged by what the receiver counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.db import DatabaseError, close_old_connections, connection, transaction

from newsletter.delivery.accounts import Outcomes, count_outcomes
from newsletter.delivery.lifecycle import start_issue_now
from newsletter.models import Delivery, Issue, Outcome
from newsletter.rendering.render import save_render
from subscribers.models import MailingList, Subscriber
from tests.chaos.ground import Ground

SAMPLE_SECONDS = 1.0
STALL_SECONDS = 180.0  # nothing has moved for so long: stuck, which is a fault of its own
RESUME_LIMIT_SECONDS = 120.0
OVER = (Issue.Status.SENT, Issue.Status.CANCELLED, Issue.Status.FAILED)
BODY = "안녕하세요 {{ name|default:'독자' }}님. [글](https://example.org/a)\n\n".replace("'", '"')


@dataclass(slots=True)
class Row:
    """What a scenario came to; `mistakes` says in sentences what must not be."""

    name: str
    readers: int
    faults: int
    received: int
    lost: int
    duplicated: int
    uncertain: int
    resume_seconds: float
    seconds: float
    mistakes: list[str] = field(default_factory=list)


class Sending:
    """An issue to all readers of the list `demo`."""

    def __init__(self, ground: Ground, slug: str) -> None:
        self.ground = ground
        mailing_list = MailingList.objects.get(slug="demo")
        self.issue = Issue.objects.create(
            mailing_list=mailing_list, slug=slug, subject="소식", language="ko", body_markdown=BODY
        )
        save_render(self.issue)
        self.issue_id = self.issue.pk
        self.mistakes: list[str] = []
        self.faults = 0
        self.resume_seconds = 0.0
        self.samples = 0
        self.revived: list[str] = []  # processes that ended by themselves and were started again
        self._started_at = 0.0
        self._fault: tuple[float, int] | None = None  # when the last fault was over, and the mails until then
        self._sampled_at = 0.0

    # --- the course of it ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The next tick of a clock begins it."""
        self._started_at = time.monotonic()
        start_issue_now(self.issue_id)

    def received(self) -> int:
        """Mails that have arrived, copies included."""
        return self.ground.receipts.count(self.issue_id)

    def status(self) -> str:
        """As the database says; `unknown` while there is no database."""
        try:
            close_old_connections()
            return Issue.objects.values_list("status", flat=True).get(pk=self.issue_id)
        except DatabaseError:
            connection.close()
            return "unknown"

    def wait_for(self, count: int) -> bool:
        """Returns once so many mails have arrived, True; or once the issue is over, False. Samples the accounts meanwhile."""
        seen, moved_at = (-1, ""), time.monotonic()
        while True:
            received, status = self.received(), self.status()
            self.revived += self.ground.system.revive()
            now = time.monotonic()
            self._note_resumed(received, now, is_over=status in OVER)
            if status in OVER:
                return False
            if received >= count:
                return True
            if (received, status) != seen:
                seen, moved_at = (received, status), now
            elif now - moved_at > STALL_SECONDS:
                self.mistakes.append(f"stuck: {status} with {received} mails for {STALL_SECONDS:.0f} s")
                return False
            if now - self._sampled_at > SAMPLE_SECONDS:
                self.sample()
                self._sampled_at = time.monotonic()
            time.sleep(0.02)

    def fault_is_over(self) -> None:
        """From here on it is measured how long the next mail takes."""
        self.faults += 1
        self._fault = (time.monotonic(), self.received())

    def sample(self) -> None:
        """The sum of all states must be the frozen audience, at every moment."""
        try:
            with transaction.atomic():
                if connection.vendor == "postgresql":
                    with connection.cursor() as cursor:
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                candidates = Issue.objects.values_list("candidates_count", flat=True).get(pk=self.issue_id)
                counts = count_outcomes(self.issue_id)
        except DatabaseError:
            connection.close()
            return
        if candidates is None:
            return
        self.samples += 1
        if counts.total != candidates or not counts.adds_up:
            self.mistakes.append(f"the accounts do not add up: {candidates} candidates, {counts}")

    def finish(self) -> None:
        """Until the issue is over and the receiver has been silent for a moment: late copies count."""
        self.wait_for(10**9)
        time.sleep(2)

    def _note_resumed(self, received: int, now: float, *, is_over: bool) -> None:
        if self._fault is None:
            return
        since, before = self._fault
        if received > before or is_over:
            self.resume_seconds = max(self.resume_seconds, now - since)
            self._fault = None

    # --- the judgement ------------------------------------------------------------------------------------------------

    def judge(self, name: str, *, most_uncertain: int | None = None) -> Row:
        """Compares the receiver's books with what Sosik says of each reader."""
        times = self.ground.receipts.times(self.issue_id)
        said = _said_of(self.issue_id)
        copies = sum(len(got) - 1 for got in times.values())
        silent = {address for address, outcome in said.items() if outcome is Outcome.SUBMITTED and address not in times}
        denied = [
            a for a in times if said.get(a) in (Outcome.SKIPPED, Outcome.FAILED, Outcome.REJECTED, Outcome.DEFERRED)
        ]
        uncertain = sum(outcome is Outcome.UNCERTAIN for outcome in said.values())
        counts: Outcomes = count_outcomes(self.issue_id)
        if not counts.adds_up:
            self.mistakes.append(f"the accounts do not add up at the end: {counts}")
        if denied:
            self.mistakes.append(f"{len(denied)} got it though Sosik says they did not")
        if not self.samples:
            self.mistakes.append("the accounts were never looked at on the way")
        if self.resume_seconds > RESUME_LIMIT_SECONDS:
            self.mistakes.append(f"it took {self.resume_seconds:.0f} s to go on")
        if most_uncertain is not None and uncertain > most_uncertain:
            self.mistakes.append(f"{uncertain} uncertain, at most {most_uncertain} can be")
        if silent:
            self.mistakes.append(f"{len(silent)} are called submitted and got nothing")
        if copies:
            self.mistakes.append(f"{copies} copies too many")
        return Row(
            name=name,
            readers=len(said),
            faults=self.faults,
            received=len(times),
            lost=len(silent),
            duplicated=copies,
            uncertain=uncertain,
            resume_seconds=self.resume_seconds,
            seconds=time.monotonic() - self._started_at,
            mistakes=self.mistakes,
        )


def _said_of(issue_id: int) -> dict[str, Outcome]:
    """What Sosik says of each reader who still exists: waiting ones count as deferred."""
    from newsletter.models import Batch

    positions = {
        number: (status, position)
        for number, status, position in Batch.objects.filter(issue_id=issue_id).values_list(
            "number", "status", "position"
        )
    }
    addresses = dict(Subscriber.objects.values_list("pk", "email"))
    said: dict[str, Outcome] = {}
    rows = Delivery.objects.filter(issue_id=issue_id).values_list("subscriber_id", "batch_number", "outcome")
    for subscriber_id, number, value in rows.iterator():
        outcome = Outcome(value)
        if outcome is Outcome.WITH_BATCH:
            status, position = positions[number]
            settled = status == Batch.Status.SUBMITTED or subscriber_id <= position
            outcome = Outcome.SUBMITTED if settled else Outcome.DEFERRED
        if subscriber_id in addresses:
            said[addresses[subscriber_id]] = outcome
    return said
