"""The real sender against a server that misbehaves: duplicates and losses are counted at the server, not in our tables.

After every fault the server recovers and the clock goes on, as in life. Then each reader has one mail, or is listed as uncertain; and
uncertain is only who cannot be known: one mail a connection that broke after its closing dot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now

from newsletter.delivery import recovery, sender
from newsletter.delivery.accounts import count_outcomes
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.models import Subscriber
from tests.newsletter.delivery.conftest import make_sending_issue
from tests.smtp_twin import Ending, SmtpTwin

pytestmark = pytest.mark.django_db

READERS = 24
Fault = Callable[[SmtpTwin, list[str]], None]


def send_round(issue: Issue) -> None:
    """One look of the clock, with nobody left to wait for."""
    Batch.objects.filter(issue=issue, status=Batch.Status.PENDING).update(retry_at=Now())
    for batch_id in Batch.objects.filter(issue=issue).order_by("number").values_list("pk", flat=True):
        sender.send_batch(batch_id)


def ids_with(issue: Issue, outcome: Outcome) -> list[int]:
    return list(Delivery.objects.filter(issue_id=issue.pk, outcome=outcome).values_list("subscriber_id", flat=True))


def addresses_with(issue: Issue, outcome: Outcome) -> set[str]:
    return set(Subscriber.objects.filter(pk__in=ids_with(issue, outcome)).values_list("email", flat=True))


def once(address: str, fault: Ending | str) -> Callable[[str], str | Ending]:
    """The fault for one reader's first body, 250 from then on."""
    seen = Counter[str]()

    def answer(recipient: str) -> str | Ending:
        seen[recipient] += 1
        return fault if recipient == address and seen[recipient] == 1 else "250 kept"

    return answer


# --- the faults: each is shown a server and its readers' addresses in order -------------------------------------------


