"""Rows and rules of an issue; no verbs.

The sending state lives on the batch, not on a million deliveries. Batch.position is a subscriber id: of a batch's deliveries, those up
to it are settled, those above it and up to Batch.reserved may be on the wire, those above are waiting.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from subscribers.models import MailingList, Segment


class Issue(models.Model):
    """One post on its way to one list."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SCHEDULED = "scheduled", _("Scheduled")
        PREPARING = "preparing", _("Preparing")
        SENDING = "sending", _("Sending")
        PAUSED = "paused", _("Paused")
        SENT = "sent", _("Sent")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")

    class WhenTooLarge(models.TextChoices):
        CONTINUE = "continue", _("Ends at a heading and continues on the web")
        REFUSE = "refuse", _("Is not sent")

    mailing_list = models.ForeignKey(MailingList, on_delete=models.PROTECT, related_name="issues")
    segment = models.ForeignKey(Segment, null=True, blank=True, on_delete=models.PROTECT, related_name="issues")
    slug = models.SlugField(max_length=120, unique=True, allow_unicode=True)
    subject = models.CharField(max_length=300)
    preheader = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=16, default="en")
    body_markdown = models.TextField()
    tags = models.JSONField(default=list, blank=True)
    front_matter = models.JSONField(default=dict, blank=True)  # what the file said and no column holds: kept, not lost
    dated_on = models.DateField(null=True, blank=True)
    updated_on = models.DateField(null=True, blank=True)
    source_hash = models.CharField(
        max_length=64, blank=True
    )  # SHA-256 of the published source; half of it once edited at the desk
    revision = models.PositiveIntegerField(default=1)  # counts saves: two editors never overwrite each other

    html = models.TextField(blank=True)  # ready but for its slots (rendering/merge.py)
    text = models.TextField(blank=True)
    web_html = models.TextField(blank=True)  # the archive's copy of the body: no slots, no tracking
    findings = models.JSONField(default=list, blank=True)  # what rendering warned of
    rendered_at = models.DateTimeField(null=True, blank=True)

    track_opens = models.BooleanField(default=True)
    track_clicks = models.BooleanField(default=True)
    in_archive = models.BooleanField(default=True)
    when_too_large = models.CharField(max_length=8, choices=WhenTooLarge, default=WhenTooLarge.CONTINUE)

    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    status_reason = models.CharField(max_length=300, blank=True)  # why it is paused, cancelled or failed
    scheduled_at = models.DateTimeField(null=True, blank=True)
    schedule_timezone = models.CharField(max_length=64, blank=True)  # the zone the editor thought in
    claimed_at = models.DateTimeField(null=True, blank=True)  # when a worker began to prepare it
    sending_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    pruned_at = models.DateTimeField(null=True, blank=True)  # when its deliveries went; IssueStats keeps their counts
    candidates_count = models.PositiveIntegerField(null=True, blank=True)
    recipients_count = models.PositiveIntegerField(null=True, blank=True)
    skipped_count = models.PositiveIntegerField(null=True, blank=True)  # at the freeze; later ones are on their rows
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="issue_status_known",
                condition=Q(
                    status__in=[
                        "draft",
                        "scheduled",
                        "preparing",
                        "sending",
                        "paused",
                        "sent",
                        "cancelled",
                        "failed",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="issue_audience_adds_up",
                condition=Q(candidates_count__isnull=True)
                | Q(candidates_count=F("recipients_count") + F("skipped_count")),
            ),
            models.CheckConstraint(
                name="issue_on_its_way_has_an_audience",
                condition=~Q(status__in=["sending", "paused", "sent"]) | Q(candidates_count__isnull=False),
            ),
            models.CheckConstraint(
                name="issue_when_too_large_known", condition=Q(when_too_large__in=["continue", "refuse"])
            ),
            models.CheckConstraint(
                name="issue_scheduled_has_a_time",
                condition=~Q(status="scheduled") | Q(scheduled_at__isnull=False),
            ),
        ]
        indexes = [
            # What is due?
            models.Index(fields=["scheduled_at"], name="issue_due", condition=Q(status="scheduled")),
            # What is moving? A handful among thousands.
            models.Index(
                fields=["status"], name="issue_moving", condition=Q(status__in=["preparing", "sending", "paused"])
            ),
            # What does the archive of this list show?
            models.Index(fields=["mailing_list", "-sending_at"], name="issue_archive", condition=Q(in_archive=True)),
        ]

    def __str__(self) -> str:
        return self.slug


