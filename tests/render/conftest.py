"""The analytic room next to the tests, importable under every import mode."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def room() -> ModuleType:
    name = "_pantheon_test_analytic_room"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("analytic.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(params=["torch", "warp"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "warp":
        pytest.importorskip("warp")
    return request.param
