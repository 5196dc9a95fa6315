"""Views out of a panorama: how exact at the seam and the poles, how free of aliasing, and how fast.

The panorama holds its own viewing directions as colours: every true value is known. A view's error is the
length between the vector found and the true direction, in pixels of the panorama:

- middle: median over a view that touches neither seam nor pole.
- seam, pole: largest within 1.5 pixels of the seam (looking back) and of a pole (looking up).
- antialias_db: a fine pattern seen eight times smaller, PSNR against the exact mean of every pixel.
- ms: processor time of a 512x512 view from 512x1024 in float32, one thread, all in turn; `ratio` is to
  cv2.remap with its maps at hand, in pairs. Rows without a further word look in a new direction every time.
  "the same view again": ours keeps the last views' geometry by itself. "maps made anew": cv2 with maps by our
  formulas. 16 frames: that many different pictures, the same view, all results held; per frame. In plain
  torch: a process of its own without Warp, with its own cv2. Ours begins so, and loads its kernel when a
  process has looked up much; so everything is warmed up first.

A library's signs of yaw and pitch are taken as those that fit best: no convention counts as an error. What is
not installed is left out; docs/benchmarks.md says how to install the libraries beside the project.

    python benchmarks/resample.py --json benchmarks/results/resample.json
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import itertools
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pantheon_core.geometry import (
    erp_rays,
    erp_to_perspective,
    perspective_rays,
    rays_to_erp_pixels,
    rotate_vectors,
    rotation_from_yaw_pitch_roll,
)

FOV = math.pi / 2
FRAMES = 16
ANEW = "cv2.remap, maps made anew"
AT_HAND = "cv2.remap, maps at hand"
KERNEL_AFTER = 2**28
"""Values looked up, after which ours has loaded its kernel."""
PACKAGES = (
    "torch",
    "warp-lang",
    "py360convert",
    "pytorch360convert",
    "pyequilib",
    "opencv-python-headless",
    "kornia",
)
View: TypeAlias = Callable[[Tensor, float, float, int], Tensor]
"""((3, H, 2 H) panorama, yaw, pitch in radians, size) -> (3, size, size)."""


def ours(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
    """This project."""
    return seen_from(erp, rotation_from_yaw_pitch_roll(torch.tensor(yaw), pitch), size)


def seen_from(erp: Tensor, rotation: Tensor, size: int) -> Tensor:
    """A view of this project whose rotation is at hand."""
    return erp_to_perspective(erp, rotation, fov_x=FOV, height=size, width=size)


def true_rays(yaw: float, pitch: float, size: int) -> Tensor:
    """(size, size, 3) float64 directions of a view's pixels."""
    rotation = rotation_from_yaw_pitch_roll(torch.tensor(yaw, dtype=torch.float64), pitch)
    return rotate_vectors(rotation[None, None], perspective_rays(size, size, FOV, dtype=torch.float64))


def maps(yaw: float, pitch: float, size: int, height: int) -> Tensor:
    """(size, size, 2) float32 pixels of a panorama: what remap functions take."""
    return rays_to_erp_pixels(true_rays(yaw, pitch, size).float(), height)