class Batch(models.Model):
    """A run of an issue's deliveries, in the order of their subscribers' ids, submitted by one worker at a time."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        SUBMITTING = "submitting", _("Being submitted")
        SUBMITTED = "submitted", _("Submitted")
        FAILED = "failed", _("Refused")
        UNCERTAIN = "uncertain", _("Uncertain")
        CANCELLED = "cancelled", _("Cancelled")

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    recipients_count = models.PositiveIntegerField()
    position = models.PositiveBigIntegerField(default=0)  # settled up to this subscriber id
    reserved = models.PositiveBigIntegerField(default=0)  # may be on the wire up to this subscriber id
    attempts = models.PositiveIntegerField(default=0)  # claims so far; also the fence: an older claim is not believed
    errors_count = models.PositiveIntegerField(default=0)  # failures in a row without progress
    key = models.UUIDField(unique=True)  # idempotency key at providers that take one
    lease_until = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)  # when a doorbell for it was last put in the queue
    provider = models.CharField(max_length=40, blank=True)
    provider_message_id = models.CharField(max_length=200, blank=True)
    # The call to a provider with idempotency keys whose answer is not known: it covers the readers between position and reserved.
    call_key = models.CharField(max_length=64, blank=True)
    call_digest = models.CharField(
        max_length=64, blank=True
    )  # of its content: only the very same may be submitted again
    call_until = models.DateTimeField(null=True, blank=True)  # until when the provider knows the key again
    error = models.CharField(max_length=500, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issue", "number"], name="batch_number_once_per_issue"),
            models.CheckConstraint(
                name="batch_status_known",
                condition=Q(status__in=["pending", "submitting", "submitted", "failed", "uncertain", "cancelled"]),
            ),
            models.CheckConstraint(name="batch_position_within_reserved", condition=Q(position__lte=F("reserved"))),
            models.CheckConstraint(
                name="batch_submitting_has_a_lease",
                condition=~Q(status="submitting") | Q(lease_until__isnull=False),
            ),
        ]
        indexes = [
            # Which batches still have to go, or have died on the way?
            models.Index(
                fields=["issue", "number"], name="batch_open", condition=Q(status__in=["pending", "submitting"])
            ),
        ]

    def __str__(self) -> str:
        return f"issue {self.issue_id} batch {self.number}: {self.status}"


class Outcome(models.IntegerChoices):
    """What became of one delivery; WITH_BATCH says: look at the batch's position."""

    WITH_BATCH = 0, _("as its batch")
    SUBMITTED = 1, _("submitted")
    SKIPPED = 2, _("skipped")
    REJECTED = 3, _("rejected")
    FAILED = 4, _("failed")
    UNCERTAIN = 5, _("uncertain")
    DEFERRED = 6, _("deferred")  # not accepted for now: waits for its batch's next attempt


class Delivery(models.Model):
    """One candidate of one issue. No address is copied; no changing column is indexed, so updates stay in place.

    Subscriber and issue are numbers, not relations: a million foreign key checks would double the freeze, and the row of an
    erased person stays, as a number that leads nowhere, so that the accounts go on adding up.
    """

    pk = models.CompositePrimaryKey("subscriber_id", "issue_id")
    subscriber_id = models.BigIntegerField()
    issue_id = models.BigIntegerField()
    batch_number = models.PositiveIntegerField(null=True, blank=True)  # empty: skipped at the freeze
    outcome = models.PositiveSmallIntegerField(choices=Outcome, default=Outcome.WITH_BATCH)
    reason = models.CharField(max_length=200, blank=True)  # why skipped, rejected, failed or uncertain
    delivered_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)  # first open believed to be a person's
    machine_opened_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)  # first click believed to be a person's
    machine_clicked_at = models.DateTimeField(null=True, blank=True)
    bounced_at = models.DateTimeField(null=True, blank=True)  # hard; soft ones are counted, not kept
    complained_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    provider_message_id = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="delivery_outcome_known", condition=Q(outcome__in=[0, 1, 2, 3, 4, 5, 6])),
            models.CheckConstraint(
                name="delivery_without_batch_is_skipped", condition=Q(batch_number__isnull=False) | Q(outcome=2)
            ),
        ]
        indexes = [
            # Which deliveries are in this batch, in the order they go?
            models.Index(fields=["issue_id", "batch_number", "subscriber_id"], name="delivery_of_batch"),
        ]

    def __str__(self) -> str:
        return f"issue {self.issue_id} to subscriber {self.subscriber_id}"


