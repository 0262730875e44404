"""Our side of SMTP: what a server is told, and what we make of its answers. The twin counts what it took."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from newsletter.delivery.crew import Crew
from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import (
    ConnectionLostError,
    Envelope,
    SmtpServer,
    SmtpSession,
)
from tests.smtp_twin import Ending, SmtpTwin

BODY = "Subject: hello\r\n\r\n본문\r\n..점으로 시작\r\n.\r\n".encode()
PLAIN_BODY = b"Subject: hello\r\n\r\nbody\r\n.\r\n"


@pytest.fixture
def twin() -> Iterator[SmtpTwin]:
    server = SmtpTwin()
    yield server
    server.close()
    assert server.violations == []


def server_of(twin: SmtpTwin, **options: object) -> SmtpServer:
    return SmtpServer("127.0.0.1", twin.port, **({"timeout_seconds": 5} | options))  # type: ignore[arg-type]


class Letters:
    """What a crew delivers in these tests; an unsent letter goes back to the front, as in a batch."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.queue = list(range(len(addresses)))
        self.fates: dict[str, Fate] = {}
        self.words: dict[str, str] = {}
        self.unsent: list[str] = []

    def take(self, session: SmtpSession) -> Envelope | None:
        if not self.queue:
            return None
        index = self.queue.pop(0)
        return Envelope(index, "news@example.org", self.addresses[index], BODY if session.eight_bit else PLAIN_BODY)

    def wait(self) -> bool:
        return bool(self.queue)

    def is_over(self) -> bool:
        return len(self.fates) == len(self.addresses)

    def settle(self, key: int, fate: Fate, words: str) -> None:
        address = self.addresses[key]
        assert address not in self.fates, "settled twice"
        if fate is Fate.UNSENT:
            self.unsent.append(address)
            self.queue.insert(0, key)
            return
        self.fates[address], self.words[address] = fate, words


def deliver(twin: SmtpTwin, addresses: list[str], *, connections: int = 1, **options: object) -> tuple[Letters, str]:
    letters = Letters(addresses)
    error = Crew(connections, letters, lambda: SmtpSession(server_of(twin, **options)), SmtpSession.close).run()
    return letters, error


def by_name(names: dict[str, str], otherwise: str = "250 OK") -> Callable[[str], str]:
    return lambda address: names.get(address.partition("@")[0], otherwise)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [["PIPELINING", "8BITMIME"], ["8BITMIME"], ["PIPELINING"], []])
@pytest.mark.parametrize("connections", [1, 3])
def test_each_recipient_gets_one_answer_and_the_accepted_one_mail(
    twin: SmtpTwin, features: list[str], connections: int
) -> None:
    names = ["a", "nobody", "b", "later", "nobody", "shut", "spam", "c", "full", "d"]
    addresses = [f"{name}@x{index}.test" for index, name in enumerate(names)]
    twin.features = features
    twin.on_recipient = by_name({"nobody": "550 5.1.1 no such user", "later": "450 4.2.1 greylisted"})
    twin.on_data = by_name({"shut": "451 not now"}, "354 go")
    twin.on_body = by_name({"spam": "554 5.7.1 looks like spam", "full": "452 4.2.2 full"})
    letters, error = deliver(twin, addresses, connections=connections)
    assert error == ""
    bad = {"nobody": Fate.REFUSED, "spam": Fate.REFUSED, "later": Fate.DEFERRED, "shut": Fate.DEFERRED}
    bad["full"] = Fate.DEFERRED
    assert letters.fates == {
        address: bad.get(name, Fate.ACCEPTED) for name, address in zip(names, addresses, strict=True)
    }
    assert letters.words["nobody@x1.test"] == "550 5.1.1 no such user"
    taken = [address for address, fate in letters.fates.items() if fate is Fate.ACCEPTED]
    assert twin.counts() == dict.fromkeys(taken, 1)
    assert {mail.options for mail in twin.mails} == {"BODY=8BITMIME" if "8BITMIME" in features else ""}


