"""What a fault needs: Sosik's processes, its servers, the receiver, and the audience."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.demo.system import System, find_free_port, make_environment
from tests.chaos.receipts import CountingProvider, Receipts
from tests.fake_provider import running_provider
from tests.journeys.services import Server, run_servers

SITE_URL = "https://news.example.org"
LEASE_SECONDS = 6


class ChaosSystem(System):
    """The processes of docker-compose.yml, with a second worker for issues and a second clock beside the first."""

    def commands(self) -> dict[str, list[str]]:
        """Each process by name, with its command line."""
        commands = super().commands()
        if not self.is_separate:
            return commands
        issues, beat = commands["issues"], commands["beat"]
        commands["issues"] = ["tests.chaos.faulty" if part == "config" else part for part in issues]
        commands["issues2"] = ["issues2@%h" if part == "issues@%h" else part for part in commands["issues"]]
        commands["beat2"] = [f"{part}2" if part.endswith("beat-schedule") else part for part in beat]
        return commands

    @property
    def senders(self) -> tuple[str, ...]:
        """Every process that sends issues."""
        return ("issues", "issues2") if self.is_separate else ("sosik",)


@dataclass(slots=True)
class Ground:
    """One world of processes and servers; the servers are None on the embedded default."""

    system: ChaosSystem
    receipts: Receipts
    postgres: Server | None
    redis: Server | None
    provider: CountingProvider | None


@contextmanager
def open_ground(folder: Path, world: str) -> Iterator[Ground]:
    """A migrated, empty world, its processes not yet started. Sets up Django in this process on the same database.

    `services`: PostgreSQL, Redis and a process for each part; `provider`: the same, by the API of a provider that knows a call again by
    its key; `embedded`: one process on SQLite.
    """
    receipts = Receipts()
    with ExitStack() as stack:
        postgres = redis = None
        if world != "embedded":
            postgres, redis = stack.enter_context(run_servers(folder))
        stack.callback(receipts.close)
        environment = make_environment(
            os.environ,
            folder=folder,
            site_url=SITE_URL,
            smtp_port=receipts.port,
            database_url=postgres.url if postgres else "",
            redis_url=redis.url if redis else "",
        )
        provider = None
        if world == "provider":
            provider = stack.enter_context(running_provider(provider=CountingProvider(receipts)))
            environment |= {
                "EMAIL_URL": "provider:resend",
                "ANYMAIL_RESEND_API_KEY": "key",
                "ANYMAIL_RESEND_API_URL": f"{provider.url}/resend/",
            }
        environment |= {"LEASE_SECONDS": str(LEASE_SECONDS), "PYTHONPATH": str(Path.cwd()), "LOG_LEVEL": "INFO"}
        os.environ.update(environment)
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        system = ChaosSystem(environment, find_free_port())
        stack.callback(system.stop)
        yield Ground(system, receipts, postgres, redis, provider)


def make_readers(count: int) -> list[str]:
    """So many confirmed readers of the list `demo`, in an empty database; gives their addresses."""
    from newsletter.demo.sample import add_readers
    from subscribers.addresses import fingerprint
    from subscribers.models import MailingList, Subscriber

    mailing_list = MailingList.objects.create(
        slug="demo", name="아침 소식", from_name="아침 소식", from_email="news@news.example.org", language="ko"
    )
    addresses = [f"reader{number}@example.net" for number in range(count)]
    for start in range(0, count, 10_000):
        some = addresses[start : start + 10_000]
        add_readers(mailing_list, [Subscriber(email=a, fingerprint=fingerprint(a)) for a in some], source="chaos")
    return addresses
