"""The contract's assertions tell what they compared, as those of test modules do."""

import pytest

pytest.register_assert_rewrite("fakes.contract")
