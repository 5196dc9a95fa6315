"""Builds the example workflows in the real frontend, and their thumbnails by really running them.

Run it with the host's environment, after `tools/test_host.py`:

    .cache/host/venv/bin/python tools/example_workflows.py                # the JSON files
    .cache/host/venv/bin/python tools/example_workflows.py --thumbnails   # and the pictures, some minutes
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import test_host
from host_browser import open_frontend, read_workflows, to_prompts
from host_session import HostSession, running_host

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger("example_workflows")

FOLDER = test_host.ROOT / "example_workflows"
_THUMBNAIL = (640, 320)

# A node is [key, type, title or "", {widget: value}]; columns stand side by side, nodes below each other.
# A link is "from.output > to.input", by the names that the nodes show.
_SCENE_NOTE = """# Walk into one photograph

1. **Load Panorama** - choose your own 360° photo (2:1, upload with the button), or another sample.
2. **Build 3D Cache** - look at *Preview* on the right: is the distance plausible?
3. **Trajectory** - choose a movement and how far it goes. Keep it short: what the photo did not see must
   be made up.
4. **Run.** The video is in ComfyUI's output folder, as a real 360° file for VR players and YouTube.

The bundled model **pantheon-tiny** is small, made for 128 to 256 pixels, and was trained on made-up
scenes only. With larger weights in `models/pantheon360`, raise *height* in **Render Scaffold** to 512 and
*steps* to 25."""

_BETWEEN_NOTE = """# Between two panoramas

The camera starts on the first panorama and ends on the second: both are shown as they are, and the frames
between agree with both ends (**Dual-Anchor Latent Fusion**).

**Synthetic Panoramas** makes a scene with known positions and distances, so that nothing has to be
measured. For your own photographs use two **Load Panorama**, set the position of the second with **Place
Panorama**, join them with **Join Panoramas**, and connect that to **Build 3D Cache**.

Try *scene_seed*, *kind*, the fusion's *weights*, or disconnect the fusion to compare."""

_SCAFFOLD_NOTE = """# The scaffold for other video models

No model is loaded here. The scene is rendered along the path, and leaves as ordinary pictures:

- **images** - the known part of every frame, holes black: the control video.
- **holes** - the mask, white where the model must paint.
- **inverse_distance** - depth for depth-controlled models.

Connect them to Wan VACE (control video and control mask), to a depth ControlNet, or to any inpainting
model, in place of the three **Save 360° Video** nodes. Wrap-around models keep the seam closed."""

_LONG_NOTE = """# A long walk

A path of any length is painted in windows that go on from one another, and written as one video. Memory
does not grow with the number of frames. Stop it at any time: queued again, it goes on where it was.

1. **Clean 3D Cache** removes what floats and what is stretched over edges, and says what it did.
2. **Trajectory** - open the editor with its button: see the scene, set keyframes, scrub the scaffold.
3. **Long 360° Video** - *window* 0 takes the number of frames that the model was made for."""

