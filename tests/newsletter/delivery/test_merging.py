"""One issue over each provider's API: what arrives at the other end, judged there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.conf import LazySettings

from newsletter.delivery import recovery
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.email_url import PROVIDER_KEYS
from newsletter.delivery.providers import PROFILES
from newsletter.models import Batch, Delivery, Issue, Outcome
from newsletter.rendering.merge import TOKEN, Slot, mark_slot
from newsletter.tokens import METADATA_KEY, personal_token, read_message_token
from subscribers.models import Subscriber
from tests.fake_provider import FakeProvider
from tests.fake_provider_dialects import DIALECTS
from tests.newsletter.delivery.conftest import addresses, make_sending_issue, send_all, use_provider

pytestmark = pytest.mark.django_db

HOSTILE = [
    "홍길동",
    "{{ x }}",
    "{{ params.v0 }} {% if 1 %}",
    "%recipient.t% %unsubscribe_url%",
    "<b>&\"'",
    "{{{t}}}",
    "100%",
    "",
]


def hostile_issue() -> Issue:
    """Names that try every provider's syntax, in a text whose own words look like it, too."""
    name = mark_slot(Slot("name", "html", "독자"))
    name_as_text = mark_slot(Slot("name", "text", "독자"))
    in_url = mark_slot(Slot("name", "url"))
    token = mark_slot(TOKEN)
    issue = make_sending_issue(len(HOSTILE), subject='{{ name|default:"독자" }}님, \\{{ 소식 }} 100% %recipient.x%')
    Issue.objects.filter(pk=issue.pk).update(
        html=f'<p>{{{name}}} {{{{ literal }}}} %recipient.t%</p><a href="https://x.test/c/1/{token}?n={in_url}">글</a>',
        text=f"{name_as_text}님 {{{{ params.v0 }}}} {{% raw %}} https://x.test/u/{token}",
    )
    for person, value in zip(Subscriber.objects.order_by("pk"), HOSTILE, strict=True):
        Subscriber.objects.filter(pk=person.pk).update(name=value)
    return Issue.objects.get(pk=issue.pk)


def test_every_provider_of_the_settings_has_a_profile_and_a_dialect_of_the_fake() -> None:
    assert set(PROFILES) == set(PROVIDER_KEYS)
    assert set(DIALECTS) == set(PROFILES) - {"amazon_ses"}  # boto3 is not installed here


