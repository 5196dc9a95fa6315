"""An animated camera in glTF 2.0, as .gltf (one file of JSON) or .glb.

Camera to world, +x right, +y up, looks along -z, in the world and the camera; metres, seconds, quaternion
x, y, z, w. Here the file's x, y, z become x, -y, -z. Read: one camera, moved by one animation of its node and
the nodes above it, with step, linear or cubic keys. Written: one node, linear keys, one a frame.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, sections 3.5, 3.10, 3.11 and appendix C.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...geometry import quaternion_wxyz_from_rotation, rotation_from_quaternion_wxyz, se3_from, slerp
from .._keyframes import Trajectory
from ._files import numbers
from ._gltf_data import Gltf, glb_bytes, gltf_bytes, objects
from ._samples import Lens, Samples, frame_times, rigid

_FLIP = (1.0, -1.0, -1.0, 1.0)
_REST = {"translation": [0.0, 0.0, 0.0], "rotation": [0.0, 0.0, 0.0, 1.0], "scale": [1.0, 1.0, 1.0]}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Track:
    """Keys of one property of one node: times (K,), values (K, c) or, cubic, (K, 3, c)."""

    times: Tensor
    values: Tensor
    interpolation: str


def read(path: Path) -> Samples:
    """Read the camera of a glTF file; without an animation it stands still for one frame."""
    gltf = Gltf(path)
    chain, animation = _camera(gltf)
    tracks = {} if animation is None else _tracks(gltf, animation, set(chain))
    if not tracks:
        return Samples(T_world_cam=_evaluate(gltf, chain, {}, torch.zeros(1).double()), where=_where)
    times = torch.cat([track.times for track in tracks.values()]).unique()
    straight = all(track.interpolation == "LINEAR" for track in tracks.values())

    def curve(fps: float) -> Tensor:
        at = frame_times(float(times[0]), float(times[-1]), fps)
        return _evaluate(gltf, chain, tracks, at)

    # Between keys of steps or cubics there is more than the keys say, but even keys are still its frames.
    return Samples(
        T_world_cam=_evaluate(gltf, chain, tracks, times),
        where=_where,
        times=times,
        curve=None if straight and len(chain) == 1 else curve,
    )


def _where(i: int) -> str:
    return f"camera key {i}"


def _camera(gltf: Gltf) -> tuple[list[int], dict[str, Any] | None]:
    """The nodes from the root to the camera, and the animation that moves them."""
    nodes = gltf.items("nodes")
    parents = {child: i for i, node in enumerate(nodes) for child in _children(i, node)}
    chains = []
    for i, node in enumerate(nodes):
        if "camera" not in node:
            continue
        chain = [i]
        while chain[0] in parents:
            chain.insert(0, parents[chain[0]])
            if len(chain) > len(nodes):
                raise InputError(f"nodes[{i}]: expected a tree of nodes, got a circle")
        chains.append(chain)
    if not chains:
        raise InputError("expected a node with a camera, got none; export the camera with the scene")
    moves = []
    for chain in chains:
        for animation in gltf.items("animations"):
            if any(_target(channel)[0] in chain for channel in objects("channels", animation, "channels")):
                moves.append((chain, animation))
    if len(moves) > 1 or (not moves and len(chains) > 1):
        names = [
            f"{nodes[chain[-1]].get('name', chain[-1])} ({animation.get('name', 'unnamed')})"
            for chain, animation in moves
        ] or [str(nodes[chain[-1]].get("name", chain[-1])) for chain in chains]
        raise InputError(
            f"expected one camera with one animation, got {', '.join(names)}; export only the one to follow"
        )
    return moves[0] if moves else (chains[0], None)


def _children(index: int, node: dict[str, Any]) -> list[int]:
    children = node.get("children", [])
    if not isinstance(children, list) or not all(isinstance(child, int) for child in children):
        raise InputError(f"nodes[{index}].children: expected a list of node numbers, got {children!r:.60}")
    return children


def _target(channel: dict[str, Any]) -> tuple[Any, Any]:
    """Node and property that a channel moves."""
    target = channel.get("target")
    return (target.get("node"), target.get("path")) if isinstance(target, dict) else (None, None)


def _tracks(gltf: Gltf, animation: dict[str, Any], nodes: set[int]) -> dict[tuple[int, str], _Track]:
    tracks = {}
    samplers = objects("samplers", animation, "samplers")
    for i, channel in enumerate(objects("channels", animation, "channels")):
        (node, name), index = _target(channel), channel.get("sampler")
        if node not in nodes or name not in _REST:
            continue
        place = f"channel {i} ({name})"
        if not isinstance(index, int) or not 0 <= index < len(samplers):
            raise InputError(f"{place}: expected a sampler of the animation, got {index!r}")
        sampler = samplers[index]
        times, values = gltf.accessor(sampler.get("input")), gltf.accessor(sampler.get("output"))
        interpolation = sampler.get("interpolation", "LINEAR")
        size = 3 if interpolation == "CUBICSPLINE" else 1
        if interpolation not in ("STEP", "LINEAR", "CUBICSPLINE") or times.ndim != 1 or len(times) == 0:
            raise InputError(f"{place}: expected STEP, LINEAR or CUBICSPLINE keys, got {interpolation!r}")
        if values.shape != (size * len(times), len(_REST[name])) or bool((times.diff() <= 0).any()):
            raise InputError(f"{place}: expected rising times and {size} value(s) for each of {len(times)}")
        if size == 3:
            values = values.reshape(len(times), 3, -1)
        tracks[node, name] = _Track(times=times, values=values, interpolation=interpolation)
    return tracks


def _evaluate(gltf: Gltf, chain: list[int], tracks: dict[tuple[int, str], _Track], at: Tensor) -> Tensor:
    """This project's poses (m, 4, 4) of the camera at times (m,)."""
    T = torch.eye(4, dtype=torch.float64).expand(len(at), 4, 4)
    for index in chain:
        T = T @ _local(gltf, index, tracks, at)
    # An even scale above the camera only moves it; the rest of the check is `rigid`'s.
    size = torch.linalg.det(T[:, :3, :3])
    if bool((size <= 1e-12).any()):
        raise InputError("expected a camera that is not mirrored or flat, got a scale of 0 or below above it")
    linear = T[:, :3, :3] / size.pow(1 / 3)[:, None, None]
    T = rigid(se3_from(linear, T[:, :3, 3]), _where)
    flip = T.new_tensor(_FLIP)
    return flip[:, None] * T * flip


