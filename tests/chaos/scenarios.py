"""The faults, one scenario each. A scenario starts an issue, does its worst at moments the seed chooses, and judges at the end."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import redis
from django.db import connection

from newsletter.delivery import lifecycle, preparing
from subscribers.models import MailingList, Subscriber
from subscribers.unsubscribing import unsubscribe
from tests.chaos.faulty import FAILING_SLUG, is_failing
from tests.chaos.ground import LEASE_SECONDS, Ground
from tests.chaos.sending import OVER, Row, Sending

OPT_OUT_SECONDS = 60.0
CANCEL_SECONDS = 5.0
OUTAGE_SECONDS = 20.0


def most_uncertain(ground: Ground, kills: int) -> int:
    """What so many kills may leave at most: the window of every batch that was under way."""
    from django.conf import settings

    if ground.provider is not None:
        return 0  # it is asked again what it has taken
    at_once = 2 * len(ground.system.senders)  # each sending process works on two batches
    return kills * settings.SMTP_WINDOW * at_once


def moments(rng: random.Random, count: int, readers: int) -> list[int]:
    """So many moments, told in mails received, in their order."""
    return sorted(int(readers * rng.uniform(0.02, 0.97)) for _ in range(count))


def killed_workers(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """SIGKILL to a child, to a worker with its children, or to all workers; then they are started again."""
    sending = Sending(ground, f"kills-{rng.getrandbits(32)}")
    sending.start()
    for moment in moments(rng, faults, readers):
        if not sending.wait_for(moment):
            break
        _kill_some(ground, rng)
        sending.fault_is_over()
    sending.finish()
    return sending.judge("worker SIGKILL", most_uncertain=most_uncertain(ground, sending.faults))


def _kill_some(ground: Ground, rng: random.Random) -> None:
    senders = ground.system.senders
    if len(senders) > 1 and rng.random() < 0.4:
        children = ground.system.children(rng.choice(senders))
        if children:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(children), signal.SIGKILL)
            return
    chosen = senders if rng.random() < 0.5 else (rng.choice(senders),)
    ground.system.kill(*chosen)
    ground.system.start()


def killed_system(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """SIGKILL to everything of Sosik's at once."""
    sending = Sending(ground, f"dark-{rng.getrandbits(32)}")
    sending.start()
    for moment in moments(rng, faults, readers):
        if not sending.wait_for(moment):
            break
        ground.system.kill(*ground.system.commands())
        ground.system.start()
        sending.fault_is_over()
    sending.finish()
    return sending.judge("all processes SIGKILL", most_uncertain=most_uncertain(ground, sending.faults))


