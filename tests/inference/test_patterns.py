"""The length of a regular expression with its repetitions expanded."""

import pytest

from charrnn.inference.patterns import ENDLESS, expanded_length
from tests.support.shell import Shell


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        ("", 0),
        ("abc", 3),
        (r"a\{3}", 4),
        (r"\d{3}", 3),
        ("[a-z]{4}", 4),
        ("[]{9}]{4}", 4),
        ("[^]a]{4}b", 5),
        ("a{3}", 3),
        ("a{3,5}b", 4),
        ("a{3,}b", 4),
        ("a{0,5}b", 2),
        ("a{0}b", 2),
        ("a{,5}b", 6),
        ("(ab){3}", 6),
        ("(a{10}b){3}c", 34),
        ("((a{10}){10}){10}", 1_000),
        ("(a{10}){10}(b{10}){10}", 200),
        ("a{3}{4}", 12),
        ("a{99999999}", 99_999_999),
        ("a{" + "9" * 5_000 + "}", ENDLESS),
        ("{5}", 1),
        ("a)b{3}", 5),
        ("((a", 1),
        ("(?x)a{ 99999999 }", 100_000_000),
        ("(?:a{9}){9}", 99),
        ("(a{9})(?#x){9}", 82),
        ("(?x)(a{9}) {9}", 83),
        ("a" + "{999999999999}" * 400, ENDLESS),
        ("[a{5}", 1),
    ],
)
def test_repetitions_are_expanded(pattern: str, length: int) -> None:
    assert expanded_length(pattern) == length


@pytest.mark.parametrize("pattern", ["a{99999999}", "((a{1000}b){1000}c){1000}", "a{100001}"])
def test_a_pattern_that_would_exhaust_memory_is_refused(pattern: str, trained: Shell) -> None:
    stderr = trained.run("sample", "--regex", pattern).failed(2, "--regex is ", "repeat less")
    assert "100,000" in stderr


def test_an_ordinary_repetition_is_accepted(trained: Shell) -> None:
    done = trained.run("sample", "--regex", "[a-z]{3,5}", "--seed", "1").succeeded()
    assert 3 <= len(done.out.strip()) <= 5