_LOOK = ["look", "PreviewImage", "Preview: what the scene holds", {}]
_REPORT = ["report", "PreviewAny", "Path report", {}]
_SAMPLING = {"seed": 0, "control_after_generate": "fixed", "steps": 12}
_LONG = {"seed": 0, "steps": 8, "height": 128, "filename_prefix": "video/long_walk"}
_MODEL = ["model", "PantheonModelLoader", "", {}]
WORKFLOWS: dict[str, dict[str, Any]] = {
    "01_walk_from_one_photo": {
        "note": _SCENE_NOTE,
        "columns": [
            [["photo", "LoadPanorama", "", {"image": "pantheon360/hotel_room.jpg", "height": 512}]],
            [["cache", "Build3DCache", "", {}], _LOOK],
            [["path", "TrajectoryFromKeyframes", "", {"path": "forward", "distance": 0.5}], _REPORT],
            [["scaffold", "RenderERPScaffold", "", {"height": 256}], _MODEL],
            [["sampler", "PantheonSampler", "", _SAMPLING]],
            [
                ["save", "SaveERPVideo", "", {"filename_prefix": "video/walk"}],
                ["compare", "PantheonPreview360", "Video against scaffold", {}],
            ],
        ],
        "links": [
            "photo.panorama > cache.panoramas",
            "cache.cache > path.cache",
            "cache.preview > look.images",
            "cache.cache > scaffold.cache",
            "path.trajectory > scaffold.trajectory",
            "path.report > report.source",
            "model.model > sampler.model",
            "scaffold.scaffold > sampler.scaffold",
            "sampler.images > save.images",
            "sampler.images > compare.images",
            "scaffold.images > compare.compare",
        ],
    },
    "02_between_two_panoramas": {
        "note": _BETWEEN_NOTE,
        "columns": [
            [
                ["scene", "PantheonSyntheticPanoramas", "", {"kind": "room", "scene_seed": 3}],
                ["pair", "PreviewImage", "Preview: both panoramas", {}],
            ],
            [["cache", "Build3DCache", "", {}], _LOOK],
            [["path", "TrajectoryFromKeyframes", "", {"path": "between panoramas"}], _REPORT],
            [
                ["scaffold", "RenderERPScaffold", "", {"height": 256}],
                _MODEL,
                ["fusion", "DualAnchorLatentFusion", "", {}],
            ],
            [["sampler", "PantheonSampler", "", _SAMPLING]],
            [["save", "SaveERPVideo", "", {"filename_prefix": "video/between"}]],
        ],
        "links": [
            "scene.panoramas > cache.panoramas",
            "scene.images > pair.images",
            "cache.cache > path.cache",
            "cache.preview > look.images",
            "cache.cache > scaffold.cache",
            "path.trajectory > scaffold.trajectory",
            "path.report > report.source",
            "model.model > sampler.model",
            "scaffold.scaffold > sampler.scaffold",
            "fusion.fusion > sampler.fusion",
            "sampler.images > save.images",
        ],
    },
    "03_scaffold_for_other_models": {
        "note": _SCAFFOLD_NOTE,
        "columns": [
            [["photo", "LoadPanorama", "", {"image": "pantheon360/garden_path.jpg", "height": 512}]],
            [["cache", "Build3DCache", "", {}], _LOOK],
            [
                ["path", "TrajectoryFromKeyframes", "", {"path": "arc", "radius": 0.8, "angle_deg": 60}],
                _REPORT,
            ],
            [
                ["scaffold", "RenderERPScaffold", "", {"height": 256}],
                ["grey", "MaskToImage", "Holes as pictures", {}],
            ],
            [
                ["images", "SaveERPVideo", "Save control video", {"filename_prefix": "video/scaffold"}],
                ["holes", "SaveERPVideo", "Save mask", {"filename_prefix": "video/holes"}],
                ["depth", "SaveERPVideo", "Save depth", {"filename_prefix": "video/depth"}],
            ],
        ],
        "links": [
            "photo.panorama > cache.panoramas",
            "cache.cache > path.cache",
            "cache.preview > look.images",
            "cache.cache > scaffold.cache",
            "path.trajectory > scaffold.trajectory",
            "path.report > report.source",
            "scaffold.images > images.images",
            "scaffold.holes > grey.mask",
            "grey.IMAGE > holes.images",
            "scaffold.inverse_distance > depth.images",
        ],
    },
    "04_long_walk": {
        "note": _LONG_NOTE,
        "columns": [
            [["photo", "LoadPanorama", "", {"image": "pantheon360/quay_sunset.jpg", "height": 512}]],
            [["cache", "Build3DCache", "", {}], _LOOK],
            [["clean", "PantheonCleanCache", "", {}]],
            [["path", "TrajectoryFromKeyframes", "", {"path": "forward", "distance": 1.5, "frames": 40}]],
            [["long", "PantheonLongVideo", "", _LONG], _MODEL],
        ],
        "links": [
            "photo.panorama > cache.panoramas",
            "cache.preview > look.images",
            "cache.cache > clean.cache",
            "clean.cache > path.cache",
            "clean.cache > long.cache",
            "path.trajectory > long.trajectory",
            "model.model > long.model",
        ],
    },
}

