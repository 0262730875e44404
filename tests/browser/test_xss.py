"""No hostile text runs, fetches or leads elsewhere in a real browser: not in the mail, not in the archive, not at the desk.

The harness is tried first: it must see what raw texts do, also where only a policy holds them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Request

from newsletter.models import Issue
from tests.browser.shown import Site, mails, rendered_pairs
from tests.browser.stand import Document, Stand, nothing, report
from tests.browser.vectors import all_vectors, polyglots
from tests.browser.vectors.judging import SITE
from tests.browser.vectors.places import PLACES, Post, raw_page

OpenStand = Callable[..., Stand]


@pytest.fixture(autouse=True)
def our_site(settings: Any) -> None:
    settings.SITE_URL = SITE


@pytest.fixture
def stand(browser: Browser) -> Iterator[OpenStand]:
    contexts = []

    def opened(answer: Callable[[Request], Any] = nothing) -> Stand:
        contexts.append(browser.new_context(service_workers="block", viewport={"width": 1400, "height": 900}))
        return Stand(contexts[-1], answer)

    yield opened
    for context in contexts:
        context.close()


def raw_documents() -> list[Document]:
    """What a browser is known to run, on a page as a careless program writes it."""
    return [
        Document(vector.name, f"<!DOCTYPE html><title>x</title>{raw_page(vector)}")
        for vector in all_vectors()
        if vector.is_live
    ]


def acted(hits: dict[str, list[str]]) -> set[str]:
    """Those that ran something or asked for something."""
    return {name for name, what in hits.items() if any(one.startswith(("ran", "asked", "went")) for one in what)}


def test_the_harness_sees_what_raw_texts_do(stand: OpenStand) -> None:
    documents = raw_documents()
    seen = acted(stand().judge(documents))
    assert len(documents) >= 200
    assert len(seen) >= 0.8 * len(documents), sorted({document.name for document in documents} - seen)


@pytest.mark.django_db
def test_the_harness_sees_what_only_a_policy_holds_back(stand: OpenStand) -> None:
    site = Site()
    raw = [document for document in raw_documents() if not document.name.startswith("style")][::3]
    for real in (next(site.archive_pages()), next(site.previews())):
        documents = [replace(real, name=document.name, body=document.body) for document in raw]
        seen = stand().judge(documents)
        assert not any(one.startswith("ran") for what in seen.values() for one in what)
        assert any(one.startswith("stopped") for what in seen.values() for one in what)
        held = {name for name, what in seen.items() if any(one.startswith(("stopped", "kept")) for one in what)}
        assert len(held) >= 0.8 * len(documents), sorted({document.name for document in documents} - held)


def test_nothing_of_a_mail_runs_in_an_inbox_without_any_policy(stand: OpenStand) -> None:
    assert len(rendered_pairs()) >= 1000
    hits = stand().judge(mails())
    assert not hits, "\n".join(report(hits))


@pytest.mark.django_db
def test_nothing_runs_in_the_archive(stand: OpenStand) -> None:
    hits = stand().judge(list(Site().archive_pages()))
    assert not hits, "\n".join(report(hits))


@pytest.mark.django_db
def test_nothing_runs_in_the_preview(stand: OpenStand) -> None:
    hits = stand().judge(list(Site().previews()))
    assert not hits, "\n".join(report(hits))


@pytest.mark.django_db
def test_nothing_runs_on_the_pages_around_it(stand: OpenStand) -> None:
    site = Site()
    hits = stand(site.answer).judge(site.pages_around())
    assert not hits, "\n".join(report(hits))


@pytest.mark.django_db
def test_nothing_runs_while_an_editor_writes(stand: OpenStand) -> None:
    """The whole page with its scripts: the preview posts what was typed, the findings come by htmx."""
    site = Site()
    Issue.objects.update(status=Issue.Status.DRAFT)
    watched = stand(site.answer)
    places = [
        place for place in PLACES if place.name in ("body", "subject", "preheader", "tags", "list name", "default")
    ]
    for vector in polyglots()[:2]:
        for place in places:
            post: Post = place.put(vector.text)
            type(site.mailing_list).objects.update(**post.list_fields())
            Issue.objects.update(**(Post().issue_fields() | {"tags": []} | post.issue_fields()))
            watched.page.goto(f"{SITE}/desk/issues/{site.issue.pk}/write/")
            watched.page.fill("#id_preheader", f"{vector.text} and more")
            watched.page.wait_for_selector(".envelope, .finding")
            watched.page.wait_for_selector("iframe[name^=preview-]:not(.is-loading)")
            seen = watched.page.evaluate("window.seen")
            assert not seen, f"{vector.name} in {place.name}: {seen}"
    assert not watched.seen, dict(watched.seen)
