"""`manage.py issue missing`: people as lines, or as JSON; written as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from newsletter.models import Outcome
from newsletter.tracking.recipients import BOUNCED, CONFIRMED_LATER, Missing
from newsletter.tracking.words import say_reason

_KINDS = {
    **{outcome.name.lower(): outcome.label for outcome in Outcome},
    "waiting": gettext_lazy("waiting"),
    BOUNCED: gettext_lazy("bounced"),
    CONFIRMED_LATER: gettext_lazy("confirmed after the audience was frozen"),
}


def write_lines(people: Iterable[Missing], write: Callable[[str], object]) -> None:
    """One person a line, and how many they are."""
    count = 0
    for person in people:
        count += 1
        reason = f": {say_reason(person.reason)}" if person.reason else ""
        write(f"{person.address or _('(erased)')}  {_KINDS[person.kind]}{reason}")
    write(ngettext("%(count)s person.", "%(count)s people.", count) % {"count": f"{count:,}"})


def write_json(people: Iterable[Missing], write: Callable[[str], object]) -> None:
    """An array, one object a line."""
    write("[")
    before = ""
    for person in people:
        write(f"{before}{json.dumps(asdict(person), ensure_ascii=False)}")
        before = ","
    write("]")
