"""The one place where the host's image layout meets the core's, and the pack's import under any name."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pack():
    """The pack's root package under a name that is not its folder's, as the host loads it."""
    name = "loaded_for_test"
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    for key in [
        key for key in sys.modules if key == name or key.startswith((f"{name}.", "pantheon360_pack"))
    ]:
        del sys.modules[key]


@pytest.fixture(scope="module")
def convert(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.convert")


def test_image_and_core_layouts_are_inverse(convert):
    rgb = torch.rand(3, 3, 4, 8)
    image = convert.to_image(rgb)
    assert image.shape == (3, 4, 8, 3)
    assert image.is_contiguous()
    assert torch.equal(convert.from_image(image), rgb)
    assert torch.equal(convert.to_image(rgb[0]), image[:1])


def test_grey_and_alpha_become_three_channels(convert):
    grey = torch.rand(2, 4, 8, 1)
    assert torch.equal(convert.from_image(grey), grey.movedim(-1, 1).expand(2, 3, 4, 8))
    rgba = torch.rand(1, 4, 8, 4)
    assert torch.equal(convert.from_image(rgba), rgba[..., :3].movedim(-1, 1))


def test_masks_and_depth_keep_their_batch(convert):
    values = torch.rand(5, 4, 8)
    assert torch.equal(convert.grey_to_image(values)[..., 1], values)
    assert convert.to_mask(values > 0.5).dtype == torch.float32


@pytest.mark.parametrize("shape", [(4, 8, 3), (1, 4, 8, 2), (1, 3, 4, 8)])
def test_other_shapes_get_a_sentence(convert, shape):
    with pytest.raises(ValueError, match="expected IMAGE"):
        convert.from_image(torch.zeros(shape))


def test_the_packs_parts_are_imported_under_an_identifier(pack):
    name = pack._importable_package()
    assert name.isidentifier()
    assert pack._importable_package() == name
    assert Path(importlib.import_module(f"{name}.nodes.convert").__file__) == ROOT / "nodes" / "convert.py"


def test_importing_the_pack_loads_nothing_heavy():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('a.b/c', {str(ROOT / '__init__.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[spec.name] = module\n"
        "spec.loader.exec_module(module)\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'transformers', 'warp', 'av', 'kornia', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