class Link(models.Model):
    """Where a tracked link leads. Redirects go to these rows and nowhere else."""

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="links")
    number = models.PositiveIntegerField()
    url = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issue", "number"], name="link_number_once_per_issue")]

    def __str__(self) -> str:
        return f"issue {self.issue_id} link {self.number}"


class Click(models.Model):
    """One reader's clicks on one link: the first time, and how often."""

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="clicks")
    subscriber_id = models.BigIntegerField()
    first_at = models.DateTimeField()
    hits_count = models.PositiveIntegerField(default=1)
    is_machine = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["link", "subscriber_id", "is_machine"], name="click_once_per_reader_and_link"
            )
        ]

    def __str__(self) -> str:
        return f"click on link {self.link_id}"


class FeedbackEvent(models.Model):
    """A reputation event as a provider told it: stored once, applied once."""

    provider = models.CharField(max_length=40)
    key = models.CharField(max_length=200)  # the provider's event id, or our own hash where it gives none
    kind = models.CharField(max_length=20)
    issue_id = models.BigIntegerField(null=True, blank=True)
    subscriber_id = models.BigIntegerField(null=True, blank=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(auto_now_add=True)
    detail = models.CharField(max_length=500, blank=True)  # the server's answer, without the address
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "key"], name="feedback_event_once")]
        indexes = [models.Index(fields=["received_at"], name="feedback_event_age")]  # what is old enough to go?

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"


class BufferedEvent(models.Model):
    """An open, click or delivery waiting for the fold where there is no Redis to hold it."""

    payload = models.JSONField()

    def __str__(self) -> str:
        return f"buffered event {self.pk}"


class IssueStats(models.Model):
    """An issue's counters: they stay when the rows behind them have gone."""

    issue = models.OneToOneField(Issue, on_delete=models.CASCADE, primary_key=True, related_name="stats")
    # The outcomes, written when the deliveries are pruned; until then they are counted from the rows.
    submitted_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    uncertain_count = models.PositiveIntegerField(default=0)
    delivered_count = models.PositiveIntegerField(default=0)
    opens_count = models.PositiveIntegerField(default=0)  # readers with an open believed to be a person's
    machine_opens_count = models.PositiveIntegerField(default=0)  # readers for whom a machine opened
    clicks_count = models.PositiveIntegerField(default=0)  # readers with a click believed to be a person's
    machine_clicks_count = models.PositiveIntegerField(default=0)
    raw_opens_count = models.PositiveIntegerField(default=0)  # every hit
    raw_clicks_count = models.PositiveIntegerField(default=0)
    hard_bounces_count = models.PositiveIntegerField(default=0)
    soft_bounces_count = models.PositiveIntegerField(default=0)
    complaints_count = models.PositiveIntegerField(default=0)
    unsubscribes_count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"stats of issue {self.issue_id}"


class EngagementHour(models.Model):
    """Opens and clicks of one hour: the curve."""

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="hours")
    hour_at = models.DateTimeField()  # its beginning, UTC
    opens_count = models.PositiveIntegerField(default=0)
    clicks_count = models.PositiveIntegerField(default=0)
    machine_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issue", "hour_at"], name="engagement_hour_once")]

    def __str__(self) -> str:
        return f"issue {self.issue_id} at {self.hour_at:%Y-%m-%d %H}:00"
