"""Simulated readers: who does what, and what they find in a mail."""

from __future__ import annotations

import random
from collections import Counter
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from newsletter.demo.door import Door
from newsletter.demo.readers import (
    KINDS,
    Fetch,
    Leave,
    Step,
    Tell,
    cast_readers,
    kind_of,
    plan_reaction,
    smtp_delay,
)
from newsletter.demo.reading import Handles, find_handles, read_message

SITE = "https://news.example.org"
HANDLES = Handles(
    links=(f"{SITE}/c/1/t", f"{SITE}/c/2/t", f"{SITE}/c/3/t", f"{SITE}/c/4/t", f"{SITE}/u/t", "https://example.com/"),
    tracked=(f"{SITE}/c/1/t", f"{SITE}/c/2/t", f"{SITE}/c/3/t", f"{SITE}/c/4/t"),
    pixel=f"{SITE}/o/t",
    one_click=f"{SITE}/u/t",
)


def react(address: str, seed: int = 1, *, camouflage: bool = True) -> list[Step]:
    return [step for _, step in plan_reaction(address, lambda: HANDLES, random.Random(seed), camouflage=camouflage)]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("bounce@example.net", "bounce"),
        ("bounce-000012@example.net", "bounce"),
        ("soft-bounce+x@example.net", "soft-bounce"),
        ("Apple-MPP7@example.net", "apple-mpp"),
        ("slow.1@example.net", "slow"),
        ("bouncer@example.net", "human"),
        ("humanity@example.net", "human"),
        ("seoyeon@example.net", "human"),
    ],
)
def test_the_local_part_says_the_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


def test_every_kind_is_there_from_twenty_readers_on() -> None:
    assert {kind_of(address) for address in cast_readers(20, random.Random(1))} == set(KINDS)
    assert {kind_of(address) for address in cast_readers(5, random.Random(1))} == {"human"}


def test_the_mix_is_what_real_lists_look_like() -> None:
    kinds = Counter(map(kind_of, cast_readers(10_000, random.Random(1))))
    assert kinds["complain"] <= 10
    assert kinds["slow"] == 20
    assert kinds["human"] > 7_000
    assert sum(kinds.values()) == len(set(cast_readers(10_000, random.Random(1)))) == 10_000


def test_who_bounces_does_nothing_else() -> None:
    assert react("bounce@example.net") == [Tell("bounced")]


def test_a_soft_bounce_is_delivered_in_the_end() -> None:
    assert react("soft-bounce@example.net") == [Tell("deferred"), Tell("delivered")]


def test_complaint_and_unsubscribe_come_after_the_delivery() -> None:
    assert react("complain@example.net") == [Tell("delivered"), Tell("complained")]
    assert react("unsubscribe@example.net") == [Tell("delivered"), Leave(HANDLES.one_click)]


def test_a_person_opens_before_clicking_and_clicks_three_links_at_most() -> None:
    plans = [react("human@example.net", seed) for seed in range(200)]
    opened = [steps for steps in plans if len(steps) > 1]
    assert 80 < len(opened) < 160
    for _, first, *clicks in opened:
        assert isinstance(first, Fetch)
        assert (first.what, first.address, first.is_machine) == ("open", HANDLES.pixel, False)
        assert len(clicks) <= 3
        assert all(isinstance(click, Fetch) and click.address in HANDLES.tracked for click in clicks)
    assert any(len(steps) > 2 for steps in opened)


def test_a_scanner_asks_for_every_link_and_looks_at_the_unsubscribe_page_too() -> None:
    steps = [step for step in react("scanner@example.net")[1:] if isinstance(step, Fetch)]
    assert {step.address for step in steps if step.method == "GET" and step.what == "click"} == set(HANDLES.tracked)
    assert [step.what for step in steps if step.address == HANDLES.one_click] == ["look", "look"]
    assert all(step.is_machine for step in steps)


def test_a_scanner_poses_as_a_browser_only_where_its_haste_can_give_it_away() -> None:
    posing, honest = (
        {step.agent for step in react("scanner@example.net", camouflage=on) if isinstance(step, Fetch)}
        for on in (True, False)
    )
    assert any("Chrome" in agent for agent in posing)
    assert not any("Chrome" in agent for agent in honest)


def test_the_same_seed_gives_the_same_reader() -> None:
    assert react("human@example.net", 7) == react("human@example.net", 7)


def test_only_slow_servers_are_slow() -> None:
    assert smtp_delay("slow-1@example.net") == 0.5
    assert smtp_delay("human-1@example.net") == 0.0


def test_nobody_elses_site_is_ever_called() -> None:
    door = Door(SITE, port=1)
    assert door.path_of("https://example.com/c/1/t") is None
    assert door.path_of("https://news.example.org.evil.example/") is None
    assert door.path_of(f"{SITE}/c/1/t?x=1#top") == "/c/1/t?x=1"
    assert door.path_of(SITE) == "/"


def make_mail(charset: str = "utf-8") -> bytes:
    mail = MIMEMultipart("alternative")
    mail["Subject"] = "오늘"
    mail["List-Unsubscribe"] = f"<{SITE}/u/t>"
    mail.attach(MIMEText("안녕 text", "plain", charset))
    page = (
        f'<p>안녕</p><a class="x" href="{SITE}/c/1/t">one</a><a href="{SITE}/c/1/t">again</a>'
        f'<a data-href="{SITE}/no" href="https://example.com/?a=1&amp;b=2">other</a><img alt="" src=\'{SITE}/o/t\'>'
    )
    mail.attach(MIMEText(page, "html", charset))
    return mail.as_bytes()


def test_links_pixel_and_one_click_are_found_in_the_raw_mail() -> None:
    assert find_handles(make_mail()) == Handles(
        links=(f"{SITE}/c/1/t", "https://example.com/?a=1&b=2"),
        tracked=(f"{SITE}/c/1/t",),
        pixel=f"{SITE}/o/t",
        one_click=f"{SITE}/u/t",
    )


def test_a_mail_without_anything_has_no_handles() -> None:
    assert find_handles(b"Subject: bare\r\n\r\nhello\r\n") == Handles((), (), "", "")


@pytest.mark.parametrize("charset", ["utf-8", "euc-kr"])
def test_parts_are_read_in_their_charset(charset: str) -> None:
    mail = read_message(make_mail(charset))
    assert mail.text == "안녕 text"
    assert "<p>안녕</p>" in mail.html
    assert mail.header("subject") == "오늘"


def test_a_charset_nobody_knows_is_shown_all_the_same() -> None:
    raw = make_mail().replace(b'charset="utf-8"', b'charset="klingon"')
    assert read_message(raw).text == "안녕 text"
