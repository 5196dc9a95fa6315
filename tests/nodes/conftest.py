"""The pack without a host: for the parts of `nodes` that need none."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "pack_for_test"


@pytest.fixture(scope="session")
def part_of_pack():
    """Imports a module of the pack by its dotted name; the pack is loaded as the host loads it."""
    spec = importlib.util.spec_from_file_location(
        NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    yield lambda name: importlib.import_module(f"{NAME}.{name}")
    for key in [key for key in sys.modules if key == NAME or key.startswith(f"{NAME}.")]:
        del sys.modules[key]
