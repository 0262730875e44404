"""Tells machines from people, by what they say of themselves and by what no person does.

Two corrections to the usual lists: Gmail's and Yahoo's image proxies fetch when a person opens, so they are people seen through a
cache; Apple's Mail Privacy Protection, which calls itself `Mozilla/5.0` and nothing more, is a machine.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from newsletter.tracking.buffer import Engagement

# Agents of link scanners, link previews, monitors and libraries; names as each sends them.
_MACHINE_AGENTS = re.compile(
    r"barracuda|proofpoint|mimecast|safelinks|trendmicro|symantec|fortinet|sophos|forcepoint|zscaler|messagelabs|"
    r"bot\b|bot/|crawler|spider|slurp|preview|facebookexternalhit|kakaotalk-scrap|whatsapp|slackbot|telegrambot|discordbot|"
    r"curl/|wget/|python-requests|python-urllib|aiohttp|httpx|go-http-client|java/|okhttp|libwww|headlesschrome|phantomjs",
    re.IGNORECASE,
)
_PEOPLE_THROUGH_A_CACHE = re.compile(r"GoogleImageProxy|YahooMailProxy", re.IGNORECASE)
_APPLE_MPP = "Mozilla/5.0"
# A person does not follow so many different links within so short a time; scanners follow all of them.
BURST_LINKS, BURST_SECONDS = 4, 10


def is_machine_agent(agent: str) -> bool:
    """Whether the user agent alone gives a machine away."""
    if _PEOPLE_THROUGH_A_CACHE.search(agent):
        return False
    return not agent.strip() or agent.strip() == _APPLE_MPP or bool(_MACHINE_AGENTS.search(agent))


def find_bursts(events: Iterable[Engagement]) -> set[tuple[int, int, datetime]]:
    """(issue_id, subscriber_id, at) of the clicks that belong to a burst over many links."""
    by_reader: dict[tuple[int, int], list[Engagement]] = defaultdict(list)
    for event in events:
        if event.kind == "click":
            by_reader[event.issue_id, event.subscriber_id].append(event)
    found = set()
    for (issue_id, subscriber_id), clicks in by_reader.items():
        clicks.sort(key=lambda click: click.at)
        for first in clicks:
            until = first.at + timedelta(seconds=BURST_SECONDS)
            together = [click for click in clicks if first.at <= click.at <= until]
            if len({click.link_number for click in together}) >= BURST_LINKS:
                found |= {(issue_id, subscriber_id, click.at) for click in together}
    return found
