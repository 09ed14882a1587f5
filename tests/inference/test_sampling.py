"""Filters: properties over FILTERS, and exact values of each on four tokens."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import UsageError
from charrnn.inference import sampling
from charrnn.inference.sampling import FILTERS, PARAMETERS, Context, Filter, Logits
from charrnn.inference.sampling.base import keep_where

P = [0.5, 0.25, 0.15, 0.1]
"""Four tokens, most likely first."""

RULED_OUT = -math.inf


def logits(*rows: list[float]) -> Logits:
    """Logits whose softmax is the rows."""
    return np.log(np.array(rows, np.float64)).astype(np.float32)


def context(
    *history: list[int], chance: float = 0.0, rows: tuple[int, ...] | None = None
) -> Context:
    """The context of as many rows as there are histories."""
    known = history or ([],)
    width = max(1, *map(len, known))
    padded = [[-1] * (width - len(ids)) + ids for ids in known]
    return Context(
        np.array(padded, np.int64),
        np.full((len(known), 2), chance),
        rows or tuple(range(len(known))),
    )


def only(name: str, **values: float) -> Filter:
    """The one filter that these values ask for."""
    made = sampling.filters(values)
    assert len(made) == 1, name
    return made[0]


def kept(
    name: str, chance: float = 0.0, p: list[float] | None = None, **values: float
) -> list[int]:
    """The tokens of P that a filter keeps."""
    left = only(name, **values)(logits(p or P), context([], chance=chance))
    return np.flatnonzero(np.isfinite(left[0])).tolist()


STRONG: dict[str, dict[str, float]] = {
    "penalties": {"repetition_penalty": 1.5, "presence_penalty": 0.5, "frequency_penalty": 0.2},
    "dry": {"dry_multiplier": 2.0},
    "top_n_sigma": {"top_n_sigma": 0.5},
    "top_k": {"top_k": 2},
    "typical_p": {"typical_p": 0.4},
    "top_p": {"top_p": 0.6},
    "min_p": {"min_p": 0.4},
    "xtc": {"xtc_probability": 1.0, "xtc_threshold": 0.1},
    "temperature": {"temperature": 0.3, "dynatemp_range": 0.2},
    "mirostat": {"mirostat": 2, "mirostat_tau": 1.0},
}
"""For each filter, values with which it changes the logits."""

REORDER = {"penalties", "dry"}
"""The filters whose purpose is to change the order of tokens."""

ROWS = st.lists(
    st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5), min_size=1, max_size=4
)


def test_every_filter_has_strong_values_here() -> None:
    assert set(STRONG) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_neutral_values_leave_the_filter_out(name: str) -> None:
    parameters = FILTERS[name].parameters
    assert sampling.filters({key: each.default for key, each in parameters.items()}) == []


@pytest.mark.parametrize("name", FILTERS)
def test_strong_values_change_the_logits(name: str) -> None:
    before = logits(P, P)
    history = context([0, 1, 0, 1, 0], [2, 3, 2, 3, 2])
    assert not np.array_equal(only(name, **STRONG[name])(before, history), before)


@pytest.mark.parametrize("name", FILTERS)
@given(rows=ROWS, chance=st.floats(0, 0.999))
@settings(max_examples=60, deadline=None)
def test_some_token_survives_and_survivors_keep_their_order(
    name: str, rows: list[list[float]], chance: float
) -> None:
    before = np.array(rows, np.float32)
    history = context(*([1, 2, 3, 1, 2] for _ in rows), chance=chance)
    after = only(name, **STRONG[name])(before.copy(), history)
    assert after.shape == before.shape
    assert not np.isnan(after).any()
    assert np.isfinite(after).any(axis=1).all()
    if name not in REORDER:
        for was, now in zip(before, after, strict=True):
            alive = np.isfinite(now)
            by_rank = now[alive][np.argsort(was[alive], kind="stable")]
            assert (np.diff(by_rank) >= 0).all()


@pytest.mark.parametrize("name", FILTERS)
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_a_batch_is_filtered_like_its_rows(name: str, rows: list[list[float]]) -> None:
    before = np.array(rows, np.float32)
    histories = [[i % 5, 1, 2, i % 3, 1] for i in range(len(rows))]
    together = only(name, **STRONG[name])(before.copy(), context(*histories))
    for i, history in enumerate(histories):
        alone = only(name, **STRONG[name])(before[i : i + 1].copy(), context(history, rows=(i,)))
        assert np.array_equal(alone[0], together[i])


@pytest.mark.parametrize("name", FILTERS)
def test_filters_do_not_change_their_arguments(name: str) -> None:
    before = logits(P)
    copy = before.copy()
    only(name, **STRONG[name])(before, context([0, 1, 0, 1, 0]))
    assert np.array_equal(before, copy)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    "row", [[0.0] * 5, [RULED_OUT, RULED_OUT, 1.0, RULED_OUT, RULED_OUT], [3e38, -3e38, 0, 1, 2]]
)
def test_extreme_logits_give_no_nan_and_some_token(name: str, row: list[float]) -> None:
    after = only(name, **STRONG[name])(np.array([row], np.float32), context([1, 2, 1, 2, 1]))
    assert not np.isnan(after).any()
    assert np.isfinite(after).any()


def test_temperature_divides() -> None:
    after = only("temperature", temperature=0.5)(logits(P), context())
    assert after[0] == pytest.approx(2 * (np.log(P) - np.log(0.5)), rel=1e-6)


def test_temperature_zero_is_argmax_and_takes_the_lowest_id_of_equals() -> None:
    after = only("temperature", temperature=0.0)(logits([0.2, 0.4, 0.4]), context())
    assert after.tolist() == [[RULED_OUT, 0.0, RULED_OUT]]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_at_both_bounds_what_was_ruled_out_stays_so_and_some_token_is_left(
    name: str, chance: float
) -> None:
    """As in the logits of a model whose text never held some of its ids."""
    row = np.array([[0.5, RULED_OUT, 1.0, RULED_OUT, 0.2]], np.float32)
    of = next(each for each, spec in FILTERS.items() if name in spec.parameters)
    for value in (PARAMETERS[name].low, PARAMETERS[name].high):
        for each in sampling.filters(STRONG[of] | {name: value}):
            after = each(row.copy(), context([1, 2, 1, 2, 1], chance=chance))
            assert np.isfinite(after[:, [0, 2, 4]]).any()
            assert not np.isfinite(after[:, [1, 3]]).any()


@pytest.mark.parametrize("value", [1e-320, 5e-324, 1e308, 1e-40])
def test_no_temperature_gives_nan(value: float) -> None:
    after = only("temperature", temperature=value)(logits(P), context())
    assert not np.isnan(after).any()
    assert sampling.draw(after, np.array([0.0])).tolist() == [0]


def test_dynamic_temperature_is_low_when_certain_and_high_when_not() -> None:
    filter_ = only("temperature", temperature=1.0, dynatemp_range=0.5)
    flat = filter_(logits([0.25] * 4), context())
    assert flat[0] == pytest.approx([0.0] * 4)
    certain = logits([0.9997, 0.0001, 0.0001, 0.0001])
    gap = np.diff(filter_(certain, context())[0, :2]) / np.diff(certain[0, :2])
    assert 1.9 < float(gap[0]) <= 2.0  # divided by nearly 1 - 0.5


def test_dynamic_temperature_exact() -> None:
    p = np.array([0.5, 0.5, 0.0, 0.0])
    with np.errstate(divide="ignore"):
        before = np.log(p).astype(np.float32)[None]
    # Two equal tokens left: their entropy is the largest possible for two.
    after = only("temperature", temperature=1.0, dynatemp_range=0.5)(before, context())
    assert after[0].tolist() == [0.0, 0.0, RULED_OUT, RULED_OUT]


@pytest.mark.parametrize(("count", "left"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3])])
def test_top_k(count: int, left: list[int]) -> None:
    assert kept("top_k", top_k=count) == left


def test_top_k_prefers_the_lower_id_among_equals() -> None:
    assert kept("top_k", p=[0.1, 0.3, 0.3, 0.3], top_k=2) == [1, 2]


@pytest.mark.parametrize(
    ("p", "left"),
    [(0.0, [0]), (0.49, [0]), (0.51, [0, 1]), (0.76, [0, 1, 2]), (0.91, [0, 1, 2, 3])],
)
def test_top_p(p: float, left: list[int]) -> None:
    assert kept("top_p", top_p=p) == left


@pytest.mark.parametrize(
    ("p", "left"), [(1.0, [0]), (0.49, [0, 1]), (0.29, [0, 1, 2]), (0.1, [0, 1, 2, 3])]
)
def test_min_p(p: float, left: list[int]) -> None:
    assert kept("min_p", min_p=p) == left


def test_typical_p_takes_the_nearest_to_the_entropy_first() -> None:
    # Entropy of P is 1.208 nats; surprises are 0.693, 1.386, 1.897, 2.303.
    assert kept("typical_p", typical_p=0.2) == [1]
    assert kept("typical_p", typical_p=0.3) == [0, 1]
    assert kept("typical_p", typical_p=0.8) == [0, 1, 2]


def test_typical_p_does_not_restore_tokens_that_were_ruled_out() -> None:
    before = logits(P)
    before[0, 1] = RULED_OUT
    after = only("typical_p", typical_p=0.99)(before, context())
    assert not np.isfinite(after[0, 1])


def test_top_n_sigma_ignores_tokens_that_were_ruled_out() -> None:
    before = np.array([[4.0, 3.0, 1.0, 0.0]], np.float32)  # sigma = 1.5811
    assert np.isfinite(only("s", top_n_sigma=1)(before, context()))[0].tolist() == [
        True, True, False, False,
    ]  # fmt: skip
    assert np.isfinite(only("s", top_n_sigma=2)(before, context()))[0].tolist() == [
        True, True, True, False,
    ]  # fmt: skip
    before[0, 3] = RULED_OUT  # sigma of 4, 3, 1 is 1.2472
    assert np.isfinite(only("s", top_n_sigma=2)(before, context()))[0, 2] == (4 - 2 * 1.2472 <= 1)


def test_top_n_sigma_zero_keeps_the_most_likely_token() -> None:
    assert kept("top_n_sigma", top_n_sigma=0) == [0]


def test_xtc_keeps_the_least_likely_of_the_top_choices() -> None:
    assert kept("xtc", chance=0.4, xtc_probability=0.5, xtc_threshold=0.14) == [2, 3]
    assert kept("xtc", chance=0.6, xtc_probability=0.5, xtc_threshold=0.14) == [0, 1, 2, 3]
    assert kept("xtc", chance=0.0, xtc_probability=0.5, xtc_threshold=0.4) == [0, 1, 2, 3]


def test_repetition_penalty_divides_positive_logits_and_multiplies_others() -> None:
    before = np.array([[2.0, -2.0, 1.0, -1.0]], np.float32)
    after = only("penalties", repetition_penalty=2.0)(before, context([0, 1]))
    assert after.tolist() == [[1.0, -4.0, 1.0, -1.0]]


def test_presence_is_subtracted_once_and_frequency_per_occurrence() -> None:
    before = np.zeros((1, 4), np.float32)
    seen = context([0, 0, 0, 1])
    assert only("p", presence_penalty=0.5)(before, seen).tolist() == [[-0.5, -0.5, 0, 0]]
    assert only("p", frequency_penalty=0.5)(before, seen).tolist() == [[-1.5, -0.5, 0, 0]]


@pytest.mark.parametrize(
    ("last_n", "penalized"), [(0, []), (1, [3]), (2, [2, 3]), (-1, [1, 2, 3]), (99, [1, 2, 3])]
)
def test_penalties_look_back_as_far_as_penalty_last_n(last_n: int, penalized: list[int]) -> None:
    filter_ = only("penalties", presence_penalty=1.0, penalty_last_n=last_n)
    after = filter_(np.zeros((1, 4), np.float32), context([1, 2, 3]))
    assert np.flatnonzero(after[0]).tolist() == penalized


def test_the_padding_before_the_beginning_is_not_penalized() -> None:
    after = only("p", presence_penalty=1.0)(np.zeros((2, 4), np.float32), context([], [3]))
    assert after.tolist() == [[0, 0, 0, 0], [0, 0, 0, -1]]


def test_a_model_of_characters_has_defaults_in_its_own_units() -> None:
    """As measured by benchmarks/sampler_defaults.py: DRY misspelled words, mirostat did nothing."""
    values = {"dry_multiplier": 1.0, "mirostat": 2}

    def defaults(characters: bool) -> tuple[float, float]:
        found = sampling.resolve(values, characters=characters)
        return found["dry"]["dry_allowed_length"], found["mirostat"]["mirostat_tau"]

    assert defaults(characters=True) == (12, 1.0)
    assert defaults(characters=False) == (2, 5.0)


def test_dry_penalizes_tokens_that_would_extend_a_repeat() -> None:
    # 0 1 2 3 0 1 2: a 3 would make the last three tokens repeat, a repeat of length 3.
    filter_ = only("dry", dry_multiplier=1.0, dry_base=2.0, dry_allowed_length=2)
    after = filter_(np.zeros((1, 4), np.float32), context([0, 1, 2, 3, 0, 1, 2]))
    assert after.tolist() == [[0, 0, 0, -2.0]]


def test_dry_allows_short_repeats_and_stops_at_breakers() -> None:
    history = np.array([[0, 1, 2, 3, 0, 1, 2]])
    before = np.zeros((1, 4), np.float32)
    long = only("dry", dry_multiplier=1.0, dry_allowed_length=4)
    assert not long(before, Context(history)).any()
    short = only("dry", dry_multiplier=1.0, dry_base=2.0)
    # The breaker cuts the repeat 0 1 2 down to 1 2.
    cut = short(before, Context(history, breakers=frozenset({0})))
    assert cut.tolist() == [[0, 0, 0, -1.0]]
    assert not short(before, Context(history, breakers=frozenset({2}))).any()


def test_dry_looks_back_as_far_as_dry_penalty_last_n() -> None:
    before = np.zeros((1, 4), np.float32)
    near = only("dry", dry_multiplier=1.0, dry_penalty_last_n=5)
    assert not near(before, context([0, 1, 2, 3, 0, 1, 2])).any()
    assert not only("dry", dry_multiplier=1.0, dry_penalty_last_n=0)(before, context([0, 0])).any()


def test_dry_does_not_overflow_on_long_repeats() -> None:
    after = only("dry", dry_multiplier=1.0, dry_base=10.0)(
        np.zeros((1, 4), np.float32), context([0] * 250)
    )
    assert np.isfinite(after).all()
    assert after[0, 0] < -1e29


def test_mirostat_starts_with_a_bound_of_twice_its_target() -> None:
    # Surprises of P are 1, 2, 2.74 and 3.32 bits.
    assert kept("mirostat", mirostat=2, mirostat_tau=1.4) == [0, 1, 2]
    assert kept("mirostat", mirostat=2, mirostat_tau=0.1) == [0]


def test_mirostat_moves_its_bound_by_the_surprise_of_the_drawn_token() -> None:
    filter_ = only("mirostat", mirostat=2, mirostat_tau=1.4, mirostat_eta=1.0)
    filter_(logits(P), context([]))
    # Token 2 was drawn out of [0.5, 0.25, 0.15] / 0.9, 2.585 bits: the bound falls to 1.615.
    left = filter_(logits(P), context([2]))
    assert np.isfinite(left[0]).tolist() == [True, False, False, False]


def test_exclude_never_rules_out_all_tokens() -> None:
    before = logits(P)
    assert sampling.exclude([0, 3])(before, context())[0, [0, 3]].tolist() == [RULED_OUT, RULED_OUT]
    assert sampling.exclude([])(before, context()) is before
    assert sampling.exclude([0, 1, 2, 3])(before, context()) is before


def test_bias_adds_but_never_rules_out_all_tokens() -> None:
    before = np.zeros((1, 3), np.float32)
    assert sampling.bias({0: 2.0, 1: RULED_OUT}, 3)(before, context()).tolist() == [
        [2.0, RULED_OUT, 0.0]
    ]
    assert sampling.bias(dict.fromkeys(range(3), RULED_OUT), 3)(before, context()) is before


def test_keep_where_keeps_the_most_likely_if_none_is_selected() -> None:
    left = keep_where(np.zeros((1, 4), bool), logits(P))
    assert np.isfinite(left[0]).tolist() == [True, False, False, False]


def test_filters_are_applied_in_the_order_given() -> None:
    # min_p after a low temperature leaves one token, before it two.
    values = {"temperature": 0.2, "min_p": 0.4}
    for order, left in ((("min_p", "temperature"), 2), (("temperature", "min_p"), 1)):
        after = sampling.chain(sampling.filters(values, order))(logits(P), context())
        assert int(np.isfinite(after).sum()) == left
    assert sampling.filters(values, ("top_k",)) == []


def test_an_unknown_filter_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no sampler 'topk'; choose from penalties, dry"):
        sampling.filters({}, ("topk",))


def test_parameters_have_consistent_bounds_and_help() -> None:
    for name, parameter in PARAMETERS.items():
        assert parameter.low <= parameter.default <= parameter.high, name
        assert parameter.help.endswith("."), name


@given(uniform=st.floats(0, 1, exclude_max=True))
@settings(max_examples=100, deadline=None)
def test_draw_inverts_the_cumulative_distribution(uniform: float) -> None:
    expected = int(np.searchsorted(np.cumsum([0.5, 0.25, 0.125, 0.125]), uniform, side="right"))
    drawn = sampling.draw(logits([0.5, 0.25, 0.125, 0.125]), np.array([uniform]))
    edge = min(abs(uniform - c) for c in (0.5, 0.75, 0.875))
    assert drawn.tolist() == [expected] or edge < 1e-6


def test_draw_never_takes_tokens_that_are_ruled_out() -> None:
    before = np.array([[RULED_OUT, 0.0, RULED_OUT, 0.0, RULED_OUT]], np.float32)
    for uniform in np.linspace(0, 1 - 2**-53, 50):
        assert sampling.draw(before, np.array([uniform]))[0] in (1, 3)


def test_draw_matches_the_probabilities() -> None:
    generator = np.random.default_rng(0)
    drawn = sampling.draw(np.repeat(logits(P), 20_000, axis=0), generator.random(20_000))
    frequencies = np.bincount(drawn, minlength=4) / 20_000
    assert frequencies == pytest.approx(P, abs=0.015)


@given(row=st.lists(st.floats(-80, 80, width=32), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one(row: list[float]) -> None:
    p: Any = sampling.probabilities(np.array([row], np.float32))
    assert p.sum() == pytest.approx(1.0)
    assert (p >= 0).all()


def test_a_number_of_tokens_is_a_whole_one() -> None:
    sampling.check_parameter("top_k", 3.0)
    with pytest.raises(UsageError, match="give a whole number"):
        sampling.check_parameter("top_k", 0.5)
    sampling.check_parameter("top_p", 0.5)
