"""The form of a list: who sends, how its mails look, what its links count. What would not render is refused at its field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.forms.boundfield import BoundField
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from newsletter.desk.forms import LanguageField, TagsField
from newsletter.rendering.errors import RenderError
from newsletter.rendering.extra_css import check_css
from newsletter.rendering.merge import TOKEN
from newsletter.rendering.theme import read_margin
from newsletter.rendering.tree import CONTENT_WIDTH
from subscribers.models import MailingList

_FIELD_NAME = re.compile(r"[^\W\d]\w{0,59}")
_BUILT_IN = frozenset({"name", "email"})  # every list has them
_NO_LOGO = re.compile(r"\.(svgz?|webp|avif|heic|jxl|bmp|ico|tiff?|pdf)$", re.IGNORECASE)  # Outlook shows none of them
_SHOWN_PROBLEMS = 5  # of one stylesheet: the first that is mended often mends the others
_Label = str | Promise


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together, below one heading."""

    title: _Label
    fields: tuple[BoundField, ...]


_SECTIONS: tuple[tuple[_Label, tuple[str, ...]], ...] = (
    (
        gettext_lazy("Identity"),
        ("name", "slug", "description", "language", "timezone", "is_public"),
    ),
    (
        gettext_lazy("Sender"),
        ("from_name", "from_email", "reply_to", "postal_address"),
    ),
    (
        gettext_lazy("Look"),
        (
            "accent_color",
            "logo_url",
            "logo_width",
            "logo_height",
            "header_markdown",
            "footer_markdown",
            "extra_css",
        ),
    ),
    (
        gettext_lazy("Readers and links"),
        ("merge_fields", "tracking_policy", "utm_source", "utm_medium"),
    ),
)


