"""From the file to the inbox, and its echo back into the report."""

from __future__ import annotations

from pathlib import Path

from newsletter.demo.reading import find_handles
from tests.journeys.worlds import SITE_URL, World

POST = """---
title: 11월의 첫 소식, 서점에서
description: 골목 서점이 밤에 하는 일
date: 2026-11-24
slug: first-news
---
**100%**의 마음으로 적습니다, {{ name|default:"독자" }}님.
- 하나
  - [둘](https://example.com/a_(b)?x=1&utm_source=here#top)

[셋](https://example.com/three)
"""


def test_a_post_reaches_every_inbox_once_and_its_echo_reaches_the_report(world: World, tmp_path: Path) -> None:
    post = tmp_path / "post.md"
    post.write_text(POST, encoding="utf-8")
    slug = world.publish(post, "news")
    assert slug == "first-news"
    people = ["opener@example.net", "proxy@example.net", "gone@example.net", "quiet@example.org"]
    world.ask_to_subscribe("news", *people)
    world.confirm(*people)

    world.run("issue", "send", slug)
    world.wait_for_mails(lambda received: all(received[address, "news"] for address in people))
    report = world.wait_for_report(slug, lambda report: report["status"] == "sent")
    assert report["accounts"]["submitted"] == len(people)
    got = {address: count for (address, list_slug), count in world.received.items() if list_slug == "news"}
    assert got == dict.fromkeys(people, 1)

    mails = {address: world.mails_to(address)[-1] for address in people}
    mail = mails["opener@example.net"]
    assert mail.read.header("Subject") == "11월의 첫 소식, 서점에서"
    assert "골목 서점이 밤에 하는 일" in mail.read.html  # the preheader
    assert "<strong>100%</strong>의 마음" in mail.read.html.replace(' style="', ' data-s="')
    assert "독자님" in mail.read.text
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"List-Unsubscribe: <{SITE_URL}/u/".encode() in mail.raw
    assert mail.message.defects == []
    assert len({mail.kept.message_id for mail in mails.values()}) == len(people)

    handles = find_handles(mail.raw)
    assert world.get(handles.pixel).status == 200
    followed = world.get(handles.tracked[0])
    assert (followed.status, followed.location) == (302, "https://example.com/a_(b)?x=1&utm_source=here#top")
    assert world.get(find_handles(mails["proxy@example.net"].raw).pixel, agent="Mozilla/5.0").status == 200
    for address in [*people[:1], *people]:  # providers repeat themselves
        world.tell("bounced" if address == "gone@example.net" else "delivered", mails[address])

    # Echoes are folded in their order, in one fold or in several: once the last is in, all are.
    accounts = world.wait_for_report(slug, lambda report: report["accounts"]["delivered"] >= 3)["accounts"]
    echoes = {name: accounts[name] for name in ("delivered", "hard_bounces", "opens", "machine_opens", "clicks")}
    assert echoes == {"delivered": 3, "hard_bounces": 1, "opens": 1, "machine_opens": 1, "clicks": 1}
    assert accounts["adds_up"]
    assert "11월의 첫 소식" in world.get(f"{SITE_URL}/news/{slug}/").body.decode()
