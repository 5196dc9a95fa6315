"""One real ComfyUI for all host tests, and one page of its frontend to convert workflows.

`tools/test_host.py` sets it up; then `pytest tests/host` runs in the project's environment or the host's.
"""

from __future__ import annotations

import copy
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The folder itself, too: tests share modules that lie in it.
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).parent)]

import host_browser  # noqa: E402
import host_session  # noqa: E402
import test_host  # noqa: E402

# Under the load of a busy machine a start takes ten times as long as on a free one.
START_SECONDS = 900.0


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).is_relative_to(ROOT / "tests" / "host"):
            item.add_marker(pytest.mark.host)


@pytest.fixture(scope="session")
def random_model():
    """A checkpoint of random weights, as small as the architecture allows."""

    def save(folder: Path) -> None:
        sys.path.insert(0, str(ROOT))
        from pantheon_core.diffusion import ModelConfig, build_tiny, save_model

        for variant in ("single", "dual"):
            config = ModelConfig(
                name=f"random {variant}", variant=variant, frames=4, height=64, keep_scaffold=1.0
            )
            model = build_tiny(config, unet_channels=(32, 32), vae_channels=(32, 32, 32, 32), token_dim=32)
            save_model(model, folder / f"random_{variant}.safetensors")

    return save


@pytest.fixture(scope="session")
def host(tmp_path_factory, random_model):
    """The running host; its log is shown when a test fails."""
    if not test_host.STAMP.is_file():
        pytest.fail("the test host is not set up; run tools/test_host.py")
    # Playwright lives in the host's environment; the project's own packages keep their precedence.
    sys.path.append(str(test_host.site_packages(test_host.host_python())))
    session = host_session.HostSession(tmp_path_factory.mktemp("comfyui"))
    random_model(session.base / "models" / "pantheon360")
    shutil.copytree(
        Path(__file__).parent / "geometry_nodes", session.base / "custom_nodes" / "geometry_nodes"
    )
    session.start("--preview-method", "auto", timeout=START_SECONDS)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def frontend(host):
    """The frontend in Chromium, on the classic canvas."""
    with host_browser.open_frontend(host) as page:
        yield page


@pytest.fixture(scope="session")
def converted(frontend):
    """The example workflows as prompts, converted by the frontend itself."""
    return host_browser.to_prompts(frontend, host_browser.read_workflows())


@pytest.fixture
def small(converted):
    """The example workflows as prompts, small: 64x128, 4 frames, 2 steps, random weights."""
    prompts = copy.deepcopy(converted)
    for prompt in prompts.values():
        for node in prompt.values():
            change = {
                "LoadPanorama": {"height": 128},
                "PantheonSyntheticPanoramas": {"height": 128},
                "RenderERPScaffold": {"height": 64},
                "TrajectoryFromKeyframes": {"frames": 4},
                "PantheonModelLoader": {"checkpoint": "random_single.safetensors"},
                "PantheonSampler": {"steps": 2},
                "PantheonLongVideo": {"steps": 1, "height": 64, "window": 3, "overlap": 1},
            }.get(node["class_type"], {})
            assert set(change) <= set(node["inputs"])
            node["inputs"] |= change
    return prompts


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    session = item.funcargs.get("host") if hasattr(item, "funcargs") else None
    if report.when == "call" and report.failed and session is not None:
        report.sections.append(("end of the host's log", session.log_text()[-3000:]))
    return report
