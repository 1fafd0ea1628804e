from __future__ import annotations

import pytest

from engine.errors import UsageError
from engine.policy import NEVER, RetryPolicy


def test_by_default_no_error_is_transient():
    assert RetryPolicy().transient == ()
    assert NEVER.max_attempts == 1


@pytest.mark.parametrize(
    "arguments",
    [{"max_attempts": 0}, {"base_seconds": -1}, {"max_wait_seconds": -0.1}, {"max_seconds": -5}],
)
def test_what_cannot_be_right_is_refused(arguments):
    with pytest.raises(UsageError):
        RetryPolicy(transient=(OSError,), **arguments)


@pytest.mark.parametrize("transient", [OSError, [OSError], (OSError, "ValueError"), (5,)])
def test_transient_is_a_tuple_of_error_types(transient):
    with pytest.raises(UsageError, match="transient"):
        RetryPolicy(transient=transient)
