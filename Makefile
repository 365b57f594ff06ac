# Everything that one does with this project; `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup test test-core test-qgis test-qgis-lts lint typecheck format lock translations package check-package install demo screenshots bench-train bench-detect bench-vectorise bench-plugin clean

# The system's Python, which QGIS runs in; a version manager's would not see PyQGIS.
PYTHON := $(or $(wildcard /usr/bin/python3),python3)
QGIS_PROFILE ?= $(HOME)/.local/share/QGIS/QGIS3/profiles/default
WORKER := build/worker/bin
SHIPPED := core training qgis_sslkd

# Waiting threads of PyTorch sleep: tests share the processor with whatever else runs.
export OMP_WAIT_POLICY := PASSIVE

# What QGIS must know to run the plugin from this checkout and leave the user's profile alone.
QGIS_ENVIRONMENT = env PATH="$(dir $(PYTHON)):$(PATH)" QT_QPA_PLATFORM=offscreen \
	QGIS_PLUGINPATH="$(CURDIR)/build/plugins" \
	QGIS_CUSTOM_CONFIG_PATH="$(CURDIR)/build/qgis-config" \
	SSLKD_PYTHON="$(CURDIR)/$(WORKER)/python"

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s%s\n", $$1, $$2}' Makefile

setup: ## Make the environments under build/; install QGIS with apt where it is missing
	@$(PYTHON) -Es tools/setup.py

test: test-core test-qgis ## Run every test

# Two processes with a thread of PyTorch each: its threads seldom fill two cores, and two processes' get in each other's way.
test-core: setup ## Run the tests of the method and the worker
	OMP_NUM_THREADS=1 $(WORKER)/pytest --numprocesses 2 --dist worksteal $(ARGS)

# pytest-qgis keeps QGIS's settings in .qgis-settings; no run may start from what another left there.
test-qgis: setup package ## Run the tests of the plugin, in a QGIS without a window
	rm -rf .qgis-settings
	$(QGIS_ENVIRONMENT) build/qgis-test/bin/pytest -o addopts= -o pythonpath=build/plugins \
		--confcutdir=tests/qgis --numprocesses 2 --dist worksteal tests/qgis $(ARGS)

# As root, with debootstrap: for each a Debian 13, some 3 GB and the worker's environment; they are kept for the next time.
test-qgis-lts: setup ## Run the tests of the plugin in QGIS 3.40 and 3.44, each in a Debian 13 under build
	@$(PYTHON) -Es tools/qgis_lts.py $(ARGS)

lint: setup typecheck ## Check style, format, types and security
	$(WORKER)/ruff check .
	$(WORKER)/ruff format --check .
	$(WORKER)/bandit --quiet --recursive $(SHIPPED)

# mypy does not follow an editable install that maps folders, so it reads the package from links.
typecheck: setup
	@mkdir -p build/typecheck/qgis_sslkd
	@ln -sfn -t build/typecheck/qgis_sslkd ../../../core ../../../training ../../../qgis_sslkd/worker
	cd build/typecheck && ../../$(WORKER)/mypy --config-file ../../pyproject.toml

format: setup ## Format the code and mend what ruff can mend
	$(WORKER)/ruff check --fix --exit-zero --quiet .
	$(WORKER)/ruff format .
	$(WORKER)/ruff check .

LOCK = build/tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header $(ARGS)

lock: setup ## Write requirements/*.txt anew; with ARGS=--upgrade, from the newest releases
	$(LOCK) requirements/tools.in --output-file requirements/tools.txt
	$(LOCK) requirements/dev.in --output-file requirements/dev.txt
	$(LOCK) requirements/worker.in --output-file requirements/worker.txt --constraints requirements/dev.txt
	$(LOCK) requirements/qgis-test.in --output-file requirements/qgis-test.txt

translations: ## Bring the translations up to date with the texts, and compile them (needs lrelease)
	@$(PYTHON) -Es tools/translations.py

package: ## Assemble the plugin under build/plugins, and its zip file
	@$(PYTHON) -Es tools/package.py

check-package: setup package ## Check the plugin's zip file as plugins.qgis.org does
	@$(WORKER)/python tools/check_package.py

install: ## Install the plugin and its worker into the QGIS profile QGIS_PROFILE
	@$(PYTHON) -Es tools/install.py "$(QGIS_PROFILE)"

demo: setup package ## Train and detect with the real QGIS on a real or made-up scene
	$(PYTHON) demo/run.py

screenshots: setup package ## Take the pictures of README and the help in a QGIS desktop on a virtual screen (needs xvfb)
	$(WORKER)/python -m demo.screenshots $(ARGS)

bench-train: setup ## Measure what training steps cost beyond their passes; ARGS="--preset quick" for small networks
	$(WORKER)/python benchmarks/train.py $(ARGS)

bench-detect: setup ## Measure detection beside bare forward passes, MONAI and a copy by GDAL; ARGS=--help for its sizes
	$(WORKER)/python benchmarks/detect.py $(ARGS)

bench-vectorise: setup ## Measure outlines of a large raster beside GDAL's polygonizer; ARGS=--centre-lines for centre lines
	$(WORKER)/python benchmarks/vectorise.py $(ARGS)

bench-plugin: setup package ## Measure what the plugin costs QGIS to start, and how long its window waits
	$(QGIS_ENVIRONMENT) $(PYTHON) benchmarks/plugin.py $(ARGS)

clean: ## Remove everything that was made, the environments included
	rm -rf build demo/out .qgis-settings ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
