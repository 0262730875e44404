# Everything a newcomer needs. `make help` prints this page.
PYTHON ?= python3
UV := 0.13.9
PORT ?=
POSTS ?= examples/posts
SUBSCRIBERS ?= 200
JSON ?=
KILLS ?= 0
SEED ?= 1
BENCH ?=
CHAOS ?=

MANAGE := .venv/bin/python manage.py
READY := .venv/.ready
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy
export PIP_ROOT_USER_ACTION := ignore
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Another port is written into .env: `manage.py issue`, `invite` and `doctor` must know it too.
remember = sed '/^$(1)=/d' .env > .env.new && echo '$(1)=$(2)' >> .env.new && chmod 600 .env.new && mv .env.new .env

.DEFAULT_GOAL := help
.PHONY: help setup run test testall lint format messages demo chaos bench clean

help: ## Print this page
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  make run PORT=8001                 another web port (INBOX_SMTP_PORT=8026 for the inbox's)"
	@echo "  make chaos CHAOS='--world=services --readers=100000 --faults=50 --seeds=5 --only=killed_workers'"
	@echo "  make demo POSTS=dir SUBSCRIBERS=200 [JSON=file] [KILLS=n] [SEED=n]"

setup: $(READY) ## Install everything into .venv (nothing outside this folder)

run: $(READY) .env ## Start Sosik here: web, worker, clock and an inbox, with sample data
	@$(if $(PORT),$(call remember,SITE_URL,http://127.0.0.1:$(PORT)))
	@$(if $(INBOX_SMTP_PORT),$(call remember,INBOX_SMTP_PORT,$(INBOX_SMTP_PORT)))
	@exec $(MANAGE) run

test: $(READY) ## Run the tests, all but those that take minutes
	@.venv/bin/python -m pytest -n 4 --dist loadgroup -m "not exhaustive" $(ARGS)

testall: $(READY) ## Run all tests: cases by the thousand and the browser's, too
	@.venv/bin/python -m pytest -n 4 --dist loadgroup $(ARGS)

lint: $(READY) ## Check style, types, imports and migrations
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@SOSIK_ENV_FILE= DEBUG=1 $(MANAGE) makemigrations --check --dry-run

format: $(READY) ## Put the code into its form
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

messages: $(READY) ## Collect new texts for translation (needs gettext)
	@SOSIK_ENV_FILE= DEBUG=1 $(MANAGE) makemessages -l ko --no-obsolete --add-location file --ignore=.venv --ignore=var --ignore=tests --ignore=bench
	@SOSIK_ENV_FILE= DEBUG=1 $(MANAGE) compilemessages -l ko --ignore=.venv

demo: $(READY) ## Send a folder of posts to simulated readers and check every account
	@SOSIK_ENV_FILE= DEBUG=1 $(MANAGE) demo "$(POSTS)" --subscribers $(SUBSCRIBERS) --kills $(KILLS) --seed $(SEED) $(if $(JSON),--json "$(JSON)")

chaos: $(READY) ## Kill, freeze and cut off everything while issues go out; count at the receiving end
	@.venv/bin/python -m tests.chaos $(CHAOS)

bench: $(READY) ## Measure rendering and sending
	@SOSIK_ENV_FILE= DEBUG=1 .venv/bin/python -m bench $(BENCH)

clean: ## Remove what setup, run and tests made; your data in var/ and your .env stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): uv.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and Sosik needs Python 3.11 or newer. Name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module. Install it first (Debian, Ubuntu: apt-get install python3-venv), then try again." >&2; exit 1; }
	@.venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Making .venv"; $(PYTHON) -m venv --clear .venv; }
	@.venv/bin/uv --version 2>/dev/null | grep -qF "uv $(UV)" || { echo "Installing uv $(UV)"; .venv/bin/python -m pip install --quiet uv==$(UV); }
	@echo "Installing what uv.lock lists"
	@.venv/bin/uv sync --frozen --quiet $$(test -w "$$HOME" || echo --no-cache)
	@touch $(READY)

.env:
	@$(PYTHON) -c 'import secrets, sys; key = secrets.token_urlsafe; sys.stdout.write("# Written by the first `make run`. All settings: .env.example\nSECRET_KEY=" + key(48) + "\nFINGERPRINT_KEY=" + key(48) + "\nSITE_URL=http://127.0.0.1:8000\nEMAIL_URL=inbox:\n")' > .env.new
	@chmod 600 .env.new && mv .env.new .env
