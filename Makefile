# Commands for development; .ci/run calls the same ones.

.PHONY: test lint format check audit docs site torture package sbom lowest

test:        ## run the test suite
	python -m pytest

lint:        ## check style, formatting and types, as CI does
	ruff check .
	ruff format --check .
	mypy

format:      ## format the code and fix what can be fixed automatically
	ruff format .
	ruff check --fix .

torture:     ## inject faults in the long form, and print the table of results
	python -m tests.torture --long

check: lint test

docs:        ## regenerate what is made from the source: docs/errors.md, completion.json
	python -m tests.support.error_page
	python -m tests.support.completion_table

site:        ## build the documentation site into site/; needs the extra `docs`
	mkdocs build --strict

audit:       ## check the dependencies for known vulnerabilities, where the index can be reached
	python .ci/audit.py

package:     ## build sdist and wheel, install each in a new environment, train and write
	.ci/package

sbom:        ## the same, and list what a plain install consists of in sbom.json (CycloneDX)
	SBOM=$(CURDIR)/sbom.json .ci/package

# Tests that use an interface of each dependency; LOWEST_TESTS= runs all, which takes as long again.
LOWEST_TESTS = tests/cli/test_completion.py tests/cli/test_options.py tests/cli/test_manual.py \
	tests/cli/test_tables.py tests/cli/plotting tests/checkpoints tests/data tests/tokenizers \
	tests/inference tests/serving tests/models tests/training/test_learner.py
# More requirements, where an oldest version cannot be had: make lowest LOWEST=torch==2.13.0
LOWEST =

lowest:      ## run tests with the oldest versions of the dependencies that are allowed
	python -m venv .lowest
	.lowest/bin/pip install -q uv
	.lowest/bin/uv pip install -q --python .lowest/bin/python --resolution lowest-direct '.[plot,pairs,midi,llm,serve]' $(LOWEST)
	.lowest/bin/uv pip install -q --python .lowest/bin/python pytest hypothesis pytest-xdist openai
	.lowest/bin/python -m pytest $(LOWEST_TESTS)
