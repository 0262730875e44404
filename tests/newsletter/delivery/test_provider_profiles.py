"""What the profiles say of a provider is what Anymail's backend of it can do: a new version that changes it fails here."""

from __future__ import annotations

from importlib import import_module

import pytest
from anymail.backends.base import BasePayload

from config.checked_env import WEBHOOK_PROOFS, WEBHOOKS_BY_SECRET
from newsletter.delivery.providers import PROFILES, Profile, Way

ESPS = sorted(set(PROFILES) - {"amazon_ses"})  # boto3 is not installed here


def abilities(esp: str) -> set[str]:
    """The setters that the backend's payload has of its own."""
    module = import_module(f"anymail.backends.{esp}")
    payloads = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, BasePayload) and kind.__module__ == module.__name__
    ]
    (payload,) = payloads
    return {name for name in vars(payload) if name.startswith("set_")}


@pytest.mark.parametrize("esp", ESPS)
def test_a_profile_claims_what_the_backend_can_do(esp: str) -> None:
    profile, can = PROFILES[esp], abilities(esp)
    assert ("set_track_opens" in can) is profile.tracking_switch
    assert profile.metadata <= ("set_metadata" in can)
    assert profile.tag <= ("set_tags" in can)
    assert profile.metadata or profile.tag, "a webhook must be able to name the mail"
    if profile.way is not Way.SINGLE:
        assert {"set_merge_headers", "set_merge_metadata"} <= can
    if profile.way is Way.FIELDS:
        assert "set_merge_data" in can
        assert profile.field.format(key="v0").count("v0") == 1
        assert any(profile.field.format(key="v0").startswith(sign) for sign in profile.opening)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.esp)
def test_only_a_batch_takes_several_readers_in_one_call(profile: Profile) -> None:
    assert (profile.most_per_call == 1) is (profile.way is Way.SINGLE)


def test_every_provider_but_one_has_webhooks_and_something_that_proves_them() -> None:
    assert set(PROFILES) - set(WEBHOOK_PROOFS) - WEBHOOKS_BY_SECRET == {"scaleway"}  # Anymail 15.0 reads none of it
