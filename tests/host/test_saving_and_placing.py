"""Codecs and sound of the saved video; panoramas at places of their own."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
import torch
from PIL import Image

from pantheon_core.video import VideoWriter


def video_of(host, result):
    """The one video of a run."""
    ((saved,),) = [output["images"] for output in result.outputs.values() if "images" in output]
    return host.output_file(saved)


def photographs(**saving):
    """A prompt: one photograph eight times, as a video of two seconds."""
    return {
        "photo": {
            "class_type": "LoadPanorama",
            "inputs": {
                "image": "pantheon360/hotel_room.jpg",
                "height": 128,
                "yaw_deg": 0.0,
                "level_by_file": True,
                "pitch_deg": 0.0,
                "roll_deg": 0.0,
            },
        },
        "batch": {"class_type": "RepeatImageBatch", "inputs": {"image": ["photo", 0], "amount": 8}},
        "save": {
            "class_type": "SaveERPVideo",
            "inputs": {
                "images": ["batch", 0],
                "fps": 4.0,
                "filename_prefix": "video/saved",
                "codec": "h264",
                "crf": 18,
                "spherical": True,
                **saving,
            },
        },
    }


@pytest.mark.parametrize(("codec", "called"), [("h264", "h264"), ("h265", "hevc"), ("av1", "av1")])
def test_every_codec_of_the_list_gives_a_video(host, codec, called):
    result = host.run(photographs(codec=codec))
    assert result.ok, result.error
    with av.open(str(video_of(host, result))) as container:
        stream = container.streams.video[0]
        # libdav1d decodes what libsvtav1 or libaom wrote.
        assert called in stream.codec_context.codec.canonical_name
        assert len(list(container.decode(video=0))) == 8
    assert b"sv3d" in video_of(host, result).read_bytes()


def test_sound_is_cut_to_the_video(host):
    source = host.base / "input" / "sound.mp4"
    tone = 0.3 * torch.sin(torch.arange(5 * 44100) * (2 * torch.pi * 440 / 44100))
    with VideoWriter(source, fps=4, spherical=False, audio=(tone.expand(2, -1), 44100)) as writer:
        for _ in range(20):
            writer.write(torch.rand(3, 32, 64))
    prompt = photographs(audio=["parts", 1])
    prompt["film"] = {"class_type": "LoadVideo", "inputs": {"file": "sound.mp4"}}
    prompt["parts"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["film", 0]}}
    result = host.run(prompt)
    assert result.ok, result.error
    with av.open(str(video_of(host, result))) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)
        assert container.streams.audio[0].codec_context.sample_rate == 44100
    assert 1.9 < heard.shape[1] / 44100 < 2.1
    # The tone is still 440 Hz.
    spectrum = abs(np.fft.rfft(heard[0, 4410:48510]))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_a_path_between_placed_panoramas_starts_and_ends_on_them(host):
    prompt = photographs()
    prompt["other"] = {
        "class_type": "LoadPanorama",
        "inputs": {**prompt["photo"]["inputs"], "image": "pantheon360/courtyard.jpg"},
    }
    prompt |= {
        "placed": {
            "class_type": "PantheonPlacePanorama",
            "inputs": {
                "panorama": ["other", 1],
                "right": 0.5,
                "up": 0.25,
                "forward": 1.0,
                "yaw_deg": 90.0,
                "pitch_deg": 0.0,
                "roll_deg": 0.0,
            },
        },
        "joined": {
            "class_type": "PantheonJoinPanoramas",
            "inputs": {"first": ["photo", 1], "second": ["placed", 0]},
        },
    }
    listed = host.get("/object_info")
    for key, kind, given in (
        ("cache", "Build3DCache", {"panoramas": ["joined", 0]}),
        ("path", "TrajectoryFromKeyframes", {"path": "between panoramas", "cache": ["cache", 0]}),
        (
            "scaffold",
            "RenderERPScaffold",
            {"cache": ["cache", 0], "trajectory": ["path", 0], "height": 64},
        ),
    ):
        prompt[key] = {"class_type": kind, "inputs": {**defaults(listed[kind]), **given}}
    prompt["path"]["inputs"]["frames"] = 5
    prompt["frames"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["scaffold", 1], "filename_prefix": "placed"},
    }
    del prompt["save"], prompt["batch"]
    result = host.run(prompt)
    assert result.ok, f"{result.error_node}: {result.error}"
    frames = [pixels(host.output_file(one)) for one in result.outputs["frames"]["images"]]
    assert len(frames) == 5
    samples = host.base / "input" / "pantheon360"
    for frame, name in ((frames[0], "hotel_room"), (frames[-1], "courtyard")):
        with Image.open(samples / f"{name}.jpg") as photo:
            truth = np.asarray(photo.convert("RGB").resize((128, 64), Image.Resampling.BOX)).astype(int)
        # The path may turn the camera; each end has to be its photograph at one yaw or another.
        errors = [abs(np.roll(frame, shift, 1) - truth).mean() for shift in range(128)]
        assert min(errors) < 6
    assert all(abs(a - b).mean() > 0.5 for a, b in itertools.pairwise(frames))


def defaults(node):
    """The default of every widget of a listed node."""
    return {
        name: options.get("default", options["options"][0] if kind == "COMBO" else None)
        for name, (kind, options) in node["input"]["required"].items()
        if "default" in options or kind == "COMBO"
    }


def pixels(path):
    """(H, W, 3) int of an image file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)
