"""The one way out to the web: what it refuses, and what no server can do to it. All servers are on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
from ipaddress import ip_address

import pytest

from newsletter.egress import MAX_BODY_BYTES, MAX_REDIRECTS, PUBLIC, Door, fetch
from newsletter.public_address import WrongTargetError, is_public, read_target
from tests.newsletter.web import Site, forever, page, redirect

WEB = frozenset({80, 443})

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 168.63.129.16
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
    2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe:: 2001::1 2001:db8::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1
    ff02::1 100::1 5f00::1 4000::1
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_is_not_of_the_public_internet_is_none(address: str) -> None:
    assert not is_public(ip_address(address))
    assert (
        "not on the public internet" in fetch("https://site.test/", door=Door(resolve=lambda _h, _p: [address])).error
    )


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "223.130.195.95",
        "2606:4700:4700::1111",
        "2002:808:808::1",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
    ],
)
def test_an_address_of_the_public_internet_is_one(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[fe80::1%25eth0]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0/",
        "http://127.0.0.1./",
        "http://１２７.0.0.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://user@8.8.8.8/",
        "http://user:secret@8.8.8.8/",
        "http://:@8.8.8.8/",
        "http://8.8.8.8:22/",
        "http://8.8.8.8:8080/",
        "http://8.8.8.8:99999/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "javascript:alert(1)",
        "//8.8.8.8/",
        "http:///",
        "http://",
        "",
        "http://[::1/",
        "http://a b.com/",
        "http://a%00b.com/",
        "http://" + "a" * 300 + ".com/",
        "https://8.8.8.8/" + "a" * 9000,
    ],
)
def test_a_nasty_address_is_refused_before_anything_is_connected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_arguments: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket.socket, "connect", connect)
    answer = fetch(url, door=PUBLIC)
    assert (answer.status, answer.trouble) == (None, "refused"), answer
    assert answer.error


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://sosik.kr", "sosik.kr", 443, "/"),
        ("http://sosik.kr./a b?c=가#d", "sosik.kr", 80, "/a%20b?c=%EA%B0%80"),
        ("https://한글.kr/글", "xn--bj0bj06e.kr", 443, "/%EA%B8%80"),
        ("https://sosik.kr/a%20b?x=%41&y[]=1", "sosik.kr", 443, "/a%20b?x=%41&y[]=1"),
        ("http://sosik.kr:443/", "sosik.kr", 443, "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    target = read_target(url, WEB)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_a_line_break_in_an_address_cannot_become_a_header() -> None:
    with Site(lambda _request: [page()]) as site:
        fetch(site.url("/\r\nX-Evil: 1"), door=site.door())
        assert b"X-Evil: 1\r\n" not in site.requests[0]
    with pytest.raises(WrongTargetError):
        read_target("http://site.test\\@127.0.0.1 /", WEB)


def test_a_page_is_fetched_with_manners(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SITE_URL = "https://news.sosik.kr"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Site(lambda _request: [page(b"hello", "X-Kind: test")]) as site:
        answer = fetch(site.url("/a?b=1"), door=site.door())
    assert (answer.status, answer.body, answer.error) == (200, b"hello", "")
    assert answer.headers["x-kind"] == "test"
    (request,) = site.requests
    assert request.startswith(b"GET /a?b=1 HTTP/1.1\r\n")
    assert f"Host: site.test:{site.port}\r\n".encode() in request
    assert b"User-Agent: Sosik (+https://news.sosik.kr/)\r\n" in request
    assert b"Cookie" not in request
    assert b"Authorization" not in request


def test_head_asks_for_no_body() -> None:
    with Site(lambda _request: [page()]) as site:
        answer = fetch(site.url(), method="HEAD", door=site.door())
    assert (answer.status, answer.body) == (200, b"")
    assert site.requests[0].startswith(b"HEAD ")


def test_a_name_that_changes_its_answer_is_connected_to_where_it_was_checked() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"]]
    asked = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    with Site(lambda _request: [page()]) as site:
        assert fetch(site.url(), door=site.door(resolve=resolve)).status == 200
        assert asked == ["site.test"]
        assert fetch(site.url(), door=site.door(resolve=resolve)).trouble == "refused"
    assert len(site.requests) == 1


def test_a_name_that_is_partly_private_is_refused() -> None:
    with Site(lambda _request: [page()]) as site:
        door = site.door(resolve=lambda _host, _port: ["127.0.0.1", "10.0.0.1"])
        assert fetch(site.url(), door=door).trouble == "refused"
    assert site.requests == []


def test_an_unknown_name_and_a_closed_port_are_told_apart() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with Site(lambda _request: [page()]) as site:
        assert fetch(site.url(), door=site.door(resolve=unknown)).trouble == "unknown-name"
        door = site.door()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    closed_door = Door(resolve=door.resolve, allows=door.allows, ports=frozenset({port}))
    answer = fetch(f"http://site.test:{port}/", door=closed_door)
    assert answer.trouble == "unreachable"
    assert "refused" in answer.error


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "//192.168.0.1/",
        "file:///etc/passwd",
        "http://user:pw@site.test/",
        "http://site.test:22/",
        "http://2130706433/",
        "http://[",
    ],
)
def test_a_redirect_is_asked_the_same_questions(target: str) -> None:
    def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host == "site.test" else [host]

    with Site(lambda _request: [redirect(target)]) as site:
        answer = fetch(site.url(), door=site.door(resolve=resolve))
    assert (answer.status, answer.trouble) == (None, "refused")
    assert len(site.requests) == 1


def test_redirects_are_followed_without_cookies_and_permanent_ones_remembered() -> None:
    def answer(request: bytes) -> list[bytes]:
        steps = {
            b"/a": page(b"", "Location: /b", "Set-Cookie: a=1", status="301 Moved"),
            b"/b": redirect("c?x#y", "308 Permanent Redirect"),
            b"/c?x": redirect("/d"),
            b"/d": page(b"end"),
        }
        return [steps[request.split(b" ")[1]]]

    with Site(answer) as site:
        got = fetch(site.url("/a"), door=site.door())
    assert (got.status, got.body, got.final_url) == (200, b"end", site.url("/d"))
    assert got.permanent_url == site.url("/c?x#y")
    assert not any(b"Cookie" in request for request in site.requests)


def test_an_endless_redirect_ends() -> None:
    with Site(lambda _request: [redirect("/again")]) as site:
        answer = fetch(site.url(), door=site.door())
    assert answer.trouble == "redirects"
    assert len(site.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b""])
def test_a_server_that_drips_is_left_at_the_deadline(before: bytes) -> None:
    never = threading.Event()

    def drip(_request: bytes):
        yield before
        yield from forever(b"x", never)

    with Site(drip) as site:
        answer = fetch(site.url(), door=site.door(seconds=0.5))
        assert answer.trouble == "too-slow"
        assert site.hung_up.wait(30)


def test_a_server_and_a_resolver_that_say_nothing_are_left_at_the_deadline() -> None:
    never = threading.Event()
    with Site(lambda _request: forever(b"", never)) as site:
        assert fetch(site.url(), door=site.door(seconds=0.3)).trouble == "too-slow"

        def slow(_host: str, _port: int) -> list[str]:
            never.wait(30)
            return ["127.0.0.1"]

        assert fetch(site.url(), door=site.door(seconds=0.3, resolve=slow)).trouble == "too-slow"
    never.set()


def test_a_tls_handshake_that_never_ends_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts nothing: the kernel's backlog does
        port = mute.getsockname()[1]
        door = Door(lambda _host, _port: ["127.0.0.1"], lambda _address: True, frozenset({port}), seconds=0.3)
        assert fetch(f"https://site.test:{port}/", door=door).trouble == "too-slow"


def test_a_small_answer_that_unfolds_into_a_large_one_is_cut() -> None:
    bomb = gzip.compress(bytes(60_000_000))
    assert len(bomb) < 100_000
    with Site(lambda _request: [page(bomb, "Content-Encoding: gzip")]) as site:
        answer = fetch(site.url(), door=site.door(seconds=60))
    assert (len(answer.body), answer.is_cut) == (MAX_BODY_BYTES, True)


def test_an_answer_that_never_ends_is_cut() -> None:
    def endless(_request: bytes):
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield bytes(100_000)

    with Site(endless) as site:
        answer = fetch(site.url(), door=site.door(seconds=60))
        assert (len(answer.body), answer.is_cut) == (MAX_BODY_BYTES, True)
        assert site.hung_up.wait(30)


def test_a_compressed_page_is_read() -> None:
    with Site(lambda _request: [page(gzip.compress("소식".encode()), "Content-Encoding: gzip")]) as site:
        assert fetch(site.url(), door=site.door()).body.decode() == "소식"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"220 mail.sosik.kr ESMTP\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    ],
)
def test_an_answer_that_is_none_is_said_in_words(answer: bytes) -> None:
    with Site(lambda _request: [answer]) as site:
        got = fetch(site.url(), door=site.door())
    assert (got.status, got.trouble) == (None, "not-http")
    assert got.error


def test_tls_is_verified_against_the_name() -> None:
    with Site(lambda _request: [page(b"safe")], tls=True) as site:
        assert fetch(site.url(), door=site.door()).body == b"safe"
        assert fetch(site.url(host="other.test"), door=site.door()).trouble == "untrusted"
        unknown = fetch(site.url(), door=site.door(trust=PUBLIC.trust))
    assert unknown.trouble == "untrusted"
    assert "certificate" in unknown.error
    assert len(site.requests) == 1


def test_a_drip_over_tls_is_left_too() -> None:
    never = threading.Event()

    def drip(_request: bytes):
        yield b"HTTP/1.1 200 OK\r\nX: "
        yield from forever(b"x", never)

    with Site(drip, tls=True) as site:
        assert fetch(site.url(), door=site.door(seconds=0.5)).trouble == "too-slow"


def test_the_next_address_is_tried_where_the_first_is_dead() -> None:
    with Site(lambda _request: [page()]) as site:
        door = site.door(resolve=lambda _h, _p: ["::1", "127.0.0.1"], allows=lambda address: address.is_loopback)
        assert fetch(site.url(), door=door).status == 200