class MailingListForm(forms.ModelForm[MailingList]):
    """A newsletter's identity, look and rules."""

    class Meta:
        model = MailingList
        fields = [name for _title, names in _SECTIONS for name in names]
        labels = {
            "name": gettext_lazy("Name"),
            "slug": gettext_lazy("Address"),
            "description": gettext_lazy("Description"),
            "from_name": gettext_lazy("Sender’s name"),
            "from_email": gettext_lazy("Sender’s address"),
            "reply_to": gettext_lazy("Replies go to"),
            "postal_address": gettext_lazy("Postal address"),
            "language": gettext_lazy("Language"),
            "timezone": gettext_lazy("Time zone"),
            "tracking_policy": gettext_lazy("Tracking"),
            "is_public": gettext_lazy("Public: has a page, an archive and a sign-up form"),
            "accent_color": gettext_lazy("Accent colour"),
            "logo_width": gettext_lazy("Logo’s width"),
            "logo_height": gettext_lazy("Logo’s height"),
            "header_markdown": gettext_lazy("Header, in Markdown"),
            "footer_markdown": gettext_lazy("Footer, in Markdown"),
            "extra_css": gettext_lazy("Extra CSS"),
            "utm_source": "utm_source",
            "utm_medium": "utm_medium",
        }
        help_texts = {
            "slug": gettext_lazy("Letters, digits and hyphens. It is part of every link to this list."),
            "from_email": gettext_lazy("Your provider must be allowed to send for its domain."),
            "reply_to": gettext_lazy("Empty: the sender’s address."),
            "postal_address": gettext_lazy(
                "Stands below every mail, line by line as you write it; many countries’ laws ask for it."
            ),
            "timezone": gettext_lazy("Scheduling starts from it."),
            "accent_color": gettext_lazy(
                "Links, quotes and the line above the mail. Where it would be hard to read, words get a darker or lighter shade of it."
            ),
            "logo_width": gettext_lazy("As shown, in pixels, at most 552; the file may be twice as large."),
            "logo_height": gettext_lazy("In pixels. Empty: it follows from the width."),
            "header_markdown": gettext_lazy("Stands above the title of every mail. Merge fields are allowed."),
            "footer_markdown": gettext_lazy(
                "Stands below the text of every mail, above the way to unsubscribe. Merge fields are allowed."
            ),
            "extra_css": gettext_lazy(
                "For the text of the mail: elements such as h2 or blockquote; its parts .page, .head, .name, .date, .header, .content,"
                " .footer; and .title, .wide (around tables), .task, .footnote, .hl-c to .hl-b (code). Give colours for dark inboxes"
                " too, in @media (prefers-color-scheme: dark)."
            ),
            "utm_source": gettext_lazy(
                "Added to every link, with the issue’s address as utm_campaign. Empty: links stay as they are."
            ),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "postal_address": forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"}),
            "timezone": forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
            "accent_color": forms.TextInput(attrs={"type": "color"}),
            "header_markdown": forms.Textarea(attrs={"rows": 3}),
            "footer_markdown": forms.Textarea(attrs={"rows": 4}),
            "extra_css": forms.Textarea(attrs={"rows": 8, "class": "is-code", "spellcheck": "false"}),
        }

    language = LanguageField(label=gettext_lazy("Language"))
    logo_url = forms.URLField(
        label=gettext_lazy("Logo"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("An https address of a PNG, JPEG or GIF. Stands in place of the list’s name."),
        error_messages={
            "invalid": gettext_lazy("This is not an address. Write it in full: https://example.org/logo.png")
        },
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    merge_fields = TagsField(
        label=gettext_lazy("Merge fields"),
        required=False,
        help_text=gettext_lazy(
            "Attributes of subscribers that a mail may show, beside name and email. With commas between them: city, plan."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        language, accent = self.fields["language"], self.fields["accent_color"]
        assert isinstance(language, LanguageField)
        language.admit(self.instance.language)
        accent.required = False  # no colour sent: the one the list has

    @property
    def sections(self) -> Iterator[Section]:
        """The fields in their groups."""
        for title, names in _SECTIONS:
            yield Section(title, tuple(self[name] for name in names))

    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"])
        if zone not in available_timezones():
            raise forms.ValidationError(_("“%(zone)s” is not a time zone.") % {"zone": zone})
        return zone

    def clean_postal_address(self) -> str:
        lines = (line.strip() for line in str(self.cleaned_data["postal_address"]).splitlines())
        return "\n".join(line for line in lines if line)

    def clean_logo_url(self) -> str:
        url = str(self.cleaned_data["logo_url"])
        if not url:
            return url
        address = urlsplit(url)
        if address.scheme != "https":
            message = _("A logo on %(scheme)s:// does not load in many inboxes. Write its https:// address.")
            raise forms.ValidationError(message % {"scheme": address.scheme})
        kind = _NO_LOGO.search(address.path)
        if kind:
            message = _("Outlook and other inboxes cannot show .%(kind)s. Give the address of a PNG, JPEG or GIF.")
            raise forms.ValidationError(message % {"kind": kind[1]})
        return url

    def clean_logo_width(self) -> int | None:
        width: int | None = self.cleaned_data["logo_width"]
        if width is not None and width > CONTENT_WIDTH:
            message = _("The column is %(limit)d pixels wide. Write %(limit)d or less: the file itself may be larger.")
            raise forms.ValidationError(message % {"limit": CONTENT_WIDTH})
        return width

    def clean_accent_color(self) -> str:
        return str(self.cleaned_data["accent_color"]).lower() or self.instance.accent_color

    def clean_merge_fields(self) -> list[str]:
        names: list[str] = self.cleaned_data["merge_fields"]
        for name in names:
            if not _FIELD_NAME.fullmatch(name):
                message = _("“%(name)s” cannot be a merge field. Write a letter first, then letters, digits and _.")
                raise forms.ValidationError(message % {"name": name})
            if name == TOKEN.name:
                message = _("“%(name)s” is what Sosik calls a reader’s key. Choose another word.") % {"name": name}
                raise forms.ValidationError(message)
        return [name for name in names if name not in _BUILT_IN]

    def clean_header_markdown(self) -> str:
        return _with_line_feeds(self.cleaned_data["header_markdown"])

    def clean_footer_markdown(self) -> str:
        return _with_line_feeds(self.cleaned_data["footer_markdown"])

    def clean_extra_css(self) -> str:
        css = _with_line_feeds(self.cleaned_data["extra_css"])
        problems = check_css(css)
        if problems:
            found = [_line(problem.line, f"{problem.message} {problem.remedy}") for problem in problems]
            raise forms.ValidationError(found[:_SHOWN_PROBLEMS])
        return css

    def clean(self) -> None:
        """Header and footer must render with the merge fields as they will be."""
        super().clean()
        if "merge_fields" not in self.cleaned_data:
            return
        future = MailingList(merge_fields=self.cleaned_data["merge_fields"])
        for name in ("header_markdown", "footer_markdown"):
            try:
                read_margin(self.cleaned_data.get(name, ""), future)
            except RenderError as error:
                self.add_error(name, str(error))


def _with_line_feeds(text: Any) -> str:
    """Browsers send CRLF."""
    return str(text).replace("\r\n", "\n")


def _line(number: int | None, text: str) -> str:
    return _("Line %(number)d: %(text)s") % {"number": number, "text": text} if number else text
