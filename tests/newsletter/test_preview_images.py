"""The images of a preview's pictures: fetched by us, never by the browser."""

from __future__ import annotations

import pytest
from lxml import html

from newsletter.egress import Fetched
from newsletter.management import images
from newsletter.management.images import fetch_images

WEB = {
    "https://example.org/a.png": Fetched("", "", 200, {"content-type": "image/png; x=y"}, b"PNG"),
    "https://example.org/gone.png": Fetched("", "", 404, {"content-type": "text/html"}, b"gone"),
    "https://example.org/page": Fetched("", "", 200, {"content-type": "text/html"}, b"<script>"),
    "https://example.org/large.png": Fetched("", "", 200, {"content-type": "image/png"}, b"PNG", is_cut=True),
    "https://inside.example/b.png": Fetched("", "", trouble="refused", error="It leads into a private network."),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked for; the web is WEB."""
    urls: list[str] = []

    def fetch(url: str) -> Fetched:
        urls.append(url)
        answer = WEB[url]
        return Fetched(
            url,
            url,
            answer.status,
            answer.headers,
            answer.body,
            answer.is_cut,
            trouble=answer.trouble,
            error=answer.error,
        )

    monkeypatch.setattr(images, "fetch", fetch)
    return urls


def page_with(*sources: str) -> str:
    return "<!DOCTYPE html><p>글</p>" + "".join(f'<img src="{source}" alt="a">' for source in sources)


def test_an_image_comes_into_the_page_and_is_asked_for_once(asked: list[str]) -> None:
    shown = fetch_images(page_with("https://example.org/a.png", "https://example.org/a.png"))
    assert [i.get("src") for i in html.document_fromstring(shown.html).iter("img")] == [
        "data:image/png;base64,UE5H"
    ] * 2
    assert "글" in shown.html
    assert asked == ["https://example.org/a.png"]
    assert shown.missing == ()


def test_what_is_not_on_https_is_not_asked_for(asked: list[str]) -> None:
    page = page_with(
        "http://example.org/a.png", "file:///etc/hostname", "data:image/png;base64,UE5H", "//example.org/a.png"
    )
    shown = fetch_images(page)
    assert (asked, shown.missing) == ([], ())
    assert 'src="file:///etc/hostname"' in shown.html


def test_each_image_that_is_missing_is_named_with_the_reason(asked: list[str]) -> None:
    shown = fetch_images(page_with(*WEB))
    assert sorted(shown.missing) == [
        "https://example.org/gone.png: It answers 404.",
        "https://example.org/large.png: It is larger than 5 MB.",
        "https://example.org/page: It is not an image.",
        "https://inside.example/b.png: It leads into a private network.",
    ]
    assert shown.html.count("data:") == 1
