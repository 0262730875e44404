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
from newsletter.delivery.providers import PROFILES, Way
from newsletter.delivery.recipients import load_reachable, load_recipients
from newsletter.delivery.recording import call_uncertain, on_the_wire, record_fates
from newsletter.delivery.stopping import must_stop
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.audience import unreachable_reasons

log = logging.getLogger(__name__)

_SINGLES = 20  # calls of one reader each between two checkpoints: the most that a kill leaves uncertain there
_READY_BYTES = 10_000_000  # of finished texts in one call: a worker holds them thrice, and Postmark takes 50 MB
_SUSPECTS = 3  # readers refused one by one, without anybody taken, before we believe that it is not the readers
_KEY_MARGIN_SECONDS = 120  # a key is not used so shortly before the provider forgets it
# Pauses before a call in doubt is submitted again, doubling: Brevo knows a key for half an hour.
_ASK_AGAIN_SECONDS, _ASK_AGAIN_MOST_SECONDS = 5, 300


def submit_merged(claim: Claim, issue: Issue, provider: ProviderSettings) -> Ended:
    """Submits what waits of the batch, chunk by chunk, and tells how it ended."""
    batch = Batch.objects.get(pk=claim.batch_id)
    merging = _Merging(claim, issue, provider)
    try:
        if batch.position < batch.reserved:
            ended = merging.ask_again(batch)
            if ended is not None:
                return ended
        return merging.submit_waiting()
    finally:
        merging.close()


@dataclass(slots=True)
class _Chunk:
    """Readers of one reservation."""

    letters: list[Letter]

    @property
    def recipients(self) -> list[Recipient]:
        return [letter.recipient for letter in self.letters]

    @property
    def last_id(self) -> int:
        return self.letters[-1].recipient.subscriber_id


