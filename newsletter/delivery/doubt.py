"""A call whose answer nobody knows. It covers a batch's readers between position and reserved.

A provider that knows a call again by its key may be asked again for as long as it does: the same readers, the same content, the
same key. Until then they wait; after that, and at every other provider, they are uncertain.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db.models.functions import Now

from newsletter.delivery.merge_template import Letter, MergeTemplate
from newsletter.models import Batch

NO_CALL: dict[str, Any] = {"call_key": "", "call_digest": "", "call_until": None}
UNANSWERED = "the provider did not answer"


def is_in_doubt(batch: Batch) -> bool:
    """Whether a call of this batch may be submitted again with its key."""
    if not batch.call_key or batch.position >= batch.reserved:
        return False
    return Batch.objects.filter(pk=batch.pk, call_key=batch.call_key, call_until__gt=Now()).exists()


def digest_of(template: MergeTemplate, letters: list[Letter]) -> str:
    """A fingerprint of everything a call says: equal for the very same call, and only for that."""
    said = [
        template.sender,
        template.reply_to,
        template.headers,
        template.subject,
        template.html,
        template.text,
        [(one.recipient.address, one.values, one.ready, one.headers, one.message_token) for one in letters],
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