BUILD_JS = """async (spec) => {
  const graph = window.app.graph;
  graph.clear();
  const made = {};
  const note = LiteGraph.createNode('MarkdownNote');
  graph.add(note);
  note.title = 'Read me';
  note.widgets[0].value = spec.note;
  note.size = [560, 420];
  note.pos = [-640, 0];
  let left = 0;
  for (const column of spec.columns) {
    let top = 0, width = 0;
    for (const [key, type, title, widgets] of column) {
      const node = LiteGraph.createNode(type);
      graph.add(node);
      if (title) node.title = title;
      for (const [name, value] of Object.entries(widgets)) {
        const widget = node.widgets.find((one) => one.name === name);
        if (!widget) throw new Error(`${type} has no widget ${name}`);
        widget.value = value;
      }
      const size = node.computeSize();
      const tall = { PreviewImage: 420, SaveERPVideo: 560, LoadPanorama: 460, PantheonPreview360: 460 };
      node.size = [Math.max(size[0], 330), Math.max(size[1], tall[type] ?? 0)];
      node.pos = [left, top];
      // Vue nodes are taller than the canvas says: a row is 32 pixels there and 24 here.
      top += 1.4 * node.size[1] + 80;
      width = Math.max(width, node.size[0]);
      made[key] = node;
    }
    left += width + 80;
  }
  for (const link of spec.links) {
    const [from, to] = link.split(' > ').map((end) => end.split('.'));
    const slot = made[from[0]].outputs.findIndex((one) => one.name === from[1]);
    if (slot < 0) throw new Error(`no output ${from}`);
    if (!made[from[0]].connect(slot, made[to[0]], to[1])) throw new Error(`cannot connect ${link}`);
  }
  const data = graph.serialize();
  data.extra = { ds: { scale: 0.6, offset: [720, 120] } };
  return data;
}"""


def build(session: HostSession) -> None:
    """Write the JSON files."""
    FOLDER.mkdir(exist_ok=True)
    with open_frontend(session) as page:
        for name, spec in WORKFLOWS.items():
            # The frontend gives every graph a random id, which would change the file each time.
            workflow = page.evaluate(BUILD_JS, spec) | {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, name))}
            text = json.dumps(workflow, indent=1, ensure_ascii=False)
            (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            log.info("%s: %d nodes", name, len(workflow["nodes"]))


def make_thumbnails(session: HostSession) -> None:
    """Run every workflow as it is and keep a frame of each of its videos."""
    with open_frontend(session) as page:
        prompts = to_prompts(page, read_workflows())
    for name, prompt in prompts.items():
        result = session.run(prompt, timeout=3600)
        if not result.ok:
            raise SystemExit(f"{name} failed in {result.error_node}: {result.error}")
        shown = [
            result.outputs[key]["images"][0]
            for key in sorted(result.outputs, key=int)
            if _is_video(result, key)
        ]
        _mosaic([_middle_frame(session.output_file(one)) for one in shown]).save(
            FOLDER / f"{name}.jpg", quality=88
        )
        log.info("%s: thumbnail of %d videos", name, len(shown))


def _is_video(result: Any, key: str) -> bool:
    return any(one["filename"].endswith(".mp4") for one in result.outputs[key].get("images", ()))


def _middle_frame(path: Path) -> Image:
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    return frames[len(frames) * 2 // 3]


def _mosaic(pictures: list[Image]) -> Image:
    """One picture fills the thumbnail; several share it as vertical strips of the same view."""
    from PIL import Image as Pillow

    width, height = _THUMBNAIL
    sheet = Pillow.new("RGB", _THUMBNAIL)
    for index, picture in enumerate(pictures):
        left, right = (width * step // len(pictures) for step in (index, index + 1))
        full = picture.resize(_THUMBNAIL, Pillow.Resampling.LANCZOS)
        sheet.paste(full.crop((left, 0, right, height)), (left, 0))
    return sheet


def main() -> int:
    """Entry point of the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--thumbnails", action="store_true", help="also run the workflows and make the pictures"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as base, running_host(Path(base)) as session:
        build(session)
        if arguments.thumbnails:
            make_thumbnails(session)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
