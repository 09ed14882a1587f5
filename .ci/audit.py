"""Ask pip-audit for known faults of what is installed: `make audit`.

Exit code 1 with a line for each fault found. Where pip-audit is missing or no index answers, the
one line begins with "skipped:" and the exit code is 0, so that work without a network goes on.
"""

import json
import subprocess
import sys
from typing import Any

SECONDS = 120
"""After which an index is taken not to answer."""

COMMAND = ("pip-audit", "--format", "json", "--progress-spinner", "off", "--skip-editable")


def main() -> int:
    """Print what was found and answer with the exit code."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except FileNotFoundError:
        return _skipped("pip-audit is not installed")
    except subprocess.TimeoutExpired:
        return _skipped(f"no answer from the index within {SECONDS} s")
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines() or ["nothing"]
        return _skipped(f"the index cannot be asked ({said[-1]})")
    return _judged(found)


def _judged(found: list[dict[str, Any]]) -> int:
    """A line for each fault, or one that says how many packages are known to have none."""
    known = [package for package in found if "vulns" in package]
    faults = [(package, fault) for package in known for fault in package["vulns"]]
    for package, fault in faults:
        mended = ", ".join(fault.get("fix_versions", ())) or "no version yet"
        print(f"audit: {package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    if faults:
        return 1
    if not known:
        return _skipped(f"the index knows none of the {len(found)} installed packages")
    print(
        f"audit: no known fault in {len(known)} of {len(found)} packages; the rest is not indexed"
    )
    return 0


def _skipped(why: str) -> int:
    print(f"skipped: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
