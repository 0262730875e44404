"""The pages of signing up: the same answer for everybody, and no GET that changes anything."""

import time
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.utils import timezone

from subscribers.addresses import fingerprint
from subscribers.forms import LEAST_SECONDS, MOST_SECONDS, started_stamp
from subscribers.models import ConsentEvent, MailingList, Subscriber, Subscription, Suppression
from subscribers.signup import confirmation_token
from subscribers.suppression import suppress
from subscribers.tokens import sign_pair
from subscribers.unsubscribing import unsubscribe
from tests.factories import make_confirmed, make_list, make_subscriber

pytestmark = pytest.mark.django_db
JANE = "jane@example.net"


@pytest.fixture
def browser() -> Client:
    """A visitor without cookies, at a server that insists on CSRF tokens."""
    return Client(enforce_csrf_checks=True)


def press(browser: Client, mailing_list: MailingList, address: str = JANE, *, after: float = 5.0, **more: str):
    """Posts the form `after` seconds after it was shown."""
    posted = {"email": address, "website": "", "started": started_stamp(time.time() - after), **more}
    return browser.post(f"/subscribe/{mailing_list.slug}/", posted, headers={"Accept-Language": "en"})


def be_new(mailing_list: MailingList) -> None: ...


def be_pending(mailing_list: MailingList) -> None:
    Subscription.objects.create(
        mailing_list=mailing_list, subscriber=make_subscriber(JANE), requested_at=timezone.now()
    )


def be_confirmed(mailing_list: MailingList) -> None:
    make_confirmed(mailing_list, JANE)


def be_unsubscribed(mailing_list: MailingList) -> None:
    unsubscribe(make_confirmed(mailing_list, JANE).pk, mailing_list.pk, source="test")


def be_suppressed_for(reason: Suppression.Reason) -> Callable[[MailingList], None]:
    def be_suppressed(mailing_list: MailingList) -> None:
        make_confirmed(mailing_list, JANE)
        suppress(fingerprint(JANE), reason)

    return be_suppressed


STATES = {
    "new": be_new,
    "pending": be_pending,
    "confirmed": be_confirmed,
    "unsubscribed": be_unsubscribed,
    "complained": be_suppressed_for(Suppression.Reason.COMPLAINT),
    "bounced": be_suppressed_for(Suppression.Reason.HARD_BOUNCE),
    "banned": be_suppressed_for(Suppression.Reason.EDITOR),
}


@pytest.mark.parametrize("opt_in", ["double", "single"])
@pytest.mark.parametrize("state", STATES)
def test_the_answer_does_not_tell_whether_the_address_is_known(browser, state, opt_in) -> None:
    mailing_list = make_list(slug="morning", opt_in=opt_in)
    STATES[state](mailing_list)
    answer = press(browser, mailing_list)
    again = press(browser, mailing_list)
    shown = browser.get(answer["Location"])
    assert shown.status_code == 200
    expected = (303, "/subscribe/morning/sent/", b"", {"content-type", "location", "vary", "content-language"})
    for given in (answer, again):
        names = {name.lower() for name in given.headers} - {
            "x-frame-options", "content-length", "x-content-type-options", "referrer-policy",
            "cross-origin-opener-policy", "content-security-policy",
        }  # fmt: skip
        assert (given.status_code, given["Location"], given.content, names) == expected
        assert not given.cookies


def test_the_form_on_the_page_is_the_form_that_works(browser) -> None:
    """Posts what a browser would: every field of the form with the value it came with."""
    import html5lib

    mailing_list = make_list()
    page = browser.get(f"/subscribe/{mailing_list.slug}/")
    tree = html5lib.parse(page.content, namespaceHTMLElements=False)
    form = tree.find(".//form[@method='post']")
    fields = {i.get("name"): i.get("value", "") for i in form.iter("input")}
    assert set(fields) == {"email", "website", "started"}
    for field in form.iter("input"):
        assert field.get("type") == "hidden" or form.find(f".//label[@for='{field.get('id')}']") is not None
    fields["email"] = JANE
    fields["started"] = started_stamp(time.time() - 2 * LEAST_SECONDS)
    assert browser.post(form.get("action"), fields).status_code == 303
    event = ConsentEvent.objects.select_related("wording").get()
    assert event.wording.text in page.content.decode()
    assert Subscription.objects.get().subscriber.locale == "ko"


