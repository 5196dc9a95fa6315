"""A pack for the host tests: nodes that give what newer hosts' geometry nodes give, and one that looks.

The geometry is a box around the camera with a mark to the right, up and ahead, in the fields, shapes and
frames of ComfyUI 0.27. It also brings a stand-in for the package of Pi3, as its published call has it.
"""

# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import folder_paths
import torch
from comfy_api.latest import ComfyExtension, io
from torch import nn

HALF = torch.tensor([2.0, 1.5, 3.0])
MARK = torch.nn.functional.normalize(torch.tensor([0.6, -0.3, 0.74]), dim=0)


def room(rays: torch.Tensor) -> torch.Tensor:
    wall = (HALF / rays.abs().clamp(min=1e-9)).amin(-1)
    return torch.where((rays * MARK).sum(-1) > math.cos(math.radians(12)), wall * (2 / 3), wall)


class MoGeOfTheRoom(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TestMoGe", category="test", outputs=[io.Custom("MOGE_GEOMETRY").Output()])

    @classmethod
    def execute(cls):
        rows = 64
        u = (torch.arange(2 * rows) + 0.5) / (2 * rows)
        v = ((torch.arange(rows) + 0.5) / rows)[:, None]
        t, phi = (1 - u) * 2 * math.pi, v * math.pi
        ours = torch.broadcast_tensors(phi.sin() * -t.sin() * -1, -phi.cos() + 0 * t, -phi.sin() * t.cos())
        moge = torch.broadcast_tensors(phi.sin() * t.cos(), phi.sin() * t.sin(), phi.cos() + 0 * t)
        distance = room(torch.stack(ours, -1))
        return io.NodeOutput(
            {
                "points": (torch.stack(moge, -1) * distance[..., None])[None],
                "depth": distance[None],
                "mask": torch.ones(1, rows, 2 * rows, dtype=torch.bool),
                "image": torch.zeros(1, rows, 2 * rows, 3),
            }
        )


class DA3OfTheRoom(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TestDA3", category="test", outputs=[io.Custom("DA3_GEOMETRY").Output()])

    @classmethod
    def execute(cls):
        size, seen = 96, 56
        g = (torch.arange(size) + 0.5) / size * 2 - 1
        plane = torch.stack((*torch.meshgrid(g, g, indexing="xy"), torch.ones(size, size)), -1)
        rays = torch.nn.functional.normalize(plane, dim=-1)
        depth = (room(rays) * rays[..., 2])[None]
        focal = torch.tensor([[seen / 2, 0, seen / 2], [0, seen / 2, seen / 2], [0, 0, 1.0]])
        return io.NodeOutput(
            {
                "depth": depth,
                "image": torch.zeros(1, size, size, 3),
                "mode": "multiview",
                "extrinsics": torch.eye(4)[None, None, :3],
                "intrinsics": focal[None, None],
                "confidence": torch.full_like(depth, 9.0),
            }
        )


class LookAtCache(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TestLookAtCache",
            category="test",
            is_output_node=True,
            inputs=[io.Custom("PANTHEON_CACHE").Input("cache"), io.String.Input("name")],
        )

    @classmethod
    def execute(cls, cache, name):
        found = cache.cache
        folder = Path(folder_paths.get_output_directory())
        torch.save(found.points.clone(), folder / f"{name}.pt")
        poses = [one.T_world_cam.tolist() for one in cache.panoramas]
        said = {"poses": poses, "metric": found.metric, "sky": found.sky is not None}
        (folder / f"{name}.json").write_text(json.dumps(said))
        return io.NodeOutput(ui={"text": (name,)})


class Pi3(nn.Module):
    """Spheres of radius 2 around two places, one unit apart along the first's +z, seen in 14 views each."""

    @classmethod
    def from_pretrained(cls, _folder: str):
        return cls()

    def forward(self, imgs):
        _, views, _, size, _ = imgs.shape
        core = next(name for name in sys.modules if name.endswith("pantheon_core.recon.fusion"))
        rig = sys.modules[core].sphere_views(6, 4)
        g = (torch.arange(size) + 0.5) / size * 2 - 1
        plane = torch.stack((*torch.meshgrid(g, g, indexing="xy"), torch.ones(size, size)), -1)
        local = torch.nn.functional.normalize(plane, dim=-1) * 2.0
        poses = torch.eye(4).repeat(views, 1, 1)
        poses[:, :3, :3] = rig.repeat(views // len(rig), 1, 1)
        poses[len(rig) :, 2, 3] = 1.0
        return {
            "local_points": local.expand(1, views, size, size, 3),
            "conf": torch.full((1, views, size, size, 1), 4.0),
            "camera_poses": poses[None],
        }


for _name in ("pi3", "pi3.models", "pi3.models.pi3"):
    sys.modules.setdefault(_name, ModuleType(_name))
sys.modules["pi3.models.pi3"].Pi3 = Pi3  # type: ignore[attr-defined]


class GeometryForTests(ComfyExtension):
    async def get_node_list(self):
        return [MoGeOfTheRoom, DA3OfTheRoom, LookAtCache]


async def comfy_entrypoint():
    return GeometryForTests()