def test_doubled_dots_arrive_single_and_korean_arrives_whole(twin: SmtpTwin) -> None:
    deliver(twin, ["a@x.test"])
    assert twin.mails[0].raw.decode() == "Subject: hello\r\n\r\n본문\r\n.점으로 시작\r\n"


def test_a_server_that_takes_only_ascii_addresses_is_not_told_others(twin: SmtpTwin) -> None:
    letters, _ = deliver(twin, ["독자@x.test", "a@x.test", "또@x.test"])
    assert letters.fates == {"독자@x.test": Fate.REFUSED, "a@x.test": Fate.ACCEPTED, "또@x.test": Fate.REFUSED}
    twin.features.append("SMTPUTF8")
    letters, _ = deliver(twin, ["독자@x.test", "b@x.test"])
    assert set(letters.fates.values()) == {Fate.ACCEPTED}
    assert [mail.options for mail in twin.mails[1:]] == ["BODY=8BITMIME SMTPUTF8", "BODY=8BITMIME"]


def test_a_refused_sender_is_our_trouble_and_rejects_no_reader(twin: SmtpTwin) -> None:
    twin.on_mail = lambda sender: "550 sender not allowed"
    letters, error = deliver(twin, ["a@x.test", "b@x.test"], connections=2)
    assert letters.fates == {}
    assert "sender not allowed" in error


def test_a_sender_put_off_after_some_mails_goes_on_in_another_connection(twin: SmtpTwin) -> None:
    """Some servers answer so when they have had enough of one connection."""
    twin.on_mail = lambda sender: "250 ok" if len(twin.mails) != 3 or twin.conversations > 1 else "451 too many"
    letters, error = deliver(twin, [f"{index}@x.test" for index in range(6)])
    assert error == ""
    assert twin.counts() == dict.fromkeys(letters.addresses, 1)


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", Ending)
def test_a_connection_cut_after_the_final_dot_leaves_one_uncertain_and_the_next_unsent(
    twin: SmtpTwin, ending: Ending
) -> None:
    twin.on_body = lambda recipient: ending
    letters, error = deliver(twin, ["a@x.test", "b@x.test", "c@x.test"], timeout_seconds=2)
    assert letters.fates == {"a@x.test": Fate.UNCERTAIN}
    assert letters.unsent == ["b@x.test"]
    assert error
    assert set(twin.counts()) == (set() if ending is Ending.DROP else {"a@x.test"})


def test_a_server_that_cuts_each_body_leaves_nobody_uncertain_even_when_the_body_is_long(twin: SmtpTwin) -> None:
    """The closing dot never left: whoever breaks off in the middle has not taken the mail, and that is known."""

    class LongLetters(Letters):
        def take(self, session: SmtpSession) -> Envelope | None:
            envelope = super().take(session)
            if envelope:
                envelope.payload = b"Subject: x\r\n\r\n" + b"x" * 76 + b"\r\n.\r\n"
                envelope.payload = envelope.payload.replace(b"x" * 76, (b"x" * 76 + b"\r\n") * 400_000)
            return envelope

    twin.cuts_in_body = lambda recipient: recipient.startswith("cut")
    letters = LongLetters(["cut@x.test", "b@x.test"])
    error = Crew(1, letters, lambda: SmtpSession(server_of(twin)), SmtpSession.close).run()
    assert letters.fates == {"cut@x.test": Fate.DEFERRED}
    assert error
    assert twin.mails == []


def test_a_421_in_answer_to_a_short_body_puts_its_reader_off(twin: SmtpTwin) -> None:
    twin.cuts_in_body = lambda recipient: True
    letters, error = deliver(twin, ["a@x.test", "b@x.test"])
    assert letters.fates == {"a@x.test": Fate.DEFERRED}
    assert error == "421 shutting down in the middle"


