"""The way out by a provider's API: one call a chunk of readers, each call known to the database before it is made.

Before a call `reserved` covers its readers; after it everyone has an outcome, or the position has not moved and they wait. What a
provider refuses for everybody (a wrong key, an unknown sender) pauses the issue and marks nobody.
"""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass
from typing import Any, assert_never

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from newsletter.delivery.claims import Claim, from_now, renew_lease
from newsletter.delivery.compose import Recipient
from newsletter.delivery.doubt import NO_CALL, UNANSWERED, digest_of, is_in_doubt
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.esp_backends import open_backend
from newsletter.delivery.esp_call import Answer, CallResult, build_message, call_provider, call_within
from newsletter.delivery.fates import Ended, Fate
from newsletter.delivery.merge_template import Letter, MergeTemplate
from newsletter.delivery.pacing import Gate
from newsletter.delivery.providers import PROFILES, Way
from newsletter.delivery.recipients import load_reachable, load_recipients
from newsletter.delivery.recording import call_uncertain, on_the_wire, record_fates
from newsletter.delivery.single_calls import SUSPECTS, call_each
from newsletter.delivery.stopping import must_stop
from newsletter.delivery.turns import hold_back
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.audience import unreachable_reasons

log = logging.getLogger(__name__)

_SINGLES = 20  # calls of one reader each between two checkpoints: the most that a kill leaves uncertain there
_READY_BYTES = 10_000_000  # of finished texts in one call: a worker holds them thrice, and Postmark takes 50 MB
_KEY_MARGIN_SECONDS = 120  # a key is not used so shortly before the provider forgets it
# Pauses before a call in doubt is submitted again, doubling: Brevo knows a key for half an hour.
_ASK_AGAIN_SECONDS, _ASK_AGAIN_MOST_SECONDS = 5, 300


def submit_merged(claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate) -> Ended:
    """Submits what waits of the batch, chunk by chunk, and tells how it ended."""
    batch = Batch.objects.get(pk=claim.batch_id)
    merging = Merging(claim, issue, provider, gate)
    try:
        if batch.position < batch.reserved:
            ended = merging.ask_again(batch)
            if ended is not None:
                return ended
        return merging.submit_waiting()
    finally:
        merging.close()


@dataclass(slots=True)
class Chunk:
    """Readers of one reservation."""

    letters: list[Letter]

    @property
    def recipients(self) -> list[Recipient]:
        return [letter.recipient for letter in self.letters]

    @property
    def last_id(self) -> int:
        return self.letters[-1].recipient.subscriber_id


