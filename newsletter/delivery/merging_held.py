"""The second pass by a provider's API: readers who were held back until it was their turn (turns.py).

They lie below the batch's position, so each is called uncertain on its own row before the call, and no idempotency key covers them.
"""

from __future__ import annotations

import uuid

from django.db import transaction

from newsletter.delivery.claims import Claim, renew_lease
from newsletter.delivery.compose import Recipient
from newsletter.delivery.doubt import UNANSWERED
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_call import Answer, CallResult
from newsletter.delivery.fates import Ended, Fate
from newsletter.delivery.merging import Chunk, Merging
from newsletter.delivery.pacing import Gate
from newsletter.delivery.recipients import load_reachable
from newsletter.delivery.recording import deliveries_of, record_fates
from newsletter.models import Issue, Outcome


def submit_merged_held(claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate, ids: list[int]) -> Ended:
    """These people in one call, or in several where the provider refuses it as a whole."""
    held = _Held(claim, issue, provider, gate)
    try:
        return held.submit(ids)
    finally:
        held.close()


class _Held(Merging):
    def submit(self, ids: list[int]) -> Ended:
        recipients, reasons = self._call_uncertain(ids)
        if not recipients:
            return Ended()
        result = self._call(Chunk([self.template.letter_for(one) for one in recipients]), str(uuid.uuid4()))
        self._settle_each(recipients, reasons, result)
        match result.answer:
            case Answer.TAKEN:
                return Ended()
            case Answer.CLOSED:
                return self._stop_issue(result.words)
            case Answer.REFUSED:  # halved until it is known whose fault it is
                ids, middle = [one.subscriber_id for one in recipients], len(recipients) // 2
                halves = (ids[:middle], ids[middle:]) if middle else ()
                return next((ended for half in halves if (ended := self.submit(half)).error), Ended())
            case _:
                return Ended(result.words or UNANSWERED, pause_seconds=result.retry_after)

    def _call_uncertain(self, ids: list[int]) -> tuple[list[Recipient], dict[int, str]]:
        """(who is in the call, why each was held): as many as fit into the provider's day."""
        recipients = load_reachable(self.claim, ids, self.issue.mailing_list)
        with transaction.atomic():
            renew_lease(self.claim)
            recipients = recipients[: self.gate.reserve(len(recipients))]
            people = deliveries_of(self.claim, [one.subscriber_id for one in recipients])
            reasons = dict(people.values_list("subscriber_id", "reason"))
            people.update(outcome=Outcome.UNCERTAIN, reason=UNANSWERED)
        return recipients, reasons

    def _settle_each(self, recipients: list[Recipient], reasons: dict[int, str], result: CallResult) -> None:
        """Whoever was told of has that fate; nobody knows after an answer that is unknown; the others are held again."""
        if result.answer in {Answer.UNKNOWN, Answer.MISMATCHED}:
            return
        told = [(i, *result.fates[one.address]) for i, one in enumerate(recipients) if one.address in result.fates]
        if result.answer is Answer.TAKEN:
            told = [(i, *result.fates.get(one.address, (Fate.UNCERTAIN, ""))) for i, one in enumerate(recipients)]
        if result.answer is Answer.REFUSED and len(recipients) == 1:
            told = [(0, Fate.REFUSED, result.words)]
        reached = {index for index, *_ in told}
        waiting = [one.subscriber_id for index, one in enumerate(recipients) if index not in reached]
        with transaction.atomic():
            renew_lease(self.claim)
            record_fates(self.claim, recipients, told)
            for reason in {reasons[pk] for pk in waiting}:
                again = [pk for pk in waiting if reasons[pk] == reason]
                deliveries_of(self.claim, again).update(outcome=Outcome.DEFERRED, reason=reason)
            self.gate.take_back(len(waiting))
