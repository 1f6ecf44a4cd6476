# Everything a newcomer needs: `make demo` and `make test` set up whatever is missing and finish.
# Needs Python 3.11+ and git. Everything is installed into .venv, pinned and with hashes.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PYTEST_ARGS ?= -n 2 --dist loadscope

.PHONY: help setup setup-dev demo demo-claude test chaos cheats check fix bench clean

help:
	@echo "make demo    the main job on this machine: a mail goes in, a pull request and a report mail come out"
	@echo "make demo-claude  the same from a letter in plain words, planned and built by Claude (or, without a key, a double of its API)"
	@echo "make test    all tests"
	@echo "make chaos   kill every step of the line, and Postgres under 5,000 mails; about an hour"
	@echo "make cheats  every known cheat on real packages with a planted bug; needs an index of packages, half an hour"
	@echo "make check   format, lint, types"
	@echo "make fix     repair what ruff can repair"
	@echo "make bench   measure, as ratios against a baseline"

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found. Fix: install one, or call make PYTHON=/path/to/python3" >&2; exit 1; }
	@command -v git >/dev/null || { echo "error: git not found. Fix: install git" >&2; exit 1; }
	@echo "making a virtual environment in .venv (once)"
	@$(PYTHON) -m venv .venv || { echo "error: $(PYTHON) cannot make a virtual environment. Fix: on Debian and Ubuntu, apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }

.venv/.local: .venv/pyvenv.cfg requirements/local.txt pyproject.toml
	@echo "installing what the demo needs (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/local.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.local requirements/dev.txt
	@echo "installing what the tests need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.agent: .venv/.local requirements/agent.txt
	@echo "installing Claude Code (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/agent.txt
	@touch $@

# The environment in which target repositories are judged; made once, used by every run.
.venv/.target: .venv/.local requirements/verify.txt requirements/security.txt
	@echo "preparing the environment that judges (once)"
	@$(BIN)/python -m action.verify.prepare
	@touch $@

setup: .venv/.local .venv/.target
setup-dev: .venv/.dev .venv/.target

demo: setup
	@$(BIN)/aicd demo

demo-claude: setup .venv/.agent
	@$(BIN)/aicd demo --agent claude

test: setup-dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

chaos: setup-dev
	@AICD_CHAOS=1 $(BIN)/python -m pytest tests/crash --timeout 7200

cheats: setup-dev
	@$(BIN)/python -m tests.acceptance.cheats_on_packages

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev
	@$(BIN)/python -m bench

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
