"""A reader comes, reads one issue, and leaves with one click: the next issue does not come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from newsletter.demo.crowd import ONE_CLICK_BODY, ONE_CLICK_HEADERS
from newsletter.demo.reading import find_handles
from tests.journeys.worlds import World

LEAVER, STAYER, DOUBTER = "leaver@example.net", "stayer@example.net", "doubter@example.net"


def publish(world: World, folder: Path, name: str) -> str:
    post = folder / f"{name}.md"
    post.write_text(f"---\ntitle: The {name} issue\nslug: {name}\n---\nHello [there](https://example.com/).\n")
    return world.publish(post, "letters")


def send(world: World, slug: str) -> dict[str, Any]:
    world.run("issue", "send", slug)
    accounts: dict[str, Any] = world.wait_for_report(slug, lambda report: report["status"] == "sent")["accounts"]
    return accounts


def test_who_confirms_gets_the_issue_and_who_leaves_does_not_get_the_next(world: World, tmp_path: Path) -> None:
    first, second = publish(world, tmp_path, "first"), publish(world, tmp_path, "second")
    world.ask_to_subscribe("letters", LEAVER, STAYER, DOUBTER)
    world.confirm(LEAVER, STAYER)
    accounts = send(world, first)
    assert (accounts["audience"], accounts["submitted"]) == (2, 2)

    one_click = find_handles(world.mails_to(LEAVER)[-1].raw).one_click
    assert world.get(one_click).status == 200  # a scanner looks; nothing happens
    path = world.door.path_of(one_click)
    assert path is not None
    for _ in range(2):  # mail programs try again
        assert world.door.request("POST", path, body=ONE_CLICK_BODY, headers=ONE_CLICK_HEADERS).status == 200
    assert world.get(find_handles(world.mails_to(STAYER)[-1].raw).one_click).status == 200

    accounts = send(world, second)
    assert (accounts["audience"], accounts["submitted"]) == (1, 1)
    assert world.report(first)["accounts"]["unsubscribes"] == 1
    subjects = {
        address: [mail.read.header("Subject") for mail in world.mails_to(address)[1:]]  # after the confirmation
        for address in (LEAVER, STAYER, DOUBTER)
    }
    assert subjects == {LEAVER: ["The first issue"], STAYER: ["The first issue", "The second issue"], DOUBTER: []}
