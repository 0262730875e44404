"""What happened to a person, told to whoever listens (newsletter/receivers.py does). Sent on commit, but for `unsubscribed`.

That one is sent inside the transaction, under a savepoint: what its receivers write stands or falls with the leaving, and what fails
in them holds nobody back.
"""

from django.dispatch import Signal

opt_in_requested = Signal()  # subscription_id: int; a confirmation mail is due
subscribed = Signal()  # subscription_id: int
unsubscribed = Signal()  # subscription_id: int, issue_id: int | None (the issue whose mail was the occasion)
