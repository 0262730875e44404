"""What the documents say of the code: names that exist, figures that are those of the settings, words that are all there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(path for folder in ("config", "newsletter", "subscribers") for path in (ROOT / folder).rglob("*.py"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def names_in(path: Path) -> frozenset[str]:
    """Every function, class and method of a module."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_to_a_file_leads_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_function_named_with_its_file_is_there(document: Path) -> None:
    for file, name in re.findall(r"`([\w/]+\.py): (\w+)`", document.read_text(encoding="utf-8")):
        assert name in names_in(ROOT / file), f"{name} is not in {file}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_source_file_in_backticks_is_there(document: Path) -> None:
    files = re.findall(
        r"`((?:newsletter|subscribers|config|docs|tests)/[\w/.-]+)[`:]", document.read_text(encoding="utf-8")
    )
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_is_in_the_makefile(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    shown = re.findall(r"`make ([a-z]+)", text)
    shown += [
        name
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for name in re.findall(r"^make ([a-z]+)", block, re.M)
    ]
    assert [name for name in shown if name not in targets] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_of_manage_py_is_there(document: Path) -> None:
    known = {path.stem for path in ROOT.glob("*/management/commands/*.py")} | {
        "migrate",
        "check",
        "dumpdata",
        "loaddata",
        "help",
    }
    shown = re.findall(r"manage\.py ([a-z]+)", document.read_text(encoding="utf-8"))
    assert [name for name in shown if name not in known] == []


def test_the_readme_names_the_two_commands_first() -> None:
    first = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert first
    assert re.findall(r"^make (\w+)", first[1], re.MULTILINE) == ["run", "test"]


def test_every_setting_is_in_the_operations_manual_and_in_the_example() -> None:
    settings = (ROOT / "config" / "settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings)) | {"INBOX_SMTP_PORT", "WEB_HOST", "WEB_PORT"}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert {name for name in names if f"`{name}`" not in OPERATIONS} == set()
    assert {name for name in names if not re.search(rf"^{name}=", example, re.MULTILINE)} == set()


def test_the_figures_in_the_operations_manual_are_those_of_the_settings() -> None:
    settings = (ROOT / "config" / "settings.py").read_text(encoding="utf-8")
    figures = re.findall(r'env\.number\(\s*"([A-Z_]+)", default=(\d+), low=(\d+), high=(\d+)', settings)
    assert len(figures) >= 8
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, default, low, high in figures:
        row = next(line for line in OPERATIONS.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {default} |" in row, f"the default of {name}"
        assert f"{low} to {high}" in row, f"the bounds of {name}"
        assert f"\n{name}={default}\n" in example


def test_every_log_event_is_in_the_operations_manual() -> None:
    call = re.compile(r'\b(?:log|logger)\.(?:debug|info|warning|error|exception)\(\s*"([a-z]+\.[a-z_%]+)')
    events = {event.replace("%s", "<state>") for path in SOURCES for event in call.findall(path.read_text())}
    assert len(events) > 10
    documented = set(re.findall(r"^\| `([a-z]+\.[a-z_<>]+)` \|", OPERATIONS, re.MULTILINE))
    assert documented == events


WORDS = """
subscriber, mailing list, subscription, double opt-in, consent, segment, tag, preheader, issue, audience, candidate, batch,
delivery, submitted, delivered, opened, hard bounce, soft bounce, complaint, rejected, suppression, merge field,
list-unsubscribe, engagement event, reputation event, machine open, provider, uncertain, balance sheet
"""


@pytest.mark.parametrize("word", [word.strip() for word in WORDS.split(",")])
def test_the_glossary_defines_every_word_of_the_conventions(word: str) -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    defined = {
        term.strip() for row in re.findall(r"^\| \*\*(.+?)\*\* \|", glossary, re.MULTILINE) for term in row.split(",")
    }
    assert word in defined


def test_every_decision_has_its_five_parts_and_is_listed() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    records = sorted(ROOT.glob("docs/adr/0*.md"))
    assert [path.name for path in records] == re.findall(r"\((0\d{3}-[\w-]+\.md)\)", index)
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert "Status: " in text
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Why not the others", "Consequences"]
