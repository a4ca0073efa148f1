"""The examples that Hypothesis draws, and the ledger's plugin if the package is not installed."""

from __future__ import annotations

import os

# Before torch loads: two threads are many times slower than one on networks of this size.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# The same examples on every machine; `HYPOTHESIS_PROFILE=search pytest` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    from evidence import pytest_plugin

    if not pluginmanager.is_registered(pytest_plugin):
        pluginmanager.register(pytest_plugin, "evidence.pytest_plugin")
