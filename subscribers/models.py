"""Rows and rules of people and consent; no verbs.

Reachable = a confirmed Subscription and no Suppression: two facts, two tables, no status to forget.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, URLValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

# First words of addresses that belong to other pages: a list of such a name would have no page of its own.
RESERVED_SLUGS = frozenset(
    {"c", "confirm", "desk", "hooks", "inbox", "o", "preferences", "static", "subscribe", "u", "w"}
)


def validate_list_slug(slug: str) -> None:
    """Raises ValidationError for a word that Sosik's own pages use."""
    if slug in RESERVED_SLUGS:
        raise ValidationError(
            _("“%(slug)s” is the address of another page of Sosik. Choose another word."), params={"slug": slug}
        )


validate_color = RegexValidator(r"^#[0-9a-fA-F]{6}$", _("Write a colour as # and six hexadecimal digits: #0b6656."))


class MailingList(models.Model):
    """One list is one newsletter."""

    class TrackingPolicy(models.TextChoices):
        FULL = "full", _("Opens and clicks, by reader")
        AGGREGATE = "aggregate", _("Opens and clicks, as counts only")
        OFF = "off", _("No tracking")

    class OptIn(models.TextChoices):
        DOUBLE = "double", _("Readers confirm by mail")
        SINGLE = "single", _("No confirmation")

    slug = models.SlugField(max_length=60, unique=True, validators=[validate_list_slug])
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    from_name = models.CharField(max_length=120)
    from_email = models.EmailField()
    reply_to = models.EmailField(blank=True)
    postal_address = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=16, default="en")
    timezone = models.CharField(max_length=64, default="UTC")
    opt_in = models.CharField(max_length=8, choices=OptIn, default=OptIn.DOUBLE)
    is_public = models.BooleanField(default=True)
    tracking_policy = models.CharField(max_length=10, choices=TrackingPolicy, default=TrackingPolicy.FULL)
    utm_source = models.CharField(max_length=60, blank=True)  # empty: links get no utm parameters
    utm_medium = models.CharField(max_length=60, blank=True, default="email")
    merge_fields = models.JSONField(default=list, blank=True)  # names of Subscriber.attributes a mail may show
    # The theme: what makes this list's mails look like its own. Checked again by rendering/theme.py, which is what uses it.
    accent_color = models.CharField(max_length=7, default="#0b6656", validators=[validate_color])
    logo_url = models.URLField(max_length=500, blank=True, validators=[URLValidator(schemes=["https"])])
    logo_width = models.PositiveSmallIntegerField(null=True, blank=True)  # CSS pixels, as shown
    logo_height = models.PositiveSmallIntegerField(null=True, blank=True)
    header_markdown = models.TextField(blank=True)  # stands above every issue's title
    footer_markdown = models.TextField(blank=True)  # stands below every issue's text
    extra_css = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="mailing_list_tracking_policy_known",
                condition=models.Q(tracking_policy__in=["full", "aggregate", "off"]),
            ),
            models.CheckConstraint(
                name="mailing_list_opt_in_known", condition=models.Q(opt_in__in=["double", "single"])
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A label on people; a rule over people is a Segment."""

    name = models.CharField(max_length=60, unique=True)
    is_choosable = models.BooleanField(default=False)  # readers may choose it themselves

    def __str__(self) -> str:
        return self.name


class Subscriber(models.Model):
    """A person with an address. Whether we may write to them is not said here."""

    email = models.CharField(max_length=254)  # as typed, its domain in lower case
    fingerprint = models.CharField(
        max_length=32, unique=True
    )  # addresses.fingerprint(email): what suppressions are joined on
    name = models.CharField(max_length=120, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    locale = models.CharField(max_length=16, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    is_tracked = models.BooleanField(default=True)
    soft_bounces = models.PositiveSmallIntegerField(default=0)  # since the last delivery
    last_engaged_on = models.DateField(null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="subscribers")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="subscriber_email_unique")]

    def __str__(self) -> str:
        return f"subscriber {self.pk}"  # never the address: this lands in logs


class Subscription(models.Model):
    """One person's standing on one list."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting for confirmation")
        CONFIRMED = "confirmed", _("Confirmed")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, related_name="subscriptions")
    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="subscriptions")
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    source = models.CharField(max_length=60, blank=True)
    requested_at = models.DateTimeField()
    confirmation_sent_at = models.DateTimeField(null=True, blank=True)  # empty while a confirmation mail is due
    confirmed_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailing_list", "subscriber"], name="subscription_once_per_list"),
            models.CheckConstraint(
                name="subscription_status_known",
                condition=models.Q(status__in=["pending", "confirmed", "unsubscribed"]),
            ),
            models.CheckConstraint(
                name="subscription_confirmed_has_a_time",
                condition=~models.Q(status="confirmed") | models.Q(confirmed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_unsubscribed_has_a_time",
                condition=~models.Q(status="unsubscribed") | models.Q(unsubscribed_at__isnull=False),
            ),
        ]
        indexes = [
            # Whom may this list write to? What the freeze reads.
            models.Index(
                fields=["mailing_list", "subscriber"],
                name="subscription_confirmed",
                condition=models.Q(status="confirmed"),
            ),
            # Which confirmation mails are due?
            models.Index(
                fields=["requested_at"],
                name="subscription_confirmation_due",
                condition=models.Q(status="pending", confirmation_sent_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk}: {self.status}"


class ConsentWording(models.Model):
    """The exact words somebody agreed to, kept once."""

    hash = models.CharField(max_length=64, unique=True)  # SHA-256 of the text, hexadecimal
    text = models.TextField()

    def __str__(self) -> str:
        return self.hash[:12]


class ConsentEvent(models.Model):
    """The ledger: appended to, never changed."""

    class Kind(models.TextChoices):
        REQUESTED = "requested", _("Asked to subscribe")
        CONFIRMED = "confirmed", _("Confirmed")
        IMPORTED = "imported", _("Imported")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")
        SUPPRESSED = "suppressed", _("Suppressed")
        RELEASED = "released", _("Released from suppression")

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="consent_events")
    mailing_list = models.ForeignKey(MailingList, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField()
    source = models.CharField(max_length=120, blank=True)  # the page, the file, the header, the command
    ip_prefix = models.CharField(max_length=43, blank=True)  # 203.0.113.0/24 or 2001:db8::/48, never the whole address
    wording = models.ForeignKey(ConsentWording, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["at", "pk"]
        indexes = [
            models.Index(fields=["subscriber", "at"], name="consent_passport")
        ]  # what did this person say, when?

    def __str__(self) -> str:
        return f"{self.kind} by subscriber {self.subscriber_id}"


class Suppression(models.Model):
    """An address we must not write to, known only by its fingerprint: it outlives the person's row."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", _("The address does not exist")
        SOFT_BOUNCES = "soft_bounces", _("Too many temporary failures")
        COMPLAINT = "complaint", _("Marked as spam")
        EDITOR = "editor", _("Suppressed by an editor")
        ERASED = "erased", _("Erased at the person's wish")

    fingerprint = models.CharField(max_length=32, unique=True)
    reason = models.CharField(max_length=12, choices=Reason)
    evidence = models.CharField(max_length=500, blank=True)  # a server's answer, without the address
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="suppression_reason_known",
                condition=models.Q(reason__in=["hard_bounce", "soft_bounces", "complaint", "editor", "erased"]),
            )
        ]

    def __str__(self) -> str:
        return f"suppression {self.pk}: {self.reason}"


class Segment(models.Model):
    """A rule over a list's subscribers, in JSON; an empty rule takes everybody."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    rule = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing_list", "name"], name="segment_name_once_per_list")]

    def __str__(self) -> str:
        return self.name


class ImportJob(models.Model):
    """One file of addresses on its way in."""

    class Status(models.TextChoices):
        REHEARSED = "rehearsed", _("Rehearsed")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        UNDONE = "undone", _("Undone")

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, related_name="import_jobs")
    file_name = models.CharField(max_length=255)
    status = models.CharField(max_length=10, choices=Status, default=Status.REHEARSED)
    consent_basis = models.CharField(max_length=300)
    mapping = models.JSONField(default=dict, blank=True)
    row_count = models.PositiveIntegerField(default=0)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    position = models.PositiveBigIntegerField(default=0)  # rows applied: where a killed import goes on
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="import_job_status_known",
                condition=models.Q(status__in=["rehearsed", "running", "done", "failed", "undone"]),
            )
        ]

    def __str__(self) -> str:
        return f"import {self.pk}: {self.status}"
