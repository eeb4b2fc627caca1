"""Deploying. The contract's assertions explain themselves as a test's do."""

import pytest

pytest.register_assert_rewrite("tests.deploy.contract")