@pytest.mark.parametrize("esp", sorted(DIALECTS))
def test_every_reader_gets_one_mail_of_their_own(esp: str, provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, esp)
    issue = hostile_issue()
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
    assert recovery.finish_issues() == [issue.pk]
    counts = count_outcomes(issue.pk)
    assert (counts.total, counts.submitted) == (len(HOSTILE), len(HOSTILE))
    by_address = {mail.address: mail for mail in provider.mails}
    for person in Subscriber.objects.all():
        mail = by_address[person.email]
        token = personal_token(issue.pk, person.pk)
        seen = {name.lower(): value for name, value in mail.headers.items()}
        assert seen["list-unsubscribe"] == f"<http://127.0.0.1:8000/u/{token}>"
        assert seen["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        assert mail.text.endswith(f"https://x.test/u/{token}")
        assert f"/c/1/{token}?n=" in mail.html
        if esp != "scaleway":
            named = mail.metadata.get(METADATA_KEY) or "".join(mail.tags)
            assert read_message_token(named) == (issue.pk, person.pk)


@pytest.mark.parametrize("esp", sorted(DIALECTS))
def test_no_value_and_no_word_of_the_text_is_taken_for_the_providers_syntax(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    from html import unescape
    from urllib.parse import quote

    use_provider(settings, esp)
    issue = hostile_issue()
    send_all(issue)
    by_address = {mail.address: mail for mail in provider.mails}
    for person, value in zip(Subscriber.objects.order_by("pk"), HOSTILE, strict=True):
        mail = by_address[person.email]
        shown = value or "독자"
        subject, text = (part.replace("\u2060", "") for part in (mail.subject, mail.text))
        assert subject == f"{shown}님, {{{{ 소식 }}}} 100% %recipient.x%"
        assert text.startswith(f"{shown}님 {{{{ params.v0 }}}} {{% raw %}} ")
        body = re.search("<p>(.*)</p>", mail.html)
        assert body is not None
        assert "<b>" not in body[1]
        assert unescape(body[1]) == f"{{{shown}}} {{{{ literal }}}} %recipient.t%"
        assert f'?n={quote(value, safe="")}"' in mail.html


@pytest.mark.parametrize(("esp", "calls"), [("mailgun", 1), ("resend", 1), ("mailjet", 2), ("postal", 60)])
def test_a_chunk_is_as_large_as_the_provider_takes(
    esp: str, calls: int, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(60)
    send_all(issue)
    assert len(provider.calls) == calls
    assert set(provider.counts().values()) == {1}


def test_a_message_id_of_ours_is_the_same_on_every_attempt_where_the_provider_sends_it(
    provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(2)
    send_all(issue)
    for mail in provider.mails:
        left, _, domain = mail.headers["Message-Id"].strip("<>").partition("@")
        assert read_message_token(left) == (issue.pk, Subscriber.objects.get(email=mail.address).pk)
        assert domain == "news.example.org"


@pytest.mark.parametrize("esp", ["mailgun", "brevo", "resend", "postmark", "mailjet", "mailtrap", "mandrill", "postal"])
def test_a_refused_reader_is_told_apart_and_the_others_get_theirs(
    esp: str, provider: FakeProvider, settings: LazySettings
) -> None:
    use_provider(settings, esp)
    issue = make_sending_issue(9)
    unlucky = Subscriber.objects.order_by("pk")[3]
    provider.refused = {unlucky.email}
    send_all(issue)
    assert provider.counts() == dict.fromkeys(addresses(issue) - {unlucky.email}, 1)
    row = Delivery.objects.get(issue_id=issue.pk, subscriber_id=unlucky.pk)
    assert row.outcome in {Outcome.REJECTED, Outcome.FAILED}
    assert row.reason
    assert unlucky.email not in row.reason
    assert recovery.finish_issues() == [issue.pk]
    assert count_outcomes(issue.pk).submitted == 8


def test_the_first_reader_refused_is_not_taken_for_a_wrong_key(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun")
    issue = make_sending_issue(8)
    unlucky = list(Subscriber.objects.order_by("pk")[:2])
    provider.refused = {person.email for person in unlucky}
    send_all(issue)
    assert recovery.finish_issues() == [issue.pk]
    assert count_outcomes(issue.pk).submitted == 6
    assert Delivery.objects.filter(issue_id=issue.pk, outcome=Outcome.REJECTED).count() == 2


def test_a_batch_goes_by_weight_and_stays_where_it_was_claimed(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "mailgun", "postmark")
    first, second = settings.PROVIDERS
    settings.PROVIDERS = (replace(first, weight=3), second)
    settings.BATCH_SIZE = 1
    issue = make_sending_issue(200)
    send_all(issue)
    shares = {esp: sum(mail.esp == esp for mail in provider.mails) for esp in ("mailgun", "postmark")}
    assert shares["mailgun"] + shares["postmark"] == 200
    assert 120 <= shares["mailgun"] <= 180  # 150 +- 5 sigma; the keys are random
    told = Batch.objects.filter(issue=issue, provider="mailgun").count()
    assert told == shares["mailgun"]


def test_finished_texts_of_a_long_issue_go_in_smaller_calls(provider: FakeProvider, settings: LazySettings) -> None:
    use_provider(settings, "postmark")
    issue = make_sending_issue(25)
    Issue.objects.filter(pk=issue.pk).update(html=issue.html + "<p>" + "x" * 1_000_000 + "</p>")
    send_all(issue)
    assert len(provider.calls) == 3
    assert max(len(call.body) for call in provider.calls) < 11_000_000
    assert provider.counts() == dict.fromkeys(addresses(issue), 1)