@pytest.mark.parametrize("greeting", ["", "421 too many connections", "554 go away", "hello"])
def test_a_server_that_turns_us_away_at_the_door_gets_one_knock_per_connection(twin: SmtpTwin, greeting: str) -> None:
    twin.greeting = greeting
    letters, error = deliver(twin, ["a@x.test", "b@x.test"], connections=2)
    assert letters.fates == {}
    assert letters.unsent == []
    assert error
    assert twin.conversations == 2


def test_a_421_in_place_of_the_envelope_leaves_the_message_unsent(twin: SmtpTwin) -> None:
    twin.on_mail = lambda sender: "421 too many"
    letters, error = deliver(twin, ["a@x.test"])
    assert letters.unsent == ["a@x.test"]
    assert error == "421 too many"


def test_a_421_for_the_next_envelope_does_not_touch_the_one_already_accepted(twin: SmtpTwin) -> None:
    twin.on_mail = lambda sender: "250 ok" if not twin.mails else "421 enough for today"
    letters, error = deliver(twin, ["a@x.test", "b@x.test"])
    assert letters.fates == {"a@x.test": Fate.ACCEPTED}
    assert letters.unsent == ["b@x.test"] * 2, "once here, once in the connection that took this one's place"
    assert error == "421 enough for today"


def test_one_connection_that_hangs_does_not_hold_up_the_others(twin: SmtpTwin) -> None:
    twin.on_body = lambda recipient: Ending.KEEP_AND_HANG if recipient.startswith("3@") else "250 OK"
    addresses = [f"{index}@x.test" for index in range(40)]
    letters, _ = deliver(twin, addresses, connections=3, timeout_seconds=2)
    assert letters.fates == dict.fromkeys(addresses, Fate.ACCEPTED) | {"3@x.test": Fate.UNCERTAIN}
    assert twin.counts() == dict.fromkeys(addresses, 1)


def test_a_server_that_answers_byte_by_byte_is_understood_but_not_waited_for_for_ever(twin: SmtpTwin) -> None:
    twin.seconds_between_bytes = 0.001
    letters, error = deliver(twin, ["a@x.test", "b@x.test"])
    assert (set(letters.fates.values()), error) == ({Fate.ACCEPTED}, "")

    def slow_down(recipient: str) -> str:
        twin.seconds_between_bytes = 0.2  # 250 bytes: 50 s, though never a second without one
        return "250 " + "x" * 250

    twin.on_body = slow_down
    twin.seconds_between_bytes = 0
    letters, error = deliver(twin, ["c@x.test"], timeout_seconds=2)
    assert letters.fates == {"c@x.test": Fate.UNCERTAIN}
    assert "timed out" in error


@pytest.mark.parametrize(("step", "answer"), [("data", "250 ok"), ("recipient", "354 go"), ("body", "354 more")])
def test_an_answer_out_of_turn_never_passes_for_an_accepted_mail(twin: SmtpTwin, step: str, answer: str) -> None:
    setattr(twin, f"on_{step}", lambda address: answer)
    letters, error = deliver(twin, ["a@x.test"])
    assert letters.fates == ({"a@x.test": Fate.UNCERTAIN} if step == "body" else {})
    assert error


def test_an_answer_too_many_never_passes_for_an_accepted_mail(twin: SmtpTwin) -> None:
    twin.on_body = lambda recipient: "250 kept\r\n250 kept"
    letters, error = deliver(twin, ["a@x.test", "b@x.test", "c@x.test"])
    accepted = [address for address, fate in letters.fates.items() if fate is Fate.ACCEPTED]
    assert accepted
    assert twin.counts() == dict.fromkeys(accepted, 1), error


def test_nobody_listening_is_a_lost_connection() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionLostError):
            SmtpSession(SmtpServer("127.0.0.1", reserved.getsockname()[1], timeout_seconds=2))