def _local(gltf: Gltf, index: int, tracks: dict[tuple[int, str], _Track], at: Tensor) -> Tensor:
    """Motion (m, 4, 4) of a node in its parent."""
    node, place = gltf.item("nodes", index), f"nodes[{index}]"
    if "matrix" in node:
        columns = torch.tensor(numbers(f"{place}.matrix", node["matrix"], 16), dtype=torch.float64)
        return columns.reshape(4, 4).T.expand(len(at), 4, 4)
    values = {}
    for name, rest in _REST.items():
        track = tracks.get((index, name))
        if track is not None:
            values[name] = _sample(track, at, turns=name == "rotation")
        else:
            fixed = numbers(f"{place}.{name}", node.get(name, rest), len(rest))
            values[name] = torch.tensor(fixed, dtype=torch.float64).expand(len(at), -1)
    rotation = rotation_from_quaternion_wxyz(values["rotation"][:, [3, 0, 1, 2]])
    return se3_from(rotation * values["scale"][:, None, :], values["translation"])


def _sample(track: _Track, at: Tensor, *, turns: bool) -> Tensor:
    """Values (m, c) at times (m,); before the first and after the last key theirs."""
    times, values, cubic = track.times, track.values, track.interpolation == "CUBICSPLINE"
    points = values[:, 1] if cubic else values
    if len(times) == 1:
        return points.expand(len(at), -1)
    segment = (torch.searchsorted(times, at, right=True) - 1).clamp(0, len(times) - 2)
    width = times[segment + 1] - times[segment]
    u = ((at - times[segment]) / width).clamp(0.0, 1.0)
    start, end = points[segment], points[segment + 1]
    if cubic:
        u, width = u[:, None], width[:, None]
        leave, arrive = width * values[segment, 2], width * values[segment + 1, 0]
        basis = (2 * u**3 - 3 * u**2 + 1, u**3 - 2 * u**2 + u, -2 * u**3 + 3 * u**2, u**3 - u**2)
        return basis[0] * start + basis[1] * leave + basis[2] * end + basis[3] * arrive
    if track.interpolation == "STEP":
        return torch.where((u >= 1)[:, None], end, start)
    if turns:
        return slerp(start, end, u)
    return start + u[:, None] * (end - start)


def encode(trajectory: Trajectory, path: Path, lens: Lens) -> dict[Path, bytes]:
    """The content of a .gltf or, by the name's ending, a .glb file."""
    poses = trajectory.T_world_cam.double().cpu()
    flip = poses.new_tensor(_FLIP)
    poses = flip[:, None] * poses * flip
    times = torch.arange(len(poses), dtype=torch.float64) / trajectory.fps
    turns = _near(quaternion_wxyz_from_rotation(poses[:, :3, :3]))[:, [1, 2, 3, 0]]
    parts = [part.numpy().astype("<f4") for part in (times, poses[:, :3, 3], turns)]
    binary = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    views, start = [], 0
    for part in parts:
        views.append({"buffer": 0, "byteOffset": start, "byteLength": part.nbytes})
        start += part.nbytes
    data = {
        "asset": {"version": "2.0", "generator": "Pantheon360"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "camera", "camera": 0, **_first(parts)}],
        "cameras": [
            {"type": "perspective", "perspective": {"aspectRatio": 1.0, "yfov": lens.fov, "znear": 0.01}}
        ],
        "animations": [
            {
                "name": "path",
                "samplers": [{"input": 0, "output": i, "interpolation": "LINEAR"} for i in (1, 2)],
                "channels": [
                    {"sampler": i, "target": {"node": 0, "path": name}}
                    for i, name in enumerate(("translation", "rotation"))
                ],
            }
        ],
        "accessors": [
            {"bufferView": i, "componentType": 5126, "count": len(part), "type": kind}
            for i, (part, kind) in enumerate(zip(parts, ("SCALAR", "VEC3", "VEC4"), strict=True))
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    data["accessors"][0] |= {"min": [float(parts[0].min())], "max": [float(parts[0].max())]}
    return {path: (glb_bytes if path.suffix.lower() == ".glb" else gltf_bytes)(data, binary)}


def _first(parts: list[np.ndarray]) -> dict[str, list[float]]:
    """The node's own place, for programs that do not play animations."""
    return {"translation": parts[1][0].tolist(), "rotation": parts[2][0].tolist()}


def _near(quaternions: Tensor) -> Tensor:
    """The same turns with signs that make neighbours near: some programs blend without looking."""
    signs = torch.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0).cumprod(0)
    return torch.cat((quaternions[:1], quaternions[1:] * signs[:, None].to(quaternions)))
