"""The sign-up form: one field for people, two that robots trip over."""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.core.signing import BadSignature, Signer
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from subscribers.addresses import AddressError, normalise_address
from subscribers.models import MailingList

# Robots post within milliseconds; a person whose browser fills in the address still needs more than a second.
LEAST_SECONDS = 1.0
# Long enough for a tab left open over a holiday, short enough that a form once copied does not serve for ever.
MOST_SECONDS = 14 * 24 * 3600

_signer = Signer(salt="subscribers.forms.started")


def started_stamp(at: float | None = None) -> str:
    """The signed moment, in seconds since 1970, at which a form was shown."""
    return _signer.sign(f"{time.time() if at is None else at:.3f}")


def consent_wording(mailing_list: MailingList) -> str:
    """The words beside the button, in the language now active: what the ledger keeps as the thing agreed to."""
    wording = gettext("I want to receive %(name)s by email. I can leave at any time with one click.")
    return wording % {"name": mailing_list.name}


class SignUpForm(forms.Form):
    """An address. `is_robot()` is asked before `is_valid()`: a robot gets the answer everybody gets."""

    email = forms.CharField(
        label=_("Your email address"),
        max_length=1000,
        error_messages={"required": _("Write your email address.")},
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "placeholder": "name@example.com"}
        ),
    )
    website = forms.CharField(
        label=_("Leave this field empty"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )
    started = forms.CharField(required=False, widget=forms.HiddenInput, initial=started_stamp)

    def with_fresh_stamp(self) -> SignUpForm:
        """This form, errors and all, to be shown again: an outdated stamp would refuse the next press too."""
        self.data = {"email": self.data.get("email", ""), "started": started_stamp()}
        self.fields["email"].widget.attrs["autofocus"] = True
        return self

    def is_robot(self) -> bool:
        """Says whether the trap field is filled, or the form was sent faster than a person can type, or never shown at all."""
        age = self._age_seconds()
        return bool(self.data.get("website")) or age is None or age < LEAST_SECONDS

    def clean_email(self) -> str:
        """The normalised address."""
        try:
            return normalise_address(self.cleaned_data["email"])
        except AddressError:
            raise forms.ValidationError(
                _("This does not look like an email address. Write it like name@example.com.")
            ) from None

    def clean(self) -> dict[str, Any]:
        """Refuses a form that has been open for too long."""
        age = self._age_seconds()
        if age is not None and age > MOST_SECONDS:
            raise forms.ValidationError(_("This page had been open for a long time. Press the button once more."))
        return self.cleaned_data

    def _age_seconds(self) -> float | None:
        try:
            return time.time() - float(_signer.unsign(str(self.data.get("started", ""))))
        except (BadSignature, ValueError):
            return None
