# genomesieve: `make demo` runs the main job on the embedded data, `make test` runs every test.
PYTHON ?= python3
CORES ?= 2
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMP := $(VENV)/.installed
# Scripts are called as `python`: the one of the environment comes first.
export PATH := $(BIN):$(PATH)

.PHONY: help setup bedtools browser demo report docs test test-slurm test-faults fuzz forgetting audit lint benchmark clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  CORES=n  how many cores make demo and make test may use (default 2)"

setup: bedtools $(STAMP) ## Make the environment (.venv) with pinned requirements

$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "error: Python 3.11 or 3.12 is needed; found `$(PYTHON) --version 2>&1`." \
		"Call make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

bedtools:
	@command -v bedtools > /dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			echo "installing bedtools"; \
			apt-get update -qq && apt-get install -y -qq bedtools > /dev/null; \
		else \
			echo "error: bedtools is missing. Install it, for example with" \
			"'sudo apt-get install bedtools' or 'conda install -c bioconda bedtools'"; exit 1; \
		fi; }

browser: ## Install Chromium, in which pages are tested (300 MB; needs root, Debian)
	@command -v chromium > /dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			echo "installing chromium"; \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null; \
		else \
			echo "error: Chromium is missing, without which tests of pages are skipped." \
			"Install it, for example with 'sudo apt-get install chromium'"; exit 1; \
		fi; }

demo: setup ## Learn splice sites of Arabidopsis, screen two relatives, write the report
	@snakemake --cores $(CORES)
	@if [ ! -f results/report.zip ] || [ results/splice/report.html -nt results/report.zip ]; then \
		snakemake --report results/report.zip; fi
	@python scripts/summarise_run.py --results results/splice --config config/config.yaml

report: setup ## Write results/report.zip from a finished run of the demo
	@snakemake --report results/report.zip

docs: setup ## Build the documentation into site/ (open site/index.html)
	@python docs/configuration_keys.py
	@NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict

lint: setup ## Check style of code and workflow
	@ruff check scripts tests benchmarks docs
	@ruff format --check --quiet scripts tests benchmarks docs
	@snakefmt --check Snakefile workflow
	@snakemake --lint

test: lint ## Run every linter and every test
	@OMP_NUM_THREADS=1 python -m pytest tests --ignore tests/slurm --ignore tests/faults \
		--numprocesses $(CORES) --dist loadfile
	@$(MAKE) --no-print-directory test-slurm

# Where the SLURM plugin is installed and no controller runs, every call of Snakemake waits ten
# seconds. So it has an environment of its own, and its tests come last.
CLUSTER := .venv-slurm
$(CLUSTER)/.installed: requirements.txt tests/slurm/requirements.txt
	$(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/slurm/requirements.txt
	@touch $@

test-slurm: setup ## Run the workflow through a SLURM cluster on this machine (needs root, Debian)
	@python=python; \
	if tests/slurm/slurm_up.sh --check > /dev/null && $(MAKE) -s $(CLUSTER)/.installed; then \
		python=$(CLUSTER)/bin/python; \
	fi; \
	$$python -m pytest tests/slurm -rs

test-faults: setup ## Kill, fill and damage runs of the workflow on purpose (ten minutes)
	@python -m pytest tests/faults -rs

fuzz: setup ## Feed every parser 111,000 damaged inputs (five minutes of one core)
	@python tests/fuzz/run.py --output tests/fuzz/recorded.json --page docs/fuzzing.md

forgetting: setup ## Measure what stages keep and lose, all methods, three seeds (hours; needs data/)
	@python benchmarks/forgetting.py --full viruses start_codons splice splice_reversed
	@python benchmarks/tables.py docs/stages.md

AUDITOR := .venv-audit
$(AUDITOR)/.installed:
	$(PYTHON) -m venv $(AUDITOR)
	$(AUDITOR)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

audit: setup $(AUDITOR)/.installed ## Look for known vulnerabilities in all that is installed (asks PyPI)
	@$(AUDITOR)/bin/pip-audit --strict --progress-spinner off --path $(VENV)/lib/python3.*/site-packages

PEERS := .venv-benchmarks
$(PEERS)/.installed: requirements.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r benchmarks/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation selene-sdk==0.6.0
	@touch $@

benchmark: bedtools $(PEERS)/.installed ## Measure side by side with peers (an hour on an idle machine)
	@$(PEERS)/bin/python benchmarks/run_all.py

clean: ## Remove results, logs and fetched data (not the environment)
	rm -rf results resources logs benchmark_logs
