"""Masks, cleaning and scale on the real host, from a bundled photograph to holes in the rendered frames."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

HEIGHT = 128


@pytest.fixture(scope="module")
def result(host):
    def node(kind, **inputs):
        return {"class_type": kind, "inputs": inputs}

    def save(source, name):
        return node("SaveImage", images=source, filename_prefix=f"cleaning/{name}")

    photo = {"yaw_deg": 0.0, "level_by_file": False, "pitch_deg": 0.0, "roll_deg": 0.0}
    prompt = {
        "photo": node("LoadPanorama", image="pantheon360/garden_path.jpg", height=HEIGHT, **photo),
        "mask": node("PantheonMaskPanorama", panorama=["photo", 1], nadir_deg=20.0, grow_deg=0.0),
        "sky": node("PantheonSkyMask", panorama=["photo", 1], network="bundled network"),
        "cache": node(
            "Build3DCache",
            panoramas=["mask", 0],
            backend="tiny",
            scale=1.0,
            confidence=0.25,
            sky=True,
            edge_step=0.05,
            depth_kind="inverse distance",
            sky_mask=["sky", 0],
        ),
        "clean": node(
            "PantheonCleanCache",
            cache=["cache", 0],
            edges="repair",
            specks="leave out",
            overlaps="contradictions",
            max_distance=0.0,
            voxel=0.0,
        ),
        "scale": node("PantheonScaleCache", cache=["clean", 0], by="camera height", metres=3.2),
        "holes": node("MaskToImage", mask=["mask", 1]),
        "sky_picture": node("MaskToImage", mask=["sky", 0]),
        "before": save(["cache", 1], "before"),
        "after": save(["clean", 1], "after"),
        "saved_holes": save(["holes", 0], "holes"),
        "saved_sky": save(["sky_picture", 0], "sky"),
        "said": node("PreviewAny", source=["clean", 2]),
        "how": node("PreviewAny", source=["scale", 2]),
        "factor": node("PreviewAny", source=["scale", 1]),
    }
    made = host.run(prompt)
    assert made.ok, f"{made.error_node}: {made.error}"
    return made


def picture(host, result, name):
    with Image.open(host.output_file(result.outputs[name]["images"][0])) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_the_nadir_is_a_hole(host, result):
    holes = picture(host, result, "saved_holes")[..., 0]
    assert holes.shape == (HEIGHT, 2 * HEIGHT)
    assert (holes[-int(HEIGHT * 20 / 180) + 1 :] == 255).all()
    assert (holes[: HEIGHT // 2] == 0).all()


def test_the_sky_is_above(host, result):
    sky = picture(host, result, "saved_sky")[..., 0]
    assert sky[:20].mean() > 100 > sky[HEIGHT // 2 + 10 :].mean()


def test_the_pictures_and_words_tell_what_was_done(host, result):
    before, after = (picture(host, result, name) for name in ("before", "after"))
    assert before.shape == after.shape
    assert before.shape[1] == 1024
    said = str(result.outputs["said"])
    for word in ("broken points", "depth edges", "floaters"):
        assert word in said
    assert "units below the camera" in str(result.outputs["how"])
    factor = float(str(result.outputs["factor"]["text"][0]))
    assert 1.5 < factor < 2.7
