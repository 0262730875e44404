"""docker-compose.yml and Dockerfile without an engine: all that can be proved of them on a machine that has none.

That their command lines run Sosik is proved by the journeys, which start the very same ones as plain processes.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pytest_django.live_server_helper import LiveServer

from config.celery import app
from newsletter.demo.system import System

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ONE_SHOT = {"migrate"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def check(*command: str) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- as the compose specification and the Dockerfile linter see them --------------------------------------------------


def test_the_compose_file_follows_the_compose_specification() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_dockerfile_is_clean() -> None:
    assert check("hadolint", "Dockerfile") == ""


# --- the services and what ties them together -------------------------------------------------------------------------


def test_every_part_of_sosik_has_its_service() -> None:
    assert set(SERVICES) == {"web", "worker", "worker-issues", "beat", "migrate", "postgres", "redis"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_what_exists_and_can_become_so(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        one_shot = how["condition"] == "service_completed_successfully"
        assert one_shot is (other in ONE_SHOT)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_lasting_service_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", sorted(set(OURS) - ONE_SHOT))
def test_nothing_of_ours_starts_before_the_database_is_up_to_date(name: str) -> None:
    assert set(OURS[name]["depends_on"]) == {"migrate", "postgres", "redis"}


def test_what_must_outlive_a_container_lies_on_a_named_volume() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"]) == {"postgres", "redis"}


def test_the_web_server_is_published_on_this_machine_only_unless_told_otherwise() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["${WEB_HOST:-127.0.0.1}:${WEB_PORT:-8000}:8000"]


# --- the command lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_a_command_names_a_program_that_the_image_has(name: str) -> None:
    program = OURS[name]["command"][0]
    assert (BIN / program).exists()
    if program == "python":
        assert (ROOT / OURS[name]["command"][1]).exists()


def test_every_queue_is_taken_by_one_kind_of_worker() -> None:
    taken = [
        queue
        for service in OURS.values()
        if "worker" in service["command"]
        for queue in option(service["command"], "-Q").split(",")
    ]
    assert sorted(taken) == sorted(queue.name for queue in app.conf.task_queues)


def test_confirmations_and_issues_never_share_a_worker() -> None:
    for service in OURS.values():
        if "worker" in service["command"]:
            assert not {"default", "issues"} <= set(option(service["command"], "-Q").split(","))


def test_a_worker_is_asked_for_by_the_name_it_bears() -> None:
    for name in ("worker", "worker-issues"):
        node = option(OURS[name]["command"], "-n").removesuffix("@%h")
        assert f"-d {node}@$$(hostname)" in OURS[name]["healthcheck"]["test"][1]


def test_there_is_one_clock_and_it_is_asked_whether_it_ticks() -> None:
    (clock,) = (service for service in OURS.values() if "beat" in service["command"])
    assert clock["tmpfs"] == [str(Path(option(clock["command"], "--schedule")).parent)], "the rest is read-only"
    assert "-d celerybeat@$$(hostname)" in clock["healthcheck"]["test"][1]
    assert app.conf.beat_enable_remote_control
    assert app.conf.beat_remote_control_max_tick_age > settings.TICK_SECONDS


def test_the_modules_in_the_commands_are_real() -> None:
    from config import wsgi

    assert wsgi.application
    assert OURS["web"]["command"][1] == "config.wsgi"
    for name in ("worker", "worker-issues", "beat"):
        assert OURS[name]["command"][:3] == ["celery", "-A", "config"]


def test_the_journeys_prove_these_very_command_lines(tmp_path: Path) -> None:
    journey = System({"DATA_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}, web_port=8000)
    proved = {masked(command[2:]) for command in journey.commands().values()}  # without "python -m"

    assert proved == {masked(service["command"]) for name, service in OURS.items() if name not in ONE_SHOT}


def masked(command: list[str]) -> tuple[str, ...]:
    """The command line without what differs between two machines: where to listen and where to write."""
    return tuple(
        "..." if before in {"--bind", "--schedule"} else word
        for before, word in zip(["", *command], command, strict=False)
    )


def test_the_image_starts_the_web_server_by_itself() -> None:
    found = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    assert yaml.safe_load(found[1]) == OURS["web"]["command"]


@pytest.mark.django_db
def test_the_web_servers_healthcheck_passes_on_a_running_site_and_fails_on_none(live_server: LiveServer) -> None:
    how = OURS["web"]["healthcheck"]["test"]
    assert how[:3] == ["CMD", "python", "-c"]

    def healthy(address: str) -> bool:
        code = how[3].replace("http://127.0.0.1:8000", address)
        environment = {"SITE_URL": "http://localhost:8000/"}
        return (
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False).returncode
            == 0
        )

    assert healthy(live_server.url)
    assert not healthy("http://127.0.0.1:1")


@pytest.mark.parametrize("name", ["beat", "redis", "postgres", "worker", "worker-issues"])
def test_a_healthcheck_in_a_shell_is_good_shell(name: str) -> None:
    command = SERVICES[name]["healthcheck"]["test"][1].replace("$$", "$")
    shell = shutil.which("sh")
    assert shell
    assert subprocess.run([shell, "-n", "-c", command], check=False).returncode == 0


# --- settings and secrets ---------------------------------------------------------------------------------------------


def variables() -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))


@pytest.mark.parametrize("name", sorted(variables()))
def test_a_variable_of_the_compose_file_is_documented(name: str) -> None:
    documented = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    documented += re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text())
    assert name in documented


def test_what_has_no_safe_default_must_be_set() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "SITE_URL", "EMAIL_URL", "POSTGRES_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}[^}}]*\}}", text)) == {f"${{{name}:?set it in .env}}"}


def test_no_secret_and_no_data_enters_the_image() -> None:
    left_out = (ROOT / ".dockerignore").read_text().split("\n")
    assert {".env", ".env.*", "var", ".git", ".venv"} <= set(left_out)
    assert not re.search(r"SECRET_KEY|PASSWORD|TOKEN", DOCKERFILE)


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


# --- what the image holds ---------------------------------------------------------------------------------------------


def test_the_image_and_the_makefile_install_by_the_same_uv() -> None:
    pinned = re.search(r"^UV := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pinned
    assert f"ARG UV_VERSION={pinned[1]}\n" in DOCKERFILE


def installed_in_the_image() -> set[str]:
    """The distributions that `uv sync --no-dev` installs, by uv.lock, on any platform."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)
    found: set[tuple[str, str]] = set()  # (name, extra), the extra empty for the package itself
    waiting = [("sosik", "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for package in packages[name]:
            needs = (
                package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
            )
            waiting += [(need["name"], also) for need in needs for also in ["", *need.get("extra", [])]]
    return {name for name, _ in found}


# The pictures of `manage.py preview` are made where it is found; the image has no browser, and the command says so.
FOUND_OR_NOT = {"playwright"}


def imported_modules() -> Iterator[tuple[str, str]]:
    """(top-level module, file) of every import in the code the image runs."""
    for folder in ("config", "newsletter", "subscribers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in names:
                    yield name.partition(".")[0], str(path.relative_to(ROOT))


def test_the_image_installs_whatever_the_code_imports() -> None:
    owners = packages_distributions()
    own = {"config", "newsletter", "subscribers"}
    installed = installed_in_the_image()
    missing = {
        (module, file)
        for module, file in imported_modules()
        if module not in own | FOUND_OR_NOT and module not in sys.stdlib_module_names
        if not {canonicalize_name(name) for name in owners.get(module, [])} & installed
    }
    assert missing == set(), "move these from the dev group to [project.dependencies]"


def test_what_may_be_missing_is_not_imported_before_it_is_needed() -> None:
    users = [ROOT / file for module, file in imported_modules() if module in FOUND_OR_NOT]
    assert users
    for path in users:
        at_once = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert [ast.unparse(node) for node in at_once if any(name in ast.unparse(node) for name in FOUND_OR_NOT)] == []


def test_the_image_installs_what_celery_needs_to_speak_with_redis() -> None:
    """Our code imports it nowhere, so only a worker's start would tell."""
    needs = [Requirement(text) for text in requires("kombu") or []]
    wanted = {
        canonicalize_name(need.name) for need in needs if need.marker and need.marker.evaluate({"extra": "redis"})
    }
    assert {"redis"} <= wanted
    assert wanted - installed_in_the_image() == set(), "write celery[redis] into [project.dependencies]"
