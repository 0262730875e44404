"""The desk's forms. They check and convert; saving is the views' business."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from newsletter.desk.schedule_times import Moment, WrongTimeError, read_moment, read_wall
from newsletter.models import Issue
from subscribers.models import MailingList

MARKDOWN_SUFFIXES = ".md,.markdown,.txt"
_UPLOAD_BYTES = 1_000_000  # the body of a 300-page book; a mail is clipped at a tenth of it


class TagsField(forms.CharField):
    """Words with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(str(tag) for tag in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        words = [word.strip() for word in str(value or "").split(",")]
        return list(dict.fromkeys(word for word in words if word))


class LanguageField(forms.ChoiceField):
    """The languages the layout speaks, and the one the issue has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=settings.LANGUAGES, **kwargs)

    def admit(self, language: str) -> None:
        """Lets a language from a file stay, though nobody could choose it here."""
        if language and language not in dict(settings.LANGUAGES):
            self.choices = [*settings.LANGUAGES, (language, language)]


class StartForm(forms.Form):
    """What a new issue needs: a title and a list."""

    subject = forms.CharField(label=gettext_lazy("Title"), max_length=300)
    mailing_list = forms.ModelChoiceField(MailingList.objects.all(), label=gettext_lazy("List"), empty_label=None)


class UploadForm(forms.Form):
    """A Markdown file, and the list it goes to unless it names one."""

    mailing_list = forms.ModelChoiceField(
        MailingList.objects.all(), label=gettext_lazy("List, unless the file names one"), empty_label=None
    )
    file = forms.FileField(
        label=gettext_lazy("Markdown file"),
        widget=forms.ClearableFileInput(attrs={"accept": MARKDOWN_SUFFIXES}),
    )
    overwrite = forms.BooleanField(
        label=gettext_lazy("Replace what was written at the desk since, too"), required=False
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > _UPLOAD_BYTES:
            raise forms.ValidationError(_("The file is larger than 1 MB. Take pictures out of it and link to them."))
        return file


class DraftForm(forms.ModelForm[Issue]):
    """All an editor writes. Its instance is the unsaved issue that the preview renders."""

    tags = TagsField(label=gettext_lazy("Tags"), required=False, help_text=gettext_lazy("With commas between them."))
    language = LanguageField(label=gettext_lazy("Language"))
    revision = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = Issue
        fields = [
            "subject",
            "preheader",
            "body_markdown",
            "slug",
            "mailing_list",
            "language",
            "tags",
            "track_opens",
            "track_clicks",
            "in_archive",
            "when_too_large",
        ]
        labels = {
            "subject": gettext_lazy("Title"),
            "preheader": gettext_lazy("Preheader"),
            "body_markdown": gettext_lazy("Text, in Markdown"),
            "slug": gettext_lazy("Address"),
            "mailing_list": gettext_lazy("List"),
            "track_opens": gettext_lazy("Count who opens it"),
            "track_clicks": gettext_lazy("Count who follows its links"),
            "in_archive": gettext_lazy("Show it in the archive and the feed"),
            "when_too_large": gettext_lazy("A mail of more than 100 kB"),
        }
        help_texts = {
            "track_opens": gettext_lazy("By a picture of one pixel. Unless the list says: no tracking."),
            "track_clicks": gettext_lazy("Links lead by way of this site. Unless the list says: no tracking."),
            "in_archive": gettext_lazy("If the list is public."),
            "when_too_large": gettext_lazy("Gmail hides the end of a mail of more than 102 kB."),
            "preheader": gettext_lazy("Inboxes show it behind the title. Empty: the first words of the mail."),
            "slug": gettext_lazy("The last part of the archive page's address."),
        }
        widgets = {
            "subject": forms.TextInput(attrs={"data-columns": "60"}),
            "preheader": forms.TextInput(attrs={"data-columns": "90"}),
            "body_markdown": forms.Textarea(attrs={"rows": 24, "spellcheck": "true"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        body, language, lists = self.fields["body_markdown"], self.fields["language"], self.fields["mailing_list"]
        assert isinstance(body, forms.CharField)
        assert isinstance(language, LanguageField)
        assert isinstance(lists, forms.ModelChoiceField)
        body.strip = False  # a text may begin with an indented code block
        body.required = False  # a draft may be empty; the pre-flight check says so
        lists.empty_label = None
        language.admit(self.instance.language)
        self.initial["revision"] = self.instance.revision

    def clean_body_markdown(self) -> str:
        """Browsers send CRLF; files and diffs have LF."""
        return str(self.cleaned_data["body_markdown"]).replace("\r\n", "\n")

    def draft_fields(self) -> dict[str, Any]:
        """The columns to write, by name."""
        return {name: self.cleaned_data[name] for name in self._meta.fields or ()}


class TestMailForm(forms.Form):
    """Where a test mail goes."""

    address = forms.EmailField(label=gettext_lazy("Send the test to"))


class RetryForm(forms.Form):
    """Whether those whom a server refused are tried again, too."""

    with_rejected = forms.BooleanField(label=gettext_lazy("Also those whom a server refused"), required=False)


class ScheduleForm(forms.Form):
    """A date and a time, in a named zone or on each reader's own clock; after a successful check `moment` or `wall` holds it."""

    day = forms.DateField(label=gettext_lazy("Date"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    clock = forms.TimeField(label=gettext_lazy("Time"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    zone = forms.CharField(
        label=gettext_lazy("Time zone"), widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"})
    )
    is_local = forms.BooleanField(
        label=gettext_lazy("At this time of each reader's own clock"),
        help_text=gettext_lazy("Readers without a time zone of their own get it at the list's."),
        required=False,
    )
    moment: Moment | None = None
    wall: datetime | None = None

    def clean(self) -> None:
        super().clean()
        if self.errors:
            return
        found = self.cleaned_data
        try:
            if found["is_local"]:
                self.wall = read_wall(found["day"], found["clock"])
            else:
                self.moment = read_moment(found["day"], found["clock"], found["zone"])
        except WrongTimeError as error:
            raise forms.ValidationError(str(error)) from error
