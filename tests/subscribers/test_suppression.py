"""An address we must not write to stays known by its fingerprint alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers.addresses import fingerprint
from subscribers.models import ConsentEvent, Suppression
from subscribers.suppression import (
    ReleaseRefusedError,
    is_suppressed,
    lift_by_opt_in,
    release,
    suppress,
    suppress_subscriber,
    suppression_reason,
)
from tests.factories import make_subscriber

pytestmark = pytest.mark.django_db
Reason = Suppression.Reason
KEY = fingerprint("jane@example.net")


def test_suppressing_twice_changes_nothing_the_second_time() -> None:
    assert suppress(KEY, Reason.HARD_BOUNCE, evidence="550 5.1.1 unknown")
    assert not suppress(KEY, Reason.HARD_BOUNCE, evidence="550 again")
    row = Suppression.objects.get()
    assert (row.reason, row.evidence) == ("hard_bounce", "550 5.1.1 unknown")
    assert is_suppressed("JANE@example.net")


def test_a_stronger_reason_replaces_a_weaker_one_and_never_the_other_way() -> None:
    suppress(KEY, Reason.SOFT_BOUNCES, expires_at=timezone.now() + timedelta(days=7))
    assert suppress(KEY, Reason.COMPLAINT)
    assert not suppress(KEY, Reason.HARD_BOUNCE)
    row = Suppression.objects.get()
    assert (row.reason, row.expires_at) == ("complaint", None)


def test_an_expired_suppression_does_not_count_and_can_begin_anew() -> None:
    suppress(KEY, Reason.COMPLAINT, expires_at=timezone.now() - timedelta(seconds=1))
    assert not is_suppressed("jane@example.net")
    assert suppress(KEY, Reason.SOFT_BOUNCES)
    assert suppression_reason(KEY) == Reason.SOFT_BOUNCES


def test_suppressing_and_releasing_stand_in_the_persons_ledger() -> None:
    jane = make_subscriber("jane@example.net")
    assert suppress_subscriber(jane.pk, Reason.HARD_BOUNCE)
    assert release(KEY, note="typed the domain wrong, asked by phone")
    assert list(jane.consent_events.values_list("kind", "source")) == [
        (ConsentEvent.Kind.SUPPRESSED, "hard_bounce"),
        (ConsentEvent.Kind.RELEASED, "editor: typed the domain wrong, asked by phone"),
    ]
    assert not release(KEY, note="again")


def test_somebody_who_is_gone_cannot_be_suppressed_by_id() -> None:
    assert not suppress_subscriber(4711, Reason.COMPLAINT)


@pytest.mark.parametrize("reason", [Reason.COMPLAINT, Reason.ERASED])
def test_what_the_person_said_no_editor_releases(reason: Suppression.Reason) -> None:
    suppress(KEY, reason)
    with pytest.raises(ReleaseRefusedError):
        release(KEY, note="they surely did not mean it")
    assert suppression_reason(KEY) == reason


@pytest.mark.parametrize(
    ("reason", "is_lifted"),
    [
        (Reason.COMPLAINT, True),
        (Reason.ERASED, True),
        (Reason.SOFT_BOUNCES, True),
        (Reason.HARD_BOUNCE, False),
        (Reason.EDITOR, False),
    ],
)
def test_the_persons_own_opt_in_lifts_what_was_theirs_to_say(reason: Suppression.Reason, is_lifted: bool) -> None:
    suppress(KEY, reason)
    assert lift_by_opt_in(KEY) == (reason if is_lifted else None)
    assert is_suppressed("jane@example.net") is not is_lifted
