"""`manage.py issue retry|accept|resend`: a person at a terminal decides about deliveries that failed or are uncertain."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.delivery.mending import accept_uncertain, resend_uncertain, retry_failed
from newsletter.models import Issue
from subscribers.addresses import fingerprint, normalise_address
from subscribers.models import Subscriber


def retry(issue: Issue, *, with_rejected: bool) -> str:
    """Sends again to the failed; says to how many."""
    count = retry_failed(issue.pk, by=_who(), with_rejected=with_rejected)
    return ngettext(
        "It goes again to %(count)s person, and to nobody else.",
        "It goes again to %(count)s people, and to nobody else.",
        count,
    ) % {"count": f"{count:,}"}


def accept(issue: Issue, addresses: Sequence[str], *, everybody: bool) -> str:
    """Calls the uncertain submitted; says how many."""
    count = accept_uncertain(issue.pk, by=_who(), subscriber_ids=_chosen(addresses, everybody=everybody))
    return ngettext(
        "%(count)s delivery counts as submitted now, by your decision. No mail leaves.",
        "%(count)s deliveries count as submitted now, by your decision. No mail leaves.",
        count,
    ) % {"count": f"{count:,}"}


def resend(issue: Issue, addresses: Sequence[str], *, everybody: bool) -> str:
    """Sends again to the uncertain; says to how many."""
    count = resend_uncertain(issue.pk, by=_who(), subscriber_ids=_chosen(addresses, everybody=everybody))
    return ngettext(
        "It goes again to %(count)s person. If the first mail had left after all, they get it twice.",
        "It goes again to %(count)s people. Those whose first mail had left after all get it twice.",
        count,
    ) % {"count": f"{count:,}"}


def _chosen(addresses: Sequence[str], *, everybody: bool) -> list[int] | None:
    """The people behind the addresses; None for all. Raises CommandError for neither, for both, and for an unknown address."""
    if everybody == bool(addresses):
        raise CommandError(_("Name the addresses, or write --all for everyone of whom it is uncertain."))
    if everybody:
        return None
    keys = {fingerprint(normalise_address(address)): address for address in addresses}
    found = dict(Subscriber.objects.filter(fingerprint__in=list(keys)).values_list("fingerprint", "pk"))
    for key, address in keys.items():
        if key not in found:
            raise CommandError(
                _("Nobody with the address %(address)s is known here; nothing was changed.") % {"address": address}
            )
    return list(found.values())


def _who() -> str:
    """The operating system's name for whoever types, for the log."""
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"shell:{os.getuid()}"
