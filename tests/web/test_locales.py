"""The words of the page's modules are listed for translators, all of them and no others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"viewer": "viewer-1", "scrub": "scrub-1", "editor": "editor-1", "live": "live-1"}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("part", PARTS)
def test_words_are_listed(part):
    module = (ROOT / "web" / PARTS[part] / "strings.mjs").as_uri()
    code = f"import {{ ENGLISH }} from '{module}'; console.log(JSON.stringify(ENGLISH));"
    command = ["node", "--input-type=module", "-e", code]
    words = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    listed = json.loads((ROOT / "locales" / "en" / "main.json").read_text(encoding="utf-8"))["pantheon360"]
    assert listed[part] == words
    assert set(listed) == set(PARTS)
