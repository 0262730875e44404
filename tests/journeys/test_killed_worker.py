"""The worker dies in the middle of an issue: nobody gets two, and who got none is named."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.worlds import World

READERS = 700  # two batches: one is cut short, the other may be
SET_UP = f"from newsletter.demo.rehearsal import make_audience; make_audience({READERS}, seed=1)"
LOOK_UP = (
    "from subscribers.models import Subscriber;"
    "print(*Subscriber.objects.filter(subscriptions__mailing_list__slug='demo').values_list('email', flat=True))"
)


def received_by(world: World) -> dict[str, int]:
    return {address: count for (address, list_slug), count in world.received.items() if list_slug == "demo"}


def test_a_killed_worker_costs_nobody_a_second_mail_and_loses_nobody_silently(world: World, tmp_path: Path) -> None:
    world.run("shell", "--no-imports", "-c", SET_UP)
    post = tmp_path / "long.md"
    post.write_text("---\ntitle: A long night\nslug: long-night\n---\n" + "Hello, hello. " * 500)
    world.run("publish", str(post), "--list", "demo")
    world.run("issue", "send", "long-night")

    world.wait_for_mails(lambda _: len(received_by(world)) >= READERS // 5)
    world.system.kill_sender()
    world.system.restart_sender()

    report = world.wait_for_report("long-night", lambda report: report["status"] == "sent")
    accounts = report["accounts"]
    received = received_by(world)
    assert set(received.values()) == {1}
    assert accounts["adds_up"]
    assert (accounts["audience"], accounts["waiting"]) == (READERS, 0)
    assert accounts["submitted"] + accounts["uncertain"] == READERS
    # Who is named may have got it, and nobody can know before an answer comes; who did not get it is named.
    named = {person["address"] for person in report["uncertain"]}
    everyone = set(world.run("shell", "--no-imports", "-c", LOOK_UP).split())
    assert len(everyone) == READERS
    assert len(named) == accounts["uncertain"]
    assert everyone - set(received) <= named