def refuses_single_recipients(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_recipient = lambda address: "550 5.1.1 unknown" if address in readers[3:6] else "250 ok"


def puts_off_recipients(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_recipient = lambda address: "450 4.7.1 greylisted" if address in readers[::5] else "250 ok"


def puts_off_bodies(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = lambda address: "451 4.3.0 try later" if address in readers[::5] else "250 kept"


def closes_in_the_middle_of_a_body(twin: SmtpTwin, readers: list[str]) -> None:
    twin.cuts_in_body = lambda address: address == readers[7]


def closes_in_the_middle_of_every_body(twin: SmtpTwin, readers: list[str]) -> None:
    twin.cuts_in_body = lambda address: True


def says_421_after_a_body(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = once(readers[7], "421 4.3.2 shutting down")


def drops_after_the_dot(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = once(readers[7], Ending.DROP)


def keeps_and_drops(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = once(readers[7], Ending.KEEP_AND_DROP)


def keeps_and_never_answers(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = once(readers[7], Ending.KEEP_AND_HANG)


def keeps_and_drops_every_time(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = lambda address: Ending.KEEP_AND_DROP


def drops_every_time(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_body = lambda address: Ending.DROP


def answers_byte_by_byte(twin: SmtpTwin, readers: list[str]) -> None:
    twin.seconds_between_bytes = 0.0005


def has_no_pipelining(twin: SmtpTwin, readers: list[str]) -> None:
    twin.features = ["8BITMIME"]


def has_no_8bitmime(twin: SmtpTwin, readers: list[str]) -> None:
    twin.features = ["PIPELINING"]


def has_nothing_and_drops(twin: SmtpTwin, readers: list[str]) -> None:
    twin.features = []
    twin.on_body = once(readers[7], Ending.KEEP_AND_DROP)


def refuses_our_sender(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_mail = lambda sender: "550 5.7.1 not you"


def puts_our_sender_off(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_mail = lambda sender: "451 4.7.1 too fast"


def closes_at_the_greeting(twin: SmtpTwin, readers: list[str]) -> None:
    twin.greeting = ""


def greets_with_421(twin: SmtpTwin, readers: list[str]) -> None:
    twin.greeting = "421 4.3.2 too busy"


def answers_out_of_turn(twin: SmtpTwin, readers: list[str]) -> None:
    twin.on_data = lambda address: "250 kept"


CONNECTIONS = 3

# fault, most that may stay uncertain, refused for good
FAULTS: list[tuple[Fault, int, int]] = [
    (refuses_single_recipients, 0, 3),
    (puts_off_recipients, 0, 0),
    (puts_off_bodies, 0, 0),
    (closes_in_the_middle_of_a_body, 0, 0),
    (closes_in_the_middle_of_every_body, 0, 0),
    (says_421_after_a_body, 0, 0),
    (drops_after_the_dot, 1, 0),
    (keeps_and_drops, 1, 0),
    (keeps_and_never_answers, 1, 0),
    (keeps_and_drops_every_time, CONNECTIONS, 0),
    (drops_every_time, CONNECTIONS, 0),
    (answers_byte_by_byte, 0, 0),
    (has_no_pipelining, 0, 0),
    (has_no_8bitmime, 0, 0),
    (has_nothing_and_drops, 1, 0),
    (refuses_our_sender, 0, 0),
    (puts_our_sender_off, 0, 0),
    (closes_at_the_greeting, 0, 0),
    (greets_with_421, 0, 0),
    (answers_out_of_turn, 0, 0),
]


@pytest.mark.parametrize(("fault", "uncertain", "refused"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_nobody_gets_two_mails_nobody_is_lost_and_uncertain_is_only_who_cannot_be_known(
    twin: SmtpTwin, settings: LazySettings, fault: Fault, uncertain: int, refused: int
) -> None:
    settings.SMTP_CONNECTIONS, settings.SMTP_TIMEOUT_SECONDS = CONNECTIONS, 2
    issue = make_sending_issue(READERS)
    readers = list(Subscriber.objects.order_by("pk").values_list("email", flat=True))
    healthy = {name: getattr(twin, name) for name in vars(twin) if name.startswith(("on_", "cuts_"))}
    fault(twin, readers)
    send_round(issue)
    assert count_outcomes(issue.pk).adds_up

    for name, value in healthy.items():  # the server is mended; what it can do stays as it is
        setattr(twin, name, value)
    twin.greeting, twin.seconds_between_bytes = "220 twin.test", 0.0
    send_round(issue)
    send_round(issue)

    counts = count_outcomes(issue.pk)
    assert recovery.finish_issues() == [issue.pk]
    assert counts.adds_up
    assert counts.waiting == 0
    assert counts.uncertain <= uncertain
    assert (counts.uncertain == 0) is (uncertain == 0)
    assert counts.rejected == refused
    assert counts.submitted == READERS - counts.uncertain - refused
    got = twin.counts()
    unknown = addresses_with(issue, Outcome.UNCERTAIN)
    assert set(got.values()) == {1}, "nobody twice"
    assert set(readers) - unknown - addresses_with(issue, Outcome.REJECTED) <= set(got), "nobody silently lost"
    assert not addresses_with(issue, Outcome.REJECTED) & set(got)


def test_a_server_that_loses_every_connection_is_not_fed_the_whole_batch(
    twin: SmtpTwin, settings: LazySettings
) -> None:
    """Each body that vanishes costs one reader's certainty: a connection that never served is not opened again."""
    settings.SMTP_CONNECTIONS = CONNECTIONS
    issue = make_sending_issue(100)
    twin.on_body = lambda address: Ending.DROP
    send_round(issue)
    assert count_outcomes(issue.pk).uncertain <= CONNECTIONS
    assert sum(twin.bodies.values()) <= CONNECTIONS
    batch = Batch.objects.get(issue=issue)
    assert batch.status == Batch.Status.PENDING
    assert batch.error == "the server closed the connection"


def test_a_server_that_restarts_again_and_again_loses_no_mail(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.SMTP_CONNECTIONS = CONNECTIONS
    issue = make_sending_issue(60)
    turns = Counter[str]()

    def answer(address: str) -> str | Ending:
        turns["all"] += 1
        return (Ending.DROP, Ending.KEEP_AND_DROP)[turns["all"] % 2] if turns["all"] % 10 == 0 else "250 kept"

    twin.on_body = answer
    for _ in range(12):
        send_round(issue)
    counts = count_outcomes(issue.pk)
    assert counts.waiting == 0
    assert counts.uncertain == sum(twin.bodies.values()) // 10
    assert set(twin.counts().values()) == {1}
    assert len(twin.mails) + counts.uncertain >= 60
    assert recovery.finish_issues() == [issue.pk]
