"""The live previews' JavaScript: what needs no browser, run by node where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "web").glob("live-*/*.mjs"))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_pictures_and_captions():
    found = subprocess.run(
        ["node", "--test", ROOT / "tests" / "web" / "live.test.mjs"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-4000:]


def test_modules_import_only_what_lies_beside_them():
    """An address outside would not load offline; an entry that names a missing folder shows no preview."""
    entry = (ROOT / "web" / "pantheon360.js").read_text(encoding="utf-8")
    (named,) = re.findall(r'"\./(live-\d+/\w+\.mjs)"', entry)
    assert (ROOT / "web" / named).is_file()
    for path in MODULES:
        for module in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', path.read_text(encoding="utf-8")):
            assert module.startswith(("./", "../viewer-1/")), f"{path.name}: {module}"
            assert (path.parent / module).is_file(), f"{path.name}: {module}"


def test_every_word_exists_and_lies_ready_for_translators():
    source = (MODULES[0].parent / "strings.mjs").read_text(encoding="utf-8")
    english = dict(re.findall(r'^  (\w+): "(.*)",$', source, re.MULTILINE))
    listed = json.loads((ROOT / "locales" / "en" / "main.json").read_text(encoding="utf-8"))
    assert listed["pantheon360"]["live"] == english
    asked = {
        key for path in MODULES for key in re.findall(r'\btext\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert asked == set(english)
