# Everything needs nothing but make, git and Python 3.11 to 3.13 with venv: each target sets up what it needs.

UV_VERSION := 0.13.8
#: Which Python to use; the first one that fits if empty.
PYTHON ?=
#: How many tests run at once.
JOBS ?= 2
#: How often each side of the longest measurement runs.
ROUNDS ?= 3

CERTIFICATES := /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# The machine's own certificates, where it has any: a company's network may need them.
export UV_SYSTEM_CERTS ?= $(if $(wildcard $(CERTIFICATES)),true,false)
# What an activated environment or an Airflow of the caller's own would change about ours.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
unexport $(filter AIRFLOW% MLFLOW%,$(.VARIABLES))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo up test integration faults check docs bench clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.synced ## install everything into .venv, without root

demo: setup ## run the main job in a real Airflow and MLflow, print what came out, and stop them again
	@.venv/bin/python -m demo.run

up: setup ## start PostgreSQL, MLflow and Airflow, print URLs and login, stay until Ctrl-C
	@.venv/bin/python -m demo.up

test: setup ## run the tests (JOBS=2 at once), and a tenth of the faults on SQLite
	AIRFLOW_MLOPS_FAULT_SHARE=0.1 .venv/bin/python -m pytest -m "not integration" -n $(JOBS) --dist loadfile

integration: setup .venv/.spark ## run the tests against real servers, and a tenth of the faults
	AIRFLOW_MLOPS_FAULT_SHARE=0.1 .venv/bin/python -m pytest -m "integration or faults" --durations=15

faults: setup ## kill, lose replies, race and go away, at full count
	AIRFLOW_MLOPS_FAULT_SHARE=1 .venv/bin/python -m pytest -m faults

check: setup ## check format, style, types and the lock file
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	build/uv/bin/uv lock --check

docs: setup ## run the examples in README and docs
	.venv/bin/python -m pytest --doctest-glob="*.md" --ignore=docs/examples README.md docs

bench: setup ## measure all there is to measure, in hours; the peers are installed for it (ROUNDS=3)
	.venv/bin/python bench/imports.py
	.venv/bin/python bench/fits.py
	.venv/bin/python bench/snapshots.py --rounds $(ROUNDS)
	.venv/bin/python bench/validation.py --rounds $(ROUNDS)
	.venv/bin/python bench/detection.py
	.venv/bin/python bench/rollout.py
	.venv/bin/python bench/drift.py --rounds $(ROUNDS)
	.venv/bin/python bench/serving.py --rounds $(ROUNDS)
	.venv/bin/python bench/scoring.py --rounds $(ROUNDS)
	.venv/bin/python bench/backfill.py --rounds $(ROUNDS)

clean: ## remove everything that make made
	rm -rf build dist .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.synced: pyproject.toml uv.lock build/uv/bin/uv
	build/uv/bin/uv sync --frozen --all-extras --no-extra spark --python build/uv/bin/python
	@touch $@

# Spark is 400 MB that neither the demo nor `make test` needs; it wants a Java of its own.
.venv/.spark: .venv/.synced
	build/uv/bin/uv sync --frozen --all-extras --python build/uv/bin/python
	@touch $@

build/uv/bin/uv: Makefile
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
		then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
		echo "No Python 3.11, 3.12 or 3.13 with venv was found among: $(or $(PYTHON),python3.13 python3.12 python3.11 python3)." >&2; \
		echo "Install one (on Debian and Ubuntu: apt install python3 python3-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Using $$($$found --version), $$(command -v $$found)"; \
	rm -rf build/uv && $$found -m venv build/uv && build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
