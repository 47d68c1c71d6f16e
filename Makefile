# Laurel's commands. `make help` lists them. Needs Python 3.11, git and make; everything else is installed into .venv.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo demo-reset test test-quick lint format bench lock messages clean

RUN := .venv/bin/python
ARGS ?=

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# A stamp per requirements file: when nothing changed, every command starts at once.
.venv/.runtime: requirements.txt .ci/install
	@.ci/install requirements.txt .venv/.runtime
.venv/.dev: requirements.txt requirements-dev.txt .ci/install
	@.ci/install requirements-dev.txt .venv/.dev .venv/.runtime

demo: .venv/.runtime  ## everything on this machine: web, worker, beat, sweep and the provider's sandbox
	@exec $(RUN) -m incentives.operations.demo $(ARGS)

demo-reset: .venv/.runtime  ## as demo, after throwing the demo's data away
	@exec $(RUN) -m incentives.operations.demo --reset $(ARGS)

test: .venv/.dev  ## all tests on SQLite, then on PostgreSQL + Redis, with a real browser (ARGS="tests/crm -k foo")
	@exec $(RUN) -m tests.support.run $(ARGS)

test-quick: .venv/.dev  ## the tests on SQLite alone, without the browser
	@exec $(RUN) -m tests.support.run --quick $(ARGS)

lint: .venv/.dev  ## style, missing migrations, Django's checks
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@DEBUG=1 $(RUN) manage.py makemigrations --check --dry-run
	@DEBUG=1 $(RUN) manage.py check

format: .venv/.dev  ## put the code into the house style
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: .venv/.dev  ## measure, and write docs/benchmarks.md (ARGS="intake" for one)
	@exec $(RUN) -m tests.bench $(ARGS)

lock: .venv/.dev  ## write the pinned lower part of requirements.txt and requirements-dev.txt anew
	@$(RUN) .ci/lock.py $(ARGS)

messages: .venv/.dev  ## collect the texts to translate and compile the catalogues (needs GNU gettext; docs/translations.md)
	@DEBUG=1 $(RUN) .ci/messages.py $(ARGS)

clean:  ## remove the virtual environment and what tests left; the demo's data in var/ stays
	@rm -rf .venv staticfiles test-output .pytest_cache .ruff_cache .hypothesis
