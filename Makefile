# One-liners for development; .ci/run calls the same ones.

.PHONY: test lint format check audit docs torture

test:        ## the test suite
	python -m pytest

lint:        ## style, types and formatting, as CI wants them
	ruff check .
	ruff format --check .
	mypy

format:      ## let the formatter have its way
	ruff format .
	ruff check --fix .

torture:     ## the faults to survive, in the long form, and the table of what came of it
	python -m tests.torture --long

check: lint test

docs:        ## rewrite the pages that are made from the source
	python -m tests.error_page

audit:       ## known faults of the dependencies, as far as the index can be reached
	python .ci/audit.py
