"""The viewer's JavaScript: its geometry, run by node where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "web").glob("viewer-*/*.mjs"))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_geometry_of_the_viewer():
    found = subprocess.run(
        ["node", "--test", ROOT / "tests" / "web" / "view.test.mjs"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-4000:]


def test_the_host_loads_one_small_script():
    scripts = [path.name for path in (ROOT / "web").rglob("*.js")]
    assert scripts == ["pantheon360.js"]
    assert (ROOT / "web" / "pantheon360.js").stat().st_size < 20_000


def test_modules_import_only_what_lies_beside_them():
    """An address outside would not load offline; an entry that names a missing folder shows no viewer."""
    entry = (ROOT / "web" / "pantheon360.js").read_text(encoding="utf-8")
    (named,) = re.findall(r'"\./(viewer-\d+/\w+\.mjs)"', entry)
    assert (ROOT / "web" / named).is_file()
    assert MODULES
    for path in MODULES:
        for module in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', path.read_text(encoding="utf-8")):
            assert module.startswith("./"), f"{path.name}: {module}"
            assert (path.parent / module).is_file(), f"{path.name}: {module}"


def test_every_word_exists_and_lies_ready_for_translators():
    """Keys that are put together from a name are named here."""
    source = (MODULES[0].parent / "strings.mjs").read_text(encoding="utf-8")
    english = dict(re.findall(r'^  (\w+): "(.*)",$', source, re.MULTILINE))
    listed = json.loads((ROOT / "locales" / "en" / "main.json").read_text(encoding="utf-8"))
    assert listed["pantheon360"]["viewer"] == english
    asked = {
        key for path in MODULES for key in re.findall(r'\btext\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    composed = {
        "rectilinear",
        "planet",
        "flat",
        "gone",
        "failed",
        "unplayable",
        "play",
        "pause",
        "enter",
        "leave",
    }
    for name in ("front", "right", "back", "left", "up", "down"):
        composed |= {name, f"{name}Short"}
    assert asked | composed <= set(english)