def emptied_redis(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """FLUSHALL, and Redis killed and started empty."""
    assert ground.redis is not None
    sending = Sending(ground, f"redis-{rng.getrandbits(32)}")
    sending.start()
    for number, moment in enumerate(moments(rng, faults, readers)):
        if not sending.wait_for(moment):
            break
        if number % 2:
            ground.redis.stop(signal.SIGKILL)
            time.sleep(rng.uniform(0.5, 3))
            ground.redis.start()
        else:
            with redis.Redis.from_url(ground.redis.url) as client:
                client.flushall()
        sending.fault_is_over()
    sending.finish()
    return sending.judge("Redis emptied, restarted")


def restarted_postgres(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """A fast restart that throws every client out, and an outage of 20 s."""
    assert ground.postgres is not None
    sending = Sending(ground, f"postgres-{rng.getrandbits(32)}")
    sending.start()
    for number, moment in enumerate(moments(rng, faults, readers)):
        if not sending.wait_for(moment):
            break
        ground.postgres.stop(signal.SIGINT)
        if number == 0:
            time.sleep(OUTAGE_SECONDS)
        ground.postgres.start()
        connection.close()
        sending.fault_is_over()
    sending.finish()
    return sending.judge("PostgreSQL restarted, 20 s away", most_uncertain=most_uncertain(ground, sending.faults))


def frozen_worker(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """SIGSTOP until the lease is over and others have taken the batches; then SIGCONT, and nobody believes the late one."""
    sending = Sending(ground, f"frozen-{rng.getrandbits(32)}")
    sending.start()
    for moment in moments(rng, faults, readers):
        if not sending.wait_for(moment):
            break
        name = rng.choice(ground.system.senders)
        ground.system.freeze(name)
        time.sleep(LEASE_SECONDS + 4)
        ground.system.thaw(name)
        sending.fault_is_over()
    sending.finish()
    return sending.judge("SIGSTOP past the lease", most_uncertain=most_uncertain(ground, sending.faults))


def eight_starts(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """Eight threads prepare the same due issue at once, beside two clocks that ring for it."""
    del readers, faults
    sending = Sending(ground, f"starts-{rng.getrandbits(32)}")
    winners: list[bool] = []
    together = threading.Barrier(8)

    def prepare() -> None:
        together.wait()
        try:
            winners.append(preparing.prepare_issue(sending.issue_id))
        finally:
            connection.close()

    sending.start()
    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sending.faults = 8
    sending.finish()
    if sum(winners) > 1:
        sending.mistakes.append(f"{sum(winners)} of eight froze the audience")
    return sending.judge("eight concurrent starts, two clocks")


def paused_and_resumed(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """Pause and resume at random, then cancel: nothing leaves 5 s later."""
    sending = Sending(ground, f"paused-{rng.getrandbits(32)}")
    sending.start()
    for moment in moments(rng, faults, int(readers * 0.7)):
        if not sending.wait_for(moment):
            break
        _do(sending, lambda: lifecycle.pause_issue(sending.issue_id, "chaos"))
        _expect_silence(sending, "a pause", rng.uniform(0, 2))
        _do(sending, lambda: lifecycle.resume_issue(sending.issue_id))
        sending.fault_is_over()
    if sending.wait_for(int(readers * 0.8)):
        lifecycle.cancel_issue(sending.issue_id, "chaos")
        sending.faults += 1
        _expect_silence(sending, "a cancel", 3)
    sending.finish()
    return sending.judge("pause, resume, cancel at random")


def _expect_silence(sending: Sending, after: str, seconds: float) -> None:
    time.sleep(CANCEL_SECONDS)
    before = sending.received()
    time.sleep(seconds)
    more = sending.received() - before
    if more:
        sending.mistakes.append(f"{more} mails left more than {CANCEL_SECONDS:.0f} s after {after}")


def _do(sending: Sending, act: Callable[[], None]) -> None:
    try:
        act()
    except lifecycle.NotAllowed:
        if sending.status() not in OVER:
            raise


def failing_messages(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """One message in a thousand cannot be composed: those and only those are called failed."""
    del readers, faults
    sending = Sending(ground, f"{FAILING_SLUG}-{rng.getrandbits(32)}")
    sending.start()
    sending.finish()
    row = sending.judge("1 message in 1,000 fails")
    people = {pk: email for pk, email in Subscriber.objects.values_list("pk", "email") if is_failing(pk)}
    row.faults = len(people)
    got = set(ground.receipts.times(sending.issue_id)) & set(people.values())
    expected = row.readers - len(people)
    if got or row.received != expected:
        row.mistakes.append(f"{row.received} of {expected} got it, {len(got)} of those whose message fails")
    return row


def leaving_readers(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """Readers leave, and are erased, while the issue goes out; nobody gets it 60 s after leaving."""
    del faults
    sending = Sending(ground, f"leaving-{rng.getrandbits(32)}")
    list_id = MailingList.objects.values_list("pk", flat=True).get(slug="demo")
    people = list(Subscriber.objects.order_by("-pk").values_list("pk", "email")[: readers // 2])
    rng.shuffle(people)
    leavers, left_at = people[: max(20, readers // 100)], {}
    sending.start()
    sending.wait_for(readers // 20)
    for number, (pk, email) in enumerate(leavers):
        if number % 2:
            Subscriber.objects.filter(pk=pk).delete()
        else:
            unsubscribe(pk, list_id, source="chaos")
        left_at[email] = time.monotonic()
        sending.faults += 1
    sending.fault_is_over()
    sending.finish()
    late = [
        email
        for email, times in ground.receipts.times(sending.issue_id).items()
        if email in left_at and max(times) > left_at[email] + OPT_OUT_SECONDS
    ]
    if late:
        sending.mistakes.append(f"{len(late)} got it more than {OPT_OUT_SECONDS:.0f} s after leaving")
    return sending.judge("leaving and erased in mid-send")


def unanswered(ground: Ground, rng: random.Random, readers: int, faults: int) -> Row:
    """A mail in five hundred, or a call in twenty, is taken and never answered: never sent again, and listed where nobody can know."""
    del faults
    sending = Sending(ground, f"unanswered-{rng.getrandbits(32)}")
    ground.receipts.unanswered_percent = 5 if ground.provider else 0.2  # of calls, of mails
    try:
        sending.start()
        sending.finish()
    finally:
        ground.receipts.unanswered_percent = 0.0
    row = sending.judge("accepted and unanswered", most_uncertain=0 if ground.provider else readers // 100)
    if not ground.provider and not row.uncertain:
        row.mistakes.append(f"{row.uncertain} uncertain where about {readers // 500} were left unanswered")
    row.faults = row.uncertain
    return row


Scenario = Callable[[Ground, random.Random, int, int], Row]
ON_SERVICES: tuple[Scenario, ...] = (
    killed_workers,
    killed_system,
    emptied_redis,
    restarted_postgres,
    frozen_worker,
    eight_starts,
    paused_and_resumed,
    failing_messages,
    unanswered,
    leaving_readers,
)
ON_PROVIDER: tuple[Scenario, ...] = (killed_workers, killed_system, frozen_worker, unanswered, leaving_readers)
ON_EMBEDDED: tuple[Scenario, ...] = (
    killed_workers, eight_starts, paused_and_resumed, unanswered, leaving_readers,
)  # fmt: skip