class _Merging:
    """One claim's calls."""

    def __init__(self, claim: Claim, issue: Issue, provider: ProviderSettings) -> None:
        self.claim = claim
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
            chunk = _Chunk([self.template.letter_for(one) for one in recipients[start : start + size]])
            key = str(uuid.uuid4())
            self._reserve(chunk, key)
            result = self._call(chunk, key)
            if result.answer is Answer.REFUSED and len(chunk.letters) > 1:
                self._take_back()
                size = len(chunk.letters) // 2
                continue
            ended = self._settle(chunk, result)
            if ended is not None:
                return ended
            start += len(chunk.letters)
            size = 1 if self.suspects else min(most, 2 * size)
        if self.suspects:  # the batch ends and nobody was taken: it is not known to be the readers
            return self._close_issue(self.suspects[-1][1])
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
        chunk = _Chunk(letters)
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

    def _call(self, chunk: _Chunk, key: str, *, is_repeated: bool = False) -> CallResult:
        if self._backend is None:
            self._backend = open_backend(self.provider.esp, settings.API_TIMEOUT_SECONDS)
        if self.profile.way is Way.SINGLE:
            return self._call_each(chunk, key)
        message = build_message(self.template, chunk.letters, key)
        return self._call_one(message, is_repeated=is_repeated)

    def _call_one(self, message: Any, *, is_repeated: bool = False) -> CallResult:
        backend = self._backend
        return call_within(
            settings.API_TIMEOUT_SECONDS,
            lambda: call_provider(backend, message, is_repeated=is_repeated),
            lambda _seconds: renew_lease(self.claim),
        )

    def _call_each(self, chunk: _Chunk, key: str) -> CallResult:
        """One call a reader; ends early at the first that is not the reader's own affair. Who was not reached waits."""
        fates: dict[str, tuple[Fate, str]] = {}
        is_proven = self._is_proven()
        result = CallResult(Answer.TAKEN)
        for letter in chunk.letters:
            result = self._call_one(build_message(self.template, [letter], key))
            match result.answer:
                case Answer.TAKEN:
                    fates |= result.fates
                    is_proven = is_proven or any(fate is Fate.ACCEPTED for fate, _words in result.fates.values())
                case Answer.REFUSED:
                    fates[letter.recipient.address] = (Fate.REFUSED, result.words)
                    if not is_proven and len(fates) >= _SUSPECTS:
                        break
                case Answer.UNKNOWN | Answer.MISMATCHED:
                    fates[letter.recipient.address] = (Fate.UNCERTAIN, UNANSWERED)
                    return CallResult(Answer.LATER, fates, result.words or UNANSWERED)
                case Answer.LATER | Answer.CLOSED:
                    return CallResult(result.answer, fates, result.words, result.retry_after)
        if result.answer is Answer.REFUSED and not is_proven:  # not one was taken: it is not known to be the readers
            return CallResult(Answer.CLOSED, words=result.words)
        return CallResult(Answer.TAKEN, fates)

    # --- the database -------------------------------------------------------------------------------------------------

    def _load_waiting(self) -> list[Recipient]:
        rows = Delivery.objects.filter(
            issue_id=self.claim.issue_id,
            batch_number=self.claim.number,
            outcome=Outcome.WITH_BATCH,
            subscriber_id__gt=self.settled_id,
        )
        ids = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))
        return load_reachable(self.claim, ids, self.issue.mailing_list)

    def _reserve(self, chunk: _Chunk, key: str) -> None:
        call: dict[str, Any] = dict(NO_CALL)
        if self.profile.idempotency and not self.suspects:
            seconds = self.profile.idempotency.window_seconds - _KEY_MARGIN_SECONDS
            digest = digest_of(self.template, chunk.letters)
            call = {"call_key": key, "call_digest": digest, "call_until": from_now(seconds)}
        renew_lease(self.claim, position=self.settled_id, reserved=chunk.last_id, **call)

    def _take_back(self) -> None:
        """Nothing of the reservation was taken: it waits again."""
        renew_lease(self.claim, position=self.settled_id, reserved=self.settled_id, **NO_CALL)

    def _settle(self, chunk: _Chunk, result: CallResult) -> Ended | None:
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
                return Ended(result.words or UNANSWERED)
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

    def _settle_taken(self, chunk: _Chunk, fates: Any) -> None:
        told = [(i, *fates.get(one.address, (Fate.UNCERTAIN, ""))) for i, one in enumerate(chunk.recipients)]
        with transaction.atomic():
            if any(fate is Fate.ACCEPTED for _index, fate, _words in told):
                self._reject_suspects()
            self._write(chunk.last_id, chunk.recipients, told)

    def _settle_unknown(self, chunk: _Chunk) -> None:
        with transaction.atomic():
            self._write(chunk.last_id, chunk.recipients, [])
            batch = Batch(issue_id=self.claim.issue_id, number=self.claim.number)
            batch.position, batch.reserved = self.settled_before, chunk.last_id
            count = call_uncertain(batch, UNANSWERED)
        self.suspects.clear()
        log.warning("batch.unanswered issue=%d batch=%d uncertain=%d", self.claim.issue_id, self.claim.number, count)

    def _settle_refused(self, chunk: _Chunk, words: str) -> Ended | None:
        """One reader is refused, alone in the call. It is the reader's own fault only if the provider has taken others of this issue."""
        reader = chunk.recipients[0]
        if self._is_proven():
            with transaction.atomic():
                self._reject_suspects()
                self._write(chunk.last_id, chunk.recipients, [(0, Fate.REFUSED, words)])
            return None
        self.suspects.append((reader, words))
        return self._close_issue(words) if len(self.suspects) >= _SUSPECTS else None

    def _settle_partly(self, chunk: _Chunk, fates: Any) -> None:
        """Those who were told of keep their fate; the others were not reached and wait."""
        told = [(i, *fates[one.address]) for i, one in enumerate(chunk.recipients) if one.address in fates]
        settled_id = chunk.recipients[told[-1][0]].subscriber_id if told else self.settled_id
        with transaction.atomic():
            self._write(settled_id, chunk.recipients, told)

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
