"""A list's look is checked when it is saved: what would not render is refused at its field, and nothing typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from newsletter.desk.list_form import MailingListForm
from newsletter.rendering.extra_css import CLASSES, PARTS
from subscribers.models import MailingList
from tests.factories import make_list
from tests.newsletter.desk.test_lists import VALUES

pytestmark = pytest.mark.django_db

LOOK: dict[str, Any] = {
    "accent_color": "#D9480F",
    "logo_url": "https://example.org/logo.png",
    "logo_width": "180",
    "logo_height": "48",
    "header_markdown": "{{ city|default:'여기' }}의 **소식**",
    "footer_markdown": "[후원하기](https://example.org/)\r\n\r\n{{ name }}님께",
    "extra_css": "h2 { color: #0b6656 }\r\n@media (prefers-color-scheme: dark) { h2 { color: #66cfb9 } }",
    "merge_fields": "city, plan, city, name",
    "utm_source": "evening",
    "utm_medium": "newsletter",
}


def test_a_list_gets_its_look(desk: Client) -> None:
    assert desk.post(reverse("desk:list-new"), VALUES | LOOK).status_code == 302
    saved = MailingList.objects.get()
    assert saved.accent_color == "#d9480f"
    assert (saved.logo_width, saved.logo_height) == (180, 48)
    assert saved.merge_fields == ["city", "plan"]
    assert saved.footer_markdown == "[후원하기](https://example.org/)\n\n{{ name }}님께"
    assert "\r" not in saved.extra_css
    assert (saved.utm_source, saved.utm_medium) == ("evening", "newsletter")


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("accent_color", "green", "#0b6656"),
        ("logo_url", "http://example.org/logo.png", "Write its https:// address"),
        ("logo_url", "ftp://example.org/logo.png", "ftp://"),
        ("logo_url", "javascript:alert(1)", "https://example.org/logo.png"),
        ("logo_url", "logo", "https://example.org/logo.png"),
        ("logo_url", "https://example.org/logo.svg", "cannot show .svg"),
        ("logo_url", "https://example.org/logo.WebP?v=2", "a PNG, JPEG or GIF"),
        ("logo_width", "-5", "0"),
        ("logo_width", "1000", "Write 552 or less"),
        ("header_markdown", "Hello\n\n{{ nobody }}", "nobody"),
        ("footer_markdown", "{{ plan.secret }}", "merge field"),
        ("footer_markdown", "0s0s1k", "0s0s1k"),
        ("extra_css", "h2 { color: red }\n.foot { display: none }", "Line 2: “.foot” is not a selector"),
        ("extra_css", "</style><script>", "“<”"),
        ("merge_fields", "city, 2nd", "“2nd” cannot be a merge field"),
        ("merge_fields", "city, first name", "“first name”"),
        ("merge_fields", "token", "“token”"),
    ],
)
def test_what_would_not_render_is_refused_at_its_field_and_stays_typed(
    desk: Client, field: str, typed: str, said: str
) -> None:
    response = desk.post(reverse("desk:list-new"), VALUES | LOOK | {field: typed})
    assert response.status_code == 422
    form = response.context["form"]
    assert set(form.errors) == {field}
    assert said in " ".join(form.errors[field])
    assert form[field].value() == typed
    assert not MailingList.objects.exists()


def test_a_postal_address_keeps_its_lines(desk: Client) -> None:
    typed = {"postal_address": " Sosik \r\n\r\n110 Sejong-daero\r\nSeoul\r\n"}
    assert desk.post(reverse("desk:list-new"), VALUES | typed).status_code == 302
    assert MailingList.objects.get().postal_address == "Sosik\n110 Sejong-daero\nSeoul"
    page = desk.get(reverse("desk:list-edit", args=[MailingList.objects.get().slug])).content.decode()
    assert 'name="postal_address"' in page.split("<textarea", 1)[1]
    assert "Sosik\n110 Sejong-daero\nSeoul</textarea>" in page


def test_the_help_names_each_class_that_a_list_may_style() -> None:
    help_text = str(MailingListForm().fields["extra_css"].help_text)
    assert [name for name in (*PARTS, *CLASSES) if not name.startswith("hl-") and f".{name}" not in help_text] == []
    assert ".hl-" in help_text


def test_a_merge_field_that_the_footer_needs_cannot_be_taken_away(desk: Client) -> None:
    make_list(slug="evening", merge_fields=["city"], footer_markdown="{{ city }}")
    response = desk.post(
        reverse("desk:list-edit", args=["evening"]), VALUES | {"footer_markdown": "{{ city }}", "merge_fields": ""}
    )
    assert set(response.context["form"].errors) == {"footer_markdown"}
    assert MailingList.objects.get().merge_fields == ["city"]


def test_the_first_problems_of_a_stylesheet_are_told_with_their_lines(desk: Client) -> None:
    css = "\n".join("p { position: fixed }" for _number in range(20))
    response = desk.post(reverse("desk:list-new"), VALUES | {"extra_css": css})
    errors = response.context["form"].errors["extra_css"]
    assert [error.split(":")[0] for error in errors] == [f"Line {number}" for number in range(1, 6)]


def test_a_form_without_a_colour_keeps_the_list_s_own(desk: Client) -> None:
    make_list(slug="evening", accent_color="#d9480f")
    desk.post(reverse("desk:list-edit", args=["evening"]), VALUES)
    assert MailingList.objects.get().accent_color == "#d9480f"


def test_every_field_stands_in_one_section_with_a_label() -> None:
    form = MailingListForm()
    shown = [field.name for section in form.sections for field in section.fields]
    assert sorted(shown) == sorted(form.fields)
    assert len(set(shown)) == len(shown)
    assert all(str(section.title) for section in form.sections)
