from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoint.parts.manifest import Manifest, StepTiming

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip

timings = st.builds(
    StepTiming,
    st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple),
    st.floats(0, 1e6),
    st.none() | st.integers(0, 2**40),
    st.none() | st.integers(0, 2**40),
)

manifests = st.builds(
    Manifest,
    batch_id=st.integers(0, 2**40),
    start_row=st.integers(0, 2**62),
    end_row=st.integers(-1, 2**62),
    rows_out=st.integers(0, 2**40),
    run_id=st.integers(1, 2**40),
    epoch=st.integers(0, 2**40),
    attempt_id=st.text("0123456789abcdef", min_size=16, max_size=16),
    attempts=st.integers(1, 100),
    fetch_seconds=st.floats(0, 1e6),
    write_seconds=st.floats(0, 1e6),
    timings=st.lists(timings, max_size=3).map(tuple),
    cursor=st.none() | st.dictionaries(st.text(), json_values, max_size=3),
    states=st.none() | st.dictionaries(st.text(min_size=1), json_values, min_size=1, max_size=3),
    bytes_written=st.integers(0, 2**40),
    checksum=st.text("0123456789abcdef", min_size=8, max_size=8),
)


@given(manifests)
def test_a_manifest_comes_back_from_json_as_it_was(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(manifests)
def test_its_json_can_be_stored_whatever_the_texts(manifest):
    assert Manifest.from_json(manifest.to_json().encode("utf-8").decode("utf-8")) == manifest


@pytest.mark.parametrize("cursor", [{"at": object()}, {"at": math.nan}, {"at": math.inf}, {"at": {1, 2}}])
def test_a_cursor_that_is_no_json_is_refused(cursor):
    with pytest.raises((TypeError, ValueError)):
        Manifest(0, 0, 9, 10, 1, 0, "ab", cursor=cursor).to_json()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"batch_id": 1}', '{"timings": [{}]}', '{"timings": [], "x": 1}']
)
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        Manifest.from_json(text)


def test_rows_in_counts_source_rows_with_both_ends():
    assert Manifest(0, 10, 19, 3, 1, 0, "ab").rows_in == 10
    assert Manifest(0, 10, 9, 0, 1, 0, "ab").rows_in == 0
