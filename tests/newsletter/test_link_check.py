"""Which links of an issue answer: judged on servers of our own, on loopback."""

from __future__ import annotations

import threading

import pytest

from newsletter.egress import Fetched, fetch
from newsletter.link_check import Address, addresses_of, check_addresses
from newsletter.public_address import read_target
from newsletter.rendering.render import render_issue
from tests.factories import make_issue, make_list
from tests.newsletter.web import Site, page, redirect


def answer(request: bytes) -> list[bytes]:
    method, path = request.split(b" ")[:2]
    if path == b"/head-hater" and method == b"HEAD":
        return [page(b"", status="405 Method Not Allowed")]
    answers = {
        b"/gone": page(status="404 Not Found"),
        b"/broken": page(status="503 Service Unavailable"),
        b"/members": page(status="403 Forbidden"),
        b"/old": redirect("/new", "301 Moved Permanently"),
        b"/away": redirect("/new"),
        b"/slash": redirect("/slash/", "301 Moved Permanently"),
    }
    return [answers.get(path, page())]


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("/fine", []),
        ("/head-hater", []),
        ("/away", []),
        ("/slash", []),
        ("/gone", ["dead-link"]),
        ("/broken", ["dead-link"]),
        ("/members", ["unreached-link"]),
        ("/old", ["moved-link"]),
    ],
)
def test_an_answer_is_judged(path: str, codes: list[str]) -> None:
    with Site(answer) as site:
        door = site.door()
        findings = check_addresses(
            [Address(site.url(path), 7)], lambda url, method: fetch(url, method=method, door=door)
        )
    assert [finding.code for finding in findings] == codes
    assert all(finding.line == 7 and finding.remedy for finding in findings)


def test_a_site_is_asked_head_first_and_properly_only_where_that_failed() -> None:
    with Site(answer) as site:
        door = site.door()
        check_addresses(
            [Address(site.url(path), None) for path in ("/fine", "/head-hater")],
            lambda url, method: fetch(url, method=method, door=door),
        )
    asked = [request.split(b" ")[:2] for request in site.requests]
    assert asked == [[b"HEAD", b"/fine"], [b"HEAD", b"/head-hater"], [b"GET", b"/head-hater"]]


def test_an_unknown_name_is_dead_and_one_that_is_too_slow_is_not() -> None:
    def ask(url: str, _method: str) -> Fetched:
        trouble = "unknown-name" if "nowhere" in url else "too-slow"
        return Fetched(url, url, trouble=trouble, error="Words.")

    findings = check_addresses([Address("https://nowhere.kr/", 1), Address("https://slow.kr/", 2)], ask)
    assert [(each.code, each.line) for each in findings] == [("dead-link", 1), ("unreached-link", 2)]
    assert "Words." in findings[0].message


def test_hosts_are_asked_side_by_side_and_each_one_thing_at_a_time() -> None:
    both_are_asked = threading.Barrier(2, timeout=30)
    under_way: dict[str, int] = {"a": 0, "b": 0}
    at_once = []

    def ask(url: str, _method: str) -> Fetched:
        host = url[8]
        under_way[host] += 1
        at_once.append(under_way[host])
        both_are_asked.wait()  # breaks unless the other host is asked now
        under_way[host] -= 1
        return Fetched(url, url, status=200)

    addresses = [Address(f"https://{host}.kr/{number}", None) for number in range(3) for host in "ab"]
    assert check_addresses(addresses, ask) == []
    assert at_once == [1] * 6


def test_every_address_of_links_and_images_is_asked_once_with_its_line() -> None:
    web_html = (
        '<p><a href="https://a.kr/x">x</a> <a href="https://a.kr/x">y</a> <a href="mailto:a@a.kr">m</a> <a href="#t">t</a>'
        '<img src="https://a.kr/p.png"> <a href="http://localhost:8000/">l</a> <a href="https://a.kr/encoded%20one">e</a></p>'
    )
    markdown = "first\n[x](https://a.kr/x) [y](https://a.kr/x)\n\n![](https://a.kr/p.png)\n"
    assert addresses_of(web_html, markdown) == [
        Address("https://a.kr/x", 2),
        Address("https://a.kr/p.png", 4),
        Address("https://a.kr/encoded%20one", None),
    ]


@pytest.mark.django_db
def test_a_link_to_a_host_of_another_script_is_asked_by_its_ascii_name_and_has_its_line() -> None:
    body = "첫 줄\n\n둘째 [idn](https://한글.kr/경로?q=값)\n"
    web_html = render_issue(make_issue(make_list(), body_markdown=body)).web_html
    (address,) = addresses_of(web_html, body)
    assert address.line == 3
    target = read_target(address.url, frozenset({443}))
    assert (target.host, target.path) == ("xn--bj0bj06e.kr", "/%EA%B2%BD%EB%A1%9C?q=%EA%B0%92")