@pytest.mark.parametrize(
    "trick",
    [{"website": "https://spam.example"}, {"started": ""}, {"started": "1700000000.000:forged"}, {"after": 0.01}],
    ids=["trap filled", "no stamp", "forged stamp", "too fast"],
)
def test_a_robot_gets_the_answer_and_nothing_else(browser, trick) -> None:
    answer = press(browser, make_list(slug="morning"), **trick)
    assert (answer.status_code, answer["Location"]) == (303, "/subscribe/morning/sent/")
    assert not Subscriber.objects.exists()


def test_a_slip_in_the_address_is_said_beside_the_field_and_keeps_what_was_typed(browser) -> None:
    answer = press(browser, make_list(language="en"), "jane at example")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "This does not look like an email address." in page
    assert 'value="jane at example"' in page
    assert 'aria-invalid="true"' in page
    assert not Subscriber.objects.exists()


def test_a_form_left_open_for_weeks_asks_for_one_more_press_that_works(browser) -> None:
    import html5lib

    mailing_list = make_list()
    answer = press(browser, mailing_list, after=MOST_SECONDS + 60)
    assert answer.status_code == 422
    form = html5lib.parse(answer.content, namespaceHTMLElements=False).find(".//form[@method='post']")
    values = {i.get("name"): i.get("value", "") for i in form.iter("input")}
    assert values["email"] == JANE
    stamp_age = time.time() - float(values["started"].partition(":")[0])
    assert 0 <= stamp_age < 60


def test_a_list_that_is_not_public_has_no_sign_up_page(browser) -> None:
    mailing_list = make_list(is_public=False)
    assert browser.get(f"/subscribe/{mailing_list.slug}/").status_code == 404
    assert press(browser, mailing_list).status_code == 404


@pytest.fixture
def pending() -> Iterator[Subscription]:
    return Subscription.objects.create(
        mailing_list=make_list(language="en"), subscriber=make_subscriber(JANE), requested_at=timezone.now()
    )


def test_only_a_press_confirms_and_it_works_without_a_cookie(browser, pending) -> None:
    address = f"/confirm/{confirmation_token(pending)}/"
    for method in ("get", "head", "options"):
        getattr(browser, method)(address)
    pending.refresh_from_db()
    assert pending.status == "pending"
    assert not ConsentEvent.objects.exists()
    assert b"Yes, subscribe me" in browser.get(address).content

    for _ in range(2):
        answer = browser.post(address)
        assert answer.status_code == 200
        assert b"You are subscribed" in answer.content
        assert not answer.cookies
    assert b"You are subscribed" in browser.get(address).content
    assert ConsentEvent.objects.count() == 1


def test_a_confirmation_page_is_kept_from_caches_and_referrers(browser, pending) -> None:
    answer = browser.get(f"/confirm/{confirmation_token(pending)}/")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert JANE not in answer.content.decode()


def test_a_link_we_did_not_make_confirms_nothing_and_says_so(browser, pending) -> None:
    foreign = sign_pair("issue", pending.mailing_list_id, pending.subscriber_id)
    for token in (foreign, "x" * 28, "nonsense", "한글"):
        for answer in (browser.get(f"/confirm/{token}/"), browser.post(f"/confirm/{token}/")):
            assert answer.status_code == 404
            assert "This link does not work" in answer.content.decode()
    pending.refresh_from_db()
    assert pending.status == "pending"


def test_a_page_speaks_the_lists_language_whatever_the_browser_asks_for(browser) -> None:
    for language in ("ko", "en"):
        slug = make_list(language=language).slug
        answer = browser.get(f"/subscribe/{slug}/", headers={"Accept-Language": "en" if language == "ko" else "ko"})
        assert answer["Content-Language"] == language
        assert f'<html lang="{language}">' in answer.content.decode()
