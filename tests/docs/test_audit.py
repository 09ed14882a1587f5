"""`make audit` fails on a known fault, and says in one line when it could not look."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

GOOD = {"name": "good", "version": "1.0", "vulns": []}

UNKNOWN = {"name": "own", "skip_reason": "Dependency not found"}

FAULT = {"id": "CVE-2025-0001", "fix_versions": ["1.1", "2.0"], "aliases": [], "description": ""}

BAD = {"name": "bad", "version": "1.0", "vulns": [FAULT, {"id": "X-2", "fix_versions": []}]}


def audit(tmp_path: Path, script: str | None) -> tuple[int, str]:
    """Exit code and words of the audit, with a pip-audit that runs this script."""
    if script is not None:
        (tmp_path / "pip-audit").write_text(f"#!{sys.executable}\n{script}")
        (tmp_path / "pip-audit").chmod(0o755)
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py"],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def reporting(code: int, *packages: dict[str, Any]) -> str:
    """The script of a pip-audit that found this."""
    text = json.dumps({"dependencies": packages, "fixes": []})
    return f"import sys\nprint({text!r})\nprint('some words', file=sys.stderr)\nsys.exit({code})"


def test_a_known_fault_fails_and_is_named(tmp_path: Path) -> None:
    code, said = audit(tmp_path, reporting(1, GOOD, BAD, UNKNOWN))
    assert code == 1
    assert said.splitlines() == [
        "audit: bad 1.0: CVE-2025-0001, mended in 1.1, 2.0",
        "audit: bad 1.0: X-2, mended in no version yet",
    ]


def test_no_fault_is_one_line_that_counts_what_was_looked_up(tmp_path: Path) -> None:
    code, said = audit(tmp_path, reporting(0, GOOD, UNKNOWN, GOOD))
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("audit: no known fault in 2 of 3 packages")


@pytest.mark.parametrize(
    "script",
    [
        None,
        "import sys; sys.exit('ConnectionError: no route to host')",
        "print('{}')",
        "print('[]')",
        "pass",
        reporting(0, UNKNOWN, UNKNOWN),
    ],
    ids=["missing", "no network", "empty", "odd", "silent", "nothing known"],
)
def test_where_nothing_can_be_looked_up_one_line_says_so(
    tmp_path: Path, script: str | None
) -> None:
    code, said = audit(tmp_path, script)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("skipped: ")


def test_ci_audits() -> None:
    assert "make audit" in (ROOT / ".ci" / "run").read_text()
    assert "python .ci/audit.py" in (ROOT / "Makefile").read_text()
