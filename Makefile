# One-liners for development; .ci/run calls the same ones.

.PHONY: test lint format check

test:        ## the test suite
	python -m pytest

lint:        ## style, types and formatting, as CI wants them
	ruff check .
	ruff format --check .
	mypy

format:      ## let the formatter have its way
	ruff format .
	ruff check --fix .

check: lint test
