"""The path editor's JavaScript: its geometry and its edits, run by node where there is one."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
MODULES = sorted((ROOT / "web").glob("editor-*/*.mjs"))


def numbers(value):
    """The fixture's numbers in order, and everything else."""
    text = json.dumps(value)
    found = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)
    return [float(one) for one in found], re.sub(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", "#", text)


def test_the_fixture_is_what_the_core_makes_today():
    spec = importlib.util.spec_from_file_location("make_geometry", FIXTURES / "make_geometry.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = json.loads(json.dumps(module.make()))
    kept = json.loads(module.FILE.read_text(encoding="utf-8"))
    (values, shape), (expected, kept_shape) = numbers(made), numbers(kept)
    assert shape == kept_shape
    assert values == pytest.approx(expected, abs=2e-7)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("name", ["path", "editor"])
def test_geometry_and_edits(name):
    found = subprocess.run(
        ["node", "--test", ROOT / "tests" / "web" / f"{name}.test.mjs"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-4000:]


def test_modules_import_only_what_lies_beside_them():
    """An address outside would not load offline, and a missing one shows no editor."""
    entry = (ROOT / "web" / "pantheon360.js").read_text(encoding="utf-8")
    (named,) = re.findall(r'"\./(editor-\d+/\w+\.mjs)"', entry)
    assert (ROOT / "web" / named).is_file()
    assert MODULES
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 400, path.name
        for module in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', text):
            assert re.match(r"\./|\.\./(viewer|scrub)-\d+/", module), f"{path.name}: {module}"
            assert (path.parent / module).is_file(), f"{path.name}: {module}"


def test_every_word_that_is_asked_for_exists():
    """And every word that exists is asked for; keys put together from a name have their own list."""
    source = (MODULES[0].parent / "strings.mjs").read_text(encoding="utf-8")
    english = set(re.findall(r'^  (\w+):\s+"', source, re.MULTILINE))
    composed = set(re.findall(r'"(\w+)"', re.search(r"COMPOSED = \[(.*?)\]", source, re.DOTALL).group(1)))
    texts = {path.name: path.read_text(encoding="utf-8") for path in MODULES if path.name != "strings.mjs"}
    asked = {key for text in texts.values() for key in re.findall(r'\btext\("(\w+)"', text)}
    asked |= {key for text in texts.values() for key in re.findall(r'PathError\("(\w+)"', text)}
    assert asked | composed == english
