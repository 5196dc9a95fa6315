"""Imports go strictly down the layers, and importing the core loads nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "pantheon_core"
LAYERS = (
    {"errors", "check", "assets", "files", "warp_runtime"},
    {"geometry"},
    {"trajectory", "cache", "render", "panorama", "video", "metrics", "synthetic"},
    {"recon", "diffusion"},
    {"training", "apps"},
    {"cli"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
WITHIN_A_LAYER = {("check", "errors"), ("assets", "errors"), ("warp_runtime", "errors"), ("render", "cache")}
"""Who may import a neighbour: (importer, imported)."""


def _imports(path: Path) -> set[str]:
    """The core's sub-packages that a file of the core imports."""
    package = ["pantheon_core", *path.relative_to(CORE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*target, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "pantheon_core" and len(name) > 1}
    return found


def _core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", _core_files(), ids=lambda p: str(p.relative_to(CORE)))
def test_imports_go_down(path: Path) -> None:
    own = path.relative_to(CORE).parts[0].removesuffix(".py")
    if own in {"__init__", "__main__"}:
        return
    assert own in RANK, f"{own} has no layer: add it to LAYERS"
    upward = {
        name
        for name in _imports(path) & RANK.keys()
        if name != own and RANK[name] >= RANK[own] and (own, name) not in WITHIN_A_LAYER
    }
    assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}, which is not below {own}"


@pytest.mark.parametrize("path", _core_files(), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_knows_neither_host_nor_nodes(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
            assert node.level or (node.module or "").split(".")[0] != "pantheon_core", (
                f"{path.relative_to(ROOT)}: import the core relatively, its package name changes in the host"
            )
    assert not names & {"comfy", "comfy_api", "comfy_extras", "folder_paths", "nodes", "server"}


def _modules_after(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_the_core_is_light() -> None:
    loaded = _modules_after("import pantheon_core, pantheon_core.errors, pantheon_core.check")
    assert not loaded & {"torch", "numpy", "diffusers", "transformers", "warp", "av", "PIL", "kornia"}


@pytest.mark.parametrize(
    "name",
    ["geometry", "trajectory", "cache", "render", "panorama", "video", "metrics", "synthetic", "recon"],
)
def test_the_lower_layers_load_no_backend(name: str) -> None:
    loaded = _modules_after(f"import pantheon_core.{name}")
    assert not loaded & {"diffusers", "transformers", "warp", "av", "kornia", "OpenEXR", "numba"}