def _cv2() -> View:
    import cv2

    cv2.setNumThreads(1)

    def view(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
        xy = maps(yaw, pitch, size, erp.shape[-2]).numpy()
        image = erp.permute(1, 2, 0).contiguous().numpy()
        wrap = cv2.BORDER_WRAP
        out = cv2.remap(image, xy[..., 0].copy(), xy[..., 1].copy(), cv2.INTER_LINEAR, borderMode=wrap)
        return torch.from_numpy(out).permute(2, 0, 1)

    return view


def _py360convert() -> View:
    import py360convert

    def view(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
        image = erp.permute(1, 2, 0).numpy()
        angles = math.degrees(yaw), math.degrees(pitch)
        out = py360convert.e2p(image, math.degrees(FOV), *angles, (size, size), mode="bilinear")
        return torch.from_numpy(out).permute(2, 0, 1)

    return view


def _pytorch360convert() -> View:
    import pytorch360convert

    def view(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
        angles = math.degrees(yaw), math.degrees(pitch)
        return pytorch360convert.e2p(erp, math.degrees(FOV), *angles, (size, size))

    return view


def _pyequilib() -> View:
    import equilib

    def view(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
        turn = {"roll": 0.0, "pitch": pitch, "yaw": yaw}
        degrees = math.degrees(FOV)
        return equilib.equi2pers(erp, turn, height=size, width=size, fov_x=degrees, clip_output=False)

    return view


def _kornia() -> View:
    from kornia.geometry.transform import remap

    def view(erp: Tensor, yaw: float, pitch: float, size: int) -> Tensor:
        xy = maps(yaw, pitch, size, erp.shape[-2])
        return remap(erp[None], xy[None, ..., 0], xy[None, ..., 1], align_corners=True)[0]

    return view


def views() -> dict[str, View]:
    """Every library that is installed."""
    found: dict[str, View] = {"ours": ours}
    makers = {
        ANEW: _cv2,
        "py360convert": _py360convert,
        "pytorch360convert": _pytorch360convert,
        "pyequilib": _pyequilib,
        "kornia remap": _kornia,
    }
    for name, make in makers.items():
        try:
            found[name] = _with_signs(make())
        except ImportError as error:
            print(f"{name} left out: {error}")
    return found


def _with_signs(view: View) -> View:
    """The view with yaw and pitch signed as fits the convention best."""
    erp = erp_rays(64).permute(2, 0, 1).contiguous()

    def off(signs: tuple[int, int]) -> float:
        return float(
            errors(view(erp, 0.5 * signs[0], 0.3 * signs[1], 32), true_rays(0.5, 0.3, 32), 64).median()
        )

    yaw_sign, pitch_sign = min(itertools.product((1, -1), (1, -1)), key=off)
    return lambda erp, yaw, pitch, size: view(erp, yaw * yaw_sign, pitch * pitch_sign, size)


def errors(found: Tensor, rays: Tensor, height: int) -> Tensor:
    """(h, w) length between what was found and the truth, in pixels of the panorama."""
    return (found.double().permute(1, 2, 0) - rays).norm(dim=-1) * height / math.pi


def exactness(view: View, height: int) -> dict[str, float]:
    """Errors in the middle, at the seam and at a pole."""
    erp, size = erp_rays(height).permute(2, 0, 1).contiguous(), 2 * height  # between the pixels too
    middle = errors(view(erp, 0.5, 0.3, size), true_rays(0.5, 0.3, size), height).median()
    back, up = true_rays(math.pi, 0.0, size), true_rays(0.0, math.pi / 2, size)
    step = 1.5 * math.pi / height
    at_seam = (back[..., 0] / back[..., 2]).abs() < step
    at_pole = back.new_tensor([0, -1, 0]).sub(up).norm(dim=-1) < step
    seam = errors(view(erp, math.pi, 0.0, size), back, height)[at_seam].max()
    pole = errors(view(erp, 0.0, math.pi / 2, size), up, height)[at_pole].max()
    return {"middle": float(middle), "seam": float(seam), "pole": float(pole)}


def pattern(rays: Tensor, frequency: float) -> Tensor:
    """(3, h, w) waves over the sphere."""
    x, y, z = rays.unbind(-1)
    waves = (frequency * x + 3 * y, frequency * 1.3 * z, frequency * (x + y + z) / 1.7)
    return 0.5 + 0.5 * torch.stack([wave.sin() for wave in waves])


def antialias(view: View, height: int) -> float:
    """PSNR of a view eight times as coarse as the panorama."""
    frequency = 100 * height / 512
    erp = pattern(erp_rays(height, dtype=torch.float64), frequency).float()
    size = height // 16
    truth = F.avg_pool2d(pattern(true_rays(0.5, 0.3, size * 16), frequency), 16)
    return float(-10 * (view(erp, 0.5, 0.3, size).double() - truth).square().mean().log10())


def warm_up(size: int) -> None:
    """Look up so much that ours loads its kernel."""
    erp = torch.rand(3, size, 2 * size)
    for _ in range(KERNEL_AFTER // (3 * size * size) + 2):
        ours(erp, 0.5, 0.3, size)


def clock(found: dict[str, View], height: int, repeats: int) -> dict[str, dict[str, float]]:
    """Processor milliseconds of one view, everything in turn."""
    erp, size = torch.rand(3, height, 2 * height), height
    runs: dict[str, Callable[[int], object]] = {
        name: functools.partial(lambda view, k: view(erp, 0.5 + 0.01 * k, 0.3, size), view)
        for name, view in found.items()
    }
    rotation = rotation_from_yaw_pitch_roll(0.5, 0.3)
    runs["ours, the same view again"] = lambda _: seen_from(erp, rotation, size)
    video = torch.rand(FRAMES, 3, height, 2 * height)
    every = f"each of {FRAMES} frames"
    runs[f"ours, {every}"] = lambda _: [seen_from(frame, rotation, size) for frame in video]
    if ANEW in found:
        import cv2

        image = erp.permute(1, 2, 0).contiguous().numpy()
        images = [frame.permute(1, 2, 0).contiguous().numpy() for frame in video]
        x, y = (part.contiguous().numpy() for part in maps(0.5, 0.3, size, height).unbind(-1))
        how = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_WRAP}
        runs[AT_HAND] = lambda _: cv2.remap(image, x, y, **how)
        runs[f"cv2.remap, {every}"] = lambda _: [cv2.remap(one, x, y, **how) for one in images]
    busy: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(repeats + 1):
        for name, run in runs.items():
            run(2 * index)  # so that nobody pays for the caches and the memory that the one before left
            start = time.process_time()
            run(2 * index + 1)
            if index:
                frames = FRAMES if name.endswith(every) else 1
                busy[name].append((time.process_time() - start) * 1e3 / frames)
    out = {}
    for name, ms in busy.items():
        out[name] = {"ms": round(statistics.median(ms), 2), "least": round(min(ms), 2)}
        if AT_HAND in busy:
            pairs = zip(ms, busy[AT_HAND], strict=True)
            out[name]["ratio"] = round(statistics.median(a / b for a, b in pairs), 2)
    return out


def clock_without_warp(height: int, repeats: int) -> dict[str, dict[str, float]]:
    """The same for ours and cv2 in a process that has no Warp."""
    command = [sys.executable, __file__, "--without-warp", f"--height={height}", f"--repeats={repeats}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {f"{name}, in plain torch": row for name, row in found.items() if name.startswith("ours")}


def versions() -> dict[str, str]:
    """Of what is installed of the packages that are measured."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--without-warp", action="store_true", help="only the times of ours in plain torch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.without_warp:
        sys.modules["warp"] = None  # pyright: ignore[reportArgumentType]
        found: dict[str, View] = {"ours": ours}
        with contextlib.suppress(ImportError):
            found[ANEW] = _cv2()
        print(json.dumps(clock(found, args.height, args.repeats)))
        return
    found = views()
    warm_up(args.height)
    rows = {}
    for name, view in found.items():
        rows[name] = {k: round(v, 5) for k, v in exactness(view, args.height).items()}
        rows[name]["antialias_db"] = round(antialias(view, args.height), 2)
        print(name, rows[name], flush=True)
    result = {
        "meta": {"height": args.height, "python": platform.python_version(), "versions": versions()},
        "exactness": rows,
        "cpu_ms_one_thread": clock(found, args.height, args.repeats)
        | clock_without_warp(args.height, args.repeats),
    }
    print(json.dumps(result["cpu_ms_one_thread"], indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