class Merging:
    """One claim's calls, through its gate."""

    def __init__(self, claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate) -> None:
        self.claim = claim
        self.gate = gate
        self.issue = issue
        self.profile = PROFILES[provider.esp]
        self.provider = provider
        self.settled_id = self.settled_before = claim.position
        self.suspects: list[tuple[Recipient, str]] = []
        self._template: MergeTemplate | None = None
        self._backend: Any = None

    @property
    def template(self) -> MergeTemplate:
        """Cut when it is first needed."""
        if self._template is None:
            self._template = MergeTemplate(self.issue, self.profile)
        return self._template

    def close(self) -> None:
        """Ends the session. One claim, one session: a kept one may have been closed by the server, and a call lost in it."""
        if self._backend is not None:
            self._backend.close()

    # --- the calls ----------------------------------------------------------------------------------------------------

    def submit_waiting(self) -> Ended:
        """Everyone above the position, in chunks; a chunk that is refused as a whole is halved until it is known whose fault it is."""
        recipients = self._load_waiting()
        size = most = self._most_at_once()
        start = 0
        while start < len(recipients) and not must_stop(self.claim.issue_id):
            count = self.gate.open_or_wait(min(size, len(recipients) - start), lambda: renew_lease(self.claim))
            chunk = Chunk([self.template.letter_for(one) for one in recipients[start : start + count]])
            key = str(uuid.uuid4())
            if not self._reserve(chunk, key):  # the gate is shut, or its day is used up
                break
            result = self._call(chunk, key)
            if result.answer is Answer.REFUSED and len(chunk.letters) > 1:
                with transaction.atomic():
                    self._take_back()
                    self.gate.take_back(len(chunk.letters))
                size = len(chunk.letters) // 2
                continue
            ended = self._settle(chunk, result)
            if ended is not None:
                return ended
            start += len(chunk.letters)
            size = 1 if self.suspects else min(most, 2 * size)
        if self.suspects and start >= len(recipients):  # nobody was taken: it is not known to be the readers
            return self._close_issue(self.suspects[-1][1])
        if self.suspects:  # stopped before it was known: they wait
            self._take_back()
        return Ended()

    def _most_at_once(self) -> int:
        match self.profile.way:
            case Way.FIELDS:
                return self.profile.most_per_call
            case Way.READY:
                one_bytes = len(json.dumps([self.issue.html, self.issue.text]))
                return max(1, min(self.profile.most_per_call, _READY_BYTES // one_bytes))
            case Way.SINGLE:
                return _SINGLES
            case _:
                assert_never(self.profile.way)

    def ask_again(self, batch: Batch) -> Ended | None:
        """The call in doubt, once more with its key, if the provider knows it again; else its readers are uncertain."""
        ids = list(on_the_wire(batch).order_by("subscriber_id").values_list("subscriber_id", flat=True))
        recipients = load_recipients(ids, self.issue.mailing_list)
        letters = [self.template.letter_for(one) for one in recipients]
        # Whoever has left since must not get a first mail now, and without them it is another call.
        has_changed = bool(unreachable_reasons(ids, self.issue.mailing_list)) or len(recipients) < len(ids)
        if not ids or has_changed or not is_in_doubt(batch) or digest_of(self.template, letters) != batch.call_digest:
            self._give_up(batch)
            return None
        log.info("batch.asked_again issue=%d batch=%d recipients=%d", batch.issue_id, batch.number, len(letters))
        chunk = Chunk(letters)
        result = self._call(chunk, batch.call_key, is_repeated=True)
        match result.answer:
            case Answer.TAKEN:
                self._settle_taken(chunk, result.fates)
                return None
            case Answer.MISMATCHED:
                self._give_up(batch)
                return None
            case Answer.UNKNOWN | Answer.LATER:
                return self._ask_later(result)
            case Answer.REFUSED | Answer.CLOSED:  # says nothing of the first call: it stays in doubt
                return self._stop_issue(result.words)

    def _call(self, chunk: Chunk, key: str, *, is_repeated: bool = False) -> CallResult:
        result = self._call_out(chunk, key, is_repeated=is_repeated)
        # What a provider refuses for a reader's or the issue's sake is no sign that it is in trouble.
        if result.retry_after is not None:
            self.gate.note_rest(result.retry_after)
        elif not self.gate.is_shut and result.answer not in {Answer.REFUSED, Answer.MISMATCHED}:
            self.gate.note(result.fates.values(), "" if result.answer is Answer.TAKEN else result.words or UNANSWERED)
        return result

    def _call_out(self, chunk: Chunk, key: str, *, is_repeated: bool) -> CallResult:
        if self.profile.way is Way.SINGLE:
            return call_each(
                chunk.letters,
                self._open_backend,
                lambda backend, letter: call_provider(
                    backend, build_message(self.template, [letter], key), is_repeated=False
                ),
                at_once=settings.API_CONNECTIONS,
                is_proven=self._is_proven(),
                seconds=settings.API_TIMEOUT_SECONDS,
                while_waiting=lambda: renew_lease(self.claim),
                may_go_on=self.gate.look,
            )
        backend = self._backend = self._backend or self._open_backend()
        message = build_message(self.template, chunk.letters, key)
        return call_within(
            settings.API_TIMEOUT_SECONDS,
            lambda: call_provider(backend, message, is_repeated=is_repeated),
            lambda: renew_lease(self.claim),
        )

    def _open_backend(self) -> Any:
        return open_backend(self.provider.esp, settings.API_TIMEOUT_SECONDS)

    # --- the database -------------------------------------------------------------------------------------------------

    def _load_waiting(self) -> list[Recipient]:
        rows = Delivery.objects.filter(
            issue_id=self.claim.issue_id,
            batch_number=self.claim.number,
            outcome=Outcome.WITH_BATCH,
            subscriber_id__gt=self.settled_id,
        )
        ids = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))
        return hold_back(self.claim, load_reachable(self.claim, ids, self.issue.mailing_list))

    def _reserve(self, chunk: Chunk, key: str) -> bool:
        """Writes the chunk down as on the wire, as far as it fits into the provider's day; False when nothing does."""
        with transaction.atomic():
            del chunk.letters[self.gate.reserve(len(chunk.letters)) :]
            if chunk.letters:
                self._write_reserved(chunk, key)
        return bool(chunk.letters)

    def _write_reserved(self, chunk: Chunk, key: str) -> None:
        call: dict[str, Any] = dict(NO_CALL)
        if self.profile.idempotency and not self.suspects:
            seconds = self.profile.idempotency.window_seconds - _KEY_MARGIN_SECONDS
            digest = digest_of(self.template, chunk.letters)
            call = {"call_key": key, "call_digest": digest, "call_until": from_now(seconds)}
        renew_lease(self.claim, position=self.settled_id, reserved=chunk.last_id, **call)

    def _take_back(self) -> None:
        """Nothing of the reservation was taken: it waits again."""
        renew_lease(self.claim, position=self.settled_id, reserved=self.settled_id, **NO_CALL)

    def _settle(self, chunk: Chunk, result: CallResult) -> Ended | None:
        """Writes what the call came to; tells how the claim ends, or None to go on."""
        match result.answer:
            case Answer.TAKEN:
                self._settle_taken(chunk, result.fates)
                return None
            case Answer.UNKNOWN if self.profile.idempotency and not self.suspects:
                log.warning("batch.in_doubt issue=%d batch=%d", self.claim.issue_id, self.claim.number)
                return self._ask_later(result)
            case Answer.UNKNOWN | Answer.MISMATCHED:
                self._settle_unknown(chunk)
                return Ended(result.words or UNANSWERED, pause_seconds=result.retry_after)
            case Answer.REFUSED:
                return self._settle_refused(chunk, result.words)
            case Answer.LATER:
                self._settle_partly(chunk, result.fates)
                return Ended(result.words, pause_seconds=result.retry_after)
            case Answer.CLOSED:
                self._settle_partly(chunk, result.fates)
                return self._close_issue(result.words)

    def _ask_later(self, result: CallResult) -> Ended:
        pause = min(_ASK_AGAIN_SECONDS * 2**self.claim.errors_count, _ASK_AGAIN_MOST_SECONDS)
        return Ended(result.words or UNANSWERED, pause_seconds=result.retry_after or pause)

    def _settle_taken(self, chunk: Chunk, fates: Any) -> None:
        told = [(i, *fates.get(one.address, (Fate.UNCERTAIN, ""))) for i, one in enumerate(chunk.recipients)]
        with transaction.atomic():
            if any(fate is Fate.ACCEPTED for _index, fate, _words in told):
                self._reject_suspects()
            self._write(chunk.last_id, chunk.recipients, told)

    def _settle_unknown(self, chunk: Chunk) -> None:
        with transaction.atomic():
            self._write(chunk.last_id, chunk.recipients, [])
            batch = Batch(issue_id=self.claim.issue_id, number=self.claim.number)
            batch.position, batch.reserved = self.settled_before, chunk.last_id
            count = call_uncertain(batch, UNANSWERED)
        self.suspects.clear()
        log.warning("batch.unanswered issue=%d batch=%d uncertain=%d", self.claim.issue_id, self.claim.number, count)

    def _settle_refused(self, chunk: Chunk, words: str) -> Ended | None:
        """One reader is refused, alone in the call. It is the reader's own fault only if the provider has taken others of this issue."""
        reader = chunk.recipients[0]
        if self._is_proven():
            with transaction.atomic():
                self._reject_suspects()
                self._write(chunk.last_id, chunk.recipients, [(0, Fate.REFUSED, words)])
            return None
        self.suspects.append((reader, words))
        return self._close_issue(words) if len(self.suspects) >= SUSPECTS else None

    def _settle_partly(self, chunk: Chunk, fates: Any) -> None:
        """Those who were told of keep their fate, also beyond one who was not reached; who was not reached waits."""
        told = [(i, *fates[one.address]) for i, one in enumerate(chunk.recipients) if one.address in fates]
        reached = 0
        while reached < len(told) and told[reached][0] == reached:
            reached += 1
        settled_id = chunk.recipients[reached - 1].subscriber_id if reached else self.settled_id
        with transaction.atomic():
            self._write(settled_id, chunk.recipients, told[:reached])
            record_fates(self.claim, chunk.recipients, told[reached:])
            self.gate.take_back(len(chunk.letters) - len(told))

    def _write(self, settled_id: int, recipients: list[Recipient], told: list[tuple[int, Fate, str]]) -> None:
        self.settled_before, self.settled_id = self.settled_id, settled_id
        progress = {"errors_count": 0, "error": ""} if settled_id > self.settled_before else {}
        renew_lease(self.claim, position=settled_id, reserved=settled_id, **progress, **NO_CALL)
        record_fates(self.claim, recipients, (one for one in told if one[1] is not Fate.ACCEPTED))

    def _reject_suspects(self) -> None:
        people = [reader for reader, _words in self.suspects]
        record_fates(self.claim, people, [(i, Fate.REFUSED, words) for i, (_, words) in enumerate(self.suspects)])
        self.suspects.clear()

    def _give_up(self, batch: Batch) -> None:
        with transaction.atomic():
            renew_lease(self.claim, position=batch.reserved, reserved=batch.reserved, **NO_CALL)
            count = call_uncertain(batch, UNANSWERED)
        self.settled_id = batch.reserved
        log.warning("batch.unanswered issue=%d batch=%d uncertain=%d", batch.issue_id, batch.number, count)

    def _is_proven(self) -> bool:
        """Whether this provider has taken anybody of this issue: then what it refuses is not all of us."""
        batches = Batch.objects.filter(issue_id=self.claim.issue_id, provider=self.provider.name, position__gt=0)
        return batches.exists()

    def _close_issue(self, words: str) -> Ended:
        self._take_back()
        return self._stop_issue(words)

    def _stop_issue(self, words: str) -> Ended:
        reason = _("%(provider)s refuses the issue: %(words)s") % {"provider": self.provider.name, "words": words}
        return Ended(words, stop_reason=reason)
