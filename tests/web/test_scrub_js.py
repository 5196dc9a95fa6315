"""The scrub's JavaScript: its sums, run by node where there is one, held to Python's of the same paths."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pantheon_core.trajectory import path_from_json, retime

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "web").glob("scrub-*/*.mjs"))
TIMES = ROOT / "tests" / "fixtures" / "scrub_times.json"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_time_line_requests_and_player():
    script = ROOT / "tests" / "web" / "timeline.test.mjs"
    found = subprocess.run(["node", "--test", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-4000:]


def test_the_times_that_javascript_is_held_to_are_python_s():
    """The fixture's frames are where `retime` puts the keyframes."""
    for case in json.loads(TIMES.read_text(encoding="utf-8")):
        path, run = path_from_json(json.dumps(case["path"])), case["run"]
        if run:
            path = retime(path, frames=run.get("frames", path.frames), fps=run.get("fps", path.fps))
        start = path.keyframes[0].time
        at = [(key.time - start) * path.fps for key in path.keyframes]
        assert at == pytest.approx(case["at"], abs=1e-6)
        assert path.frames == case["frames"]


def test_modules_import_only_what_lies_in_the_pack():
    assert MODULES
    for path in MODULES:
        for module in re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', path.read_text(encoding="utf-8")):
            assert module.startswith(("./", "../viewer-1/")), f"{path.name}: {module}"
            assert (path.parent / module).is_file(), f"{path.name}: {module}"


def test_every_word_exists_and_none_is_left_over():
    source = (MODULES[0].parent / "strings.mjs").read_text(encoding="utf-8")
    english = set(re.findall(r'^  (\w+): ".*",$', source, re.MULTILINE))
    whole = "\n".join(path.read_text(encoding="utf-8") for path in MODULES if path.name != "strings.mjs")
    used = {name for said in re.findall(r"\btext\(([^;]*)", whole) for name in re.findall(r'"(\w+)"', said)}
    composed = {"linear", "ease_in", "ease_out", "ease_in_out", "flat", "rectilinear"}
    assert composed <= english
    asked = used & english | composed
    assert asked == english
    for said in re.findall(r'\btext\("(\w+)"', whole):
        assert said in english
