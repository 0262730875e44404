"""The page of an issue that the archive does not show: for whoever has its address, and for nobody else."""

from __future__ import annotations

import logging

import pytest
from django.test import Client
from django.utils import timezone

from newsletter.models import Issue
from newsletter.public.redaction import TokenFilter
from newsletter.rendering.links import web_url
from newsletter.rendering.render import save_render
from newsletter.tokens import message_token, personal_token, read_web_token, web_token
from subscribers.models import MailingList, validate_list_slug
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db


def make_hidden(status: str = "sent", **fields: object) -> Issue:
    mailing_list = fields.pop("mailing_list", None) or make_list()
    issue = make_issue(mailing_list, in_archive=False, subject='{{ name|default:"독자" }}님께', **fields)
    if status != "draft":
        save_render(issue)
        Issue.objects.filter(pk=issue.pk).update(
            status=status, sending_at=timezone.now(), candidates_count=0, recipients_count=0, skipped_count=0
        )
    return issue


def path_of(issue: Issue) -> str:
    return f"/w/{web_token(issue.pk)}/"


@pytest.mark.parametrize("status", ["sending", "paused", "sent"])
def test_whoever_has_the_address_reads_the_whole_of_it(client: Client, status: str) -> None:
    issue = make_hidden(status)
    response = client.get(path_of(issue))
    page = response.content.decode()
    assert response.status_code == 200
    assert "독자님께" in page
    assert "첫 글" in page
    assert response["X-Robots-Tag"] == "noindex"
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer", "a link on the page must not tell where it was found"
    assert 'name="robots" content="noindex' in page
    assert "Set-Cookie" not in response


def test_the_page_leads_nowhere_and_nothing_leads_to_it(client: Client) -> None:
    issue = make_hidden()
    mailing_list = issue.mailing_list
    page = client.get(path_of(issue)).content.decode()
    for address in (f"/{mailing_list.slug}/", "feed.xml", 'rel="canonical"', "og:url", issue.slug):
        assert address not in page
    for address in ("/", f"/{mailing_list.slug}/", f"/{mailing_list.slug}/feed.xml"):
        found = client.get(address).content.decode()
        assert "/w/" not in found
        assert issue.slug not in found
    assert client.get(f"/{mailing_list.slug}/{issue.slug}/").status_code == 404


@pytest.mark.parametrize("status", ["draft", "scheduled", "preparing", "cancelled", "failed"])
def test_what_has_not_gone_out_is_shown_to_editors_only(client: Client, django_user_model, status: str) -> None:
    issue = make_hidden("draft")
    Issue.objects.filter(pk=issue.pk).update(status=status, scheduled_at=timezone.now())
    assert client.get(path_of(issue)).status_code == 404
    client.force_login(django_user_model.objects.create_user("editor"))
    response = client.get(path_of(issue))
    assert response.status_code == 200
    assert "첫 글" in response.content.decode()
    assert response["Cache-Control"] == "no-store"


def test_an_editor_follows_a_test_mail_to_a_draft_in_the_archive_too(client: Client, django_user_model) -> None:
    issue = make_issue(make_list())
    path = f"/{issue.mailing_list.slug}/{issue.slug}/"
    assert web_url(issue).endswith(path)
    assert client.get(path).status_code == 404
    client.force_login(django_user_model.objects.create_user("editor"))
    response = client.get(path)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    Issue.objects.update(body_markdown="{{ shoe }}")
    assert client.get(path).status_code == 404, "what cannot be rendered has no page"


def test_no_other_token_and_no_altered_one_opens_it(client: Client) -> None:
    issue = make_hidden()
    token = web_token(issue.pk)
    assert read_web_token(token) == issue.pk
    altered = token[:-1] + ("A" if token[-1] != "A" else "B")
    for other in (
        altered,
        personal_token(issue.pk, 0),
        message_token(issue.pk, 0),
        web_token(issue.pk + 1),
        "x",
        "0" * 28,
    ):
        assert client.get(f"/w/{other}/").status_code == 404
    assert client.get(f"/u/{token}").status_code == 404
    assert client.post(path_of(issue)).status_code == 405


def test_no_list_takes_the_pages_name_and_no_log_its_token() -> None:
    with pytest.raises(Exception, match="another page"):
        validate_list_slug("w")
    record = logging.LogRecord("django", logging.WARNING, "", 0, "Not Found: %s", ("/w/SecretToken/",), None)
    assert TokenFilter().filter(record)
    assert "SecretToken" not in record.getMessage()


def test_the_mail_names_the_page_only_where_it_continues_there() -> None:
    issue = make_hidden("draft")
    assert web_url(issue) == ""
    assert web_url(issue, continues=True).endswith(path_of(issue))
    listed = make_issue(MailingList.objects.get())
    assert web_url(listed) == web_url(listed, continues=True)
    assert "/w/" not in web_url(listed)
