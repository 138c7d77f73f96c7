import pytest

pytest.register_assert_rewrite("clary.testing")
