from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pantheon_core.errors import ConventionError, InputError, InterruptedByUser, MediaError, ShapeError
from pantheon_core.video import (
    CODECS,
    VideoWriter,
    list_codecs,
    read_video,
    spherical_versions,
    video_info,
    write_video,
)

INSTALLED = sorted(list_codecs())


def moving(frames=5, height=64, width=None):
    """Smooth colours that turn, so that every frame is another one."""
    width = 2 * height if width is None else width
    x = torch.linspace(0, 2 * math.pi, width + 1)[:-1]
    y = torch.linspace(0, 1, height)[:, None]
    shift = torch.arange(frames)[:, None, None] * 0.5
    red = 0.5 + 0.4 * torch.cos(x - shift).expand(frames, height, width)
    green = (0.2 + 0.6 * y).expand(frames, height, width)
    blue = 0.5 + 0.4 * torch.sin(x + shift).expand(frames, height, width)
    return torch.stack([red, green, blue], dim=1)


def left_behind(folder: Path, *wanted: str):
    return sorted(p.name for p in folder.iterdir() if p.name not in wanted)


def test_the_wheels_codecs_are_found():
    assert "h264" in INSTALLED
    assert set(INSTALLED) <= set(CODECS)


@pytest.mark.parametrize("codec", INSTALLED)
def test_round_trip(tmp_path, codec):
    frames = moving()
    path = write_video(tmp_path / "a.mp4", frames, fps=7, codec=codec, crf=12)
    info = video_info(path)
    assert (info.height, info.width, info.frames, info.fps) == (64, 128, 5, 7.0)
    assert info.duration == pytest.approx(5 / 7, abs=0.01)
    assert info.codec == {"h264": "h264", "h265": "hevc", "av1": "av1"}[codec]
    assert info.pix_fmt == "yuv420p"
    assert info.spherical
    assert not info.audio
    decoded = torch.stack(list(read_video(path)))
    assert decoded.dtype == torch.float32
    assert (decoded - frames).abs().mean() < 0.012
    assert left_behind(tmp_path, "a.mp4") == []


COLOURS = {
    # BT.709, limited range: Y = 16 + 219 (.2126 R + .7152 G + .0722 B), Cb, Cr around 128
    "red": ((1, 0, 0), (63, 102, 240)),
    "green": ((0, 1, 0), (173, 42, 26)),
    "blue": ((0, 0, 1), (32, 240, 118)),
    "white": ((1, 1, 1), (235, 128, 128)),
    "black": ((0, 0, 0), (16, 128, 128)),
}


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("codec", INSTALLED)
def test_colours_are_bt709(tmp_path, codec, name):
    rgb, yuv = COLOURS[name]
    frame = torch.tensor(rgb, dtype=torch.float32)[:, None, None].expand(3, 64, 128)
    path = write_video(tmp_path / "a.mp4", [frame], fps=7, codec=codec, crf=4)
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
        planes = [float(np.frombuffer(plane, np.uint8)[0]) for plane in decoded.planes]
        context = container.streams.video[0].codec_context
        tags = [int(getattr(context, tag)) for tag in ("colorspace", "color_primaries", "color_trc")]
    assert planes == pytest.approx(yuv, abs=2)
    assert tags == [1, 1, 1]
    assert int(decoded.color_range) == 1
    back = next(iter(read_video(path)))
    assert (back - frame).abs().max() < 0.02


@pytest.mark.parametrize(
    ("yuv", "space", "full"),
    # (220, 30, 90) by the formulas of BT.601 limited, BT.709 full and BT.709 limited range
    [((96, 126, 207), 6, False), ((75, 136, 220), 1, True), ((80, 135, 209), 1, False)],
)
def test_foreign_matrices_and_ranges_are_read_right(tmp_path, yuv, space, full):
    planes = [np.full(size, value, np.uint8) for size, value in zip((8192, 2048, 2048), yuv, strict=True)]
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.codec_context.colorspace = space
        stream.codec_context.color_range = 2 if full else 1
        pixels = np.concatenate(planes).reshape(96, 128)
        frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
        frame.color_range = 2 if full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    back = next(iter(read_video(path)))
    wanted = torch.tensor([220, 30, 90]) / 255
    assert (back - wanted[:, None, None]).abs().max() < 0.02


@pytest.mark.parametrize("codec", INSTALLED)
def test_ten_bits_are_finer(tmp_path, codec):
    ramp = torch.linspace(0.4, 0.45, 128).expand(3, 64, 128)
    paths = {}
    for fmt in ("yuv420p", "yuv420p10le"):
        path = write_video(tmp_path / f"{fmt}.mp4", [ramp], fps=7, codec=codec, crf=1, pix_fmt=fmt)
        assert video_info(path).pix_fmt == fmt
        paths[fmt] = (next(iter(read_video(path))) - ramp).abs().mean()
    assert paths["yuv420p10le"] < 0.6 * paths["yuv420p"]


def test_uint8_frames_equal_float_frames(tmp_path):
    frames = (moving(2) * 255).round()
    write_video(tmp_path / "f.mp4", frames / 255, fps=7)
    write_video(tmp_path / "u.mp4", frames.permute(0, 2, 3, 1).to(torch.uint8).numpy(), fps=7)
    assert (tmp_path / "f.mp4").read_bytes() == (tmp_path / "u.mp4").read_bytes()


def boxes(data):
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, at, size))
        at += size
    return found


def test_the_workflow_is_at_the_start_of_the_file(tmp_path):
    metadata = {"workflow": json.dumps({"nodes": ["é", 1]}), "prompt": json.dumps({"1": {}})}
    path = write_video(tmp_path / "a.mp4", moving(), fps=7, metadata=metadata)
    kept = video_info(path).metadata
    assert {key: kept[key] for key in metadata} == metadata
    data = path.read_bytes()
    order = [kind for kind, _, _ in boxes(data)]
    assert order.index(b"moov") < order.index(b"mdat")
    _, at, size = next(box for box in boxes(data) if box[0] == b"moov")
    assert b"mdtaworkflow" in data[at : at + size]
    with pytest.raises(InputError, match=r"metadata: .* json.dumps"):
        VideoWriter(tmp_path / "b.mp4", fps=7, metadata={"workflow": {}})  # pyright: ignore


@pytest.mark.parametrize("count", [1, 2, 33])
def test_any_length(tmp_path, count):
    path = write_video(tmp_path / "a.mp4", moving(count, 32), fps=29.97, preset="ultrafast")
    assert video_info(path).frames == count
    assert sum(1 for _ in read_video(path)) == count
    assert video_info(path).fps == pytest.approx(29.97, abs=1e-3)


@pytest.mark.parametrize("codec", INSTALLED)
def test_timestamps_of_short_videos(tmp_path, codec):
    # libx265 hands out random decoding times below three frames: repeated, so that chance does not hide it.
    for count in (1, 2, 3) * 4:
        path = write_video(tmp_path / "a.mp4", moving(count), fps=8, codec=codec)
        with av.open(str(path)) as container:
            packets = [p for p in container.demux(video=0) if p.size]
            assert all(p.dts <= p.pts for p in packets)
            assert sorted(float(p.pts * p.time_base) for p in packets) == [i / 8 for i in range(count)]


def test_reading_a_part(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(6), fps=7)
    every = list(read_video(path))
    part = list(read_video(path, start=2, stop=4))
    assert len(part) == 2
    assert torch.equal(part[0], every[2])
    assert list(read_video(path, stop=0)) == []
    with pytest.raises(InputError, match="start"):
        read_video(path, start=3, stop=1)


def test_odd_sizes_repeat_their_last_row_and_column(tmp_path):
    frames = moving(2, 33, 65)
    path = write_video(tmp_path / "a.mp4", frames, fps=7, crf=4, spherical=False)
    decoded = torch.stack(list(read_video(path)))
    assert decoded.shape == (2, 3, 34, 66)
    assert (decoded[..., :33, :65] - frames).abs().mean() < 0.02
    assert (decoded[..., 33, :65] - frames[..., 32, :]).abs().mean() < 0.02
    odd_panorama = write_video(tmp_path / "p.mp4", moving(1, 33), fps=7)
    assert (video_info(odd_panorama).height, video_info(odd_panorama).width) == (34, 66)


def test_flat_video_is_not_marked_and_panoramas_are_two_to_one(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(1, 64, 64), fps=7, spherical=False)
    assert spherical_versions(path) == ()
    assert not video_info(path).spherical
    with pytest.raises(ConventionError, match="spherical=False"):
        write_video(tmp_path / "b.mp4", moving(1, 64, 64), fps=7)
    assert left_behind(tmp_path, "a.mp4") == []


def test_nothing_is_left_when_it_fails(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        write_video(tmp_path / "a.mp4", [], fps=7)
    with pytest.raises(InputError, match="128 x 64 pixels as frame 0 has, got 64 x 32 at frame 1"):
        write_video(tmp_path / "a.mp4", [moving(1)[0], moving(1, 32)[0]], fps=7)
    with pytest.raises(InputError, match="finite"):
        write_video(tmp_path / "a.mp4", [torch.full((3, 64, 128), math.nan)], fps=7)
    with pytest.raises(ShapeError):
        write_video(tmp_path / "a.mp4", [torch.zeros(64, 128, 3)], fps=7)

    def stop(done, total):
        assert total == 5
        if done == 2:
            raise InterruptedByUser("stop")

    with pytest.raises(InterruptedByUser):
        write_video(tmp_path / "a.mp4", moving(), fps=7, progress=stop)
    assert left_behind(tmp_path) == []


def test_an_existing_file_is_replaced_only_by_a_finished_one(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(2), fps=7)
    before = path.read_bytes()

    def interrupted():
        yield moving(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, interrupted(), fps=7)
    assert path.read_bytes() == before
    write_video(path, moving(3), fps=7)
    assert video_info(path).frames == 3
    assert left_behind(tmp_path, "a.mp4") == []


@pytest.mark.skipif("av1" not in INSTALLED, reason="no SVT-AV1 in this PyAV")
def test_what_the_encoder_refuses_is_said(tmp_path):
    with pytest.raises(MediaError, match="libsvtav1"):
        write_video(tmp_path / "a.mp4", moving(1, 16, 20000), fps=7, codec="av1", spherical=False)
    assert left_behind(tmp_path) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MediaError, match="check the free space"):
        write_video(tmp_path / "file" / "a.mp4", moving(1), fps=7)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"codec": "vp8"}, "codec: expected one of h264, h265, av1"),
        ({"crf": 52}, "crf: expected 0"),
        ({"preset": "turbo"}, "preset: h264 has ultrafast"),
        ({"pix_fmt": "rgb24"}, "pix_fmt: h264 offers"),
        ({"fps": 0}, "fps: "),
        ({"audio": (torch.zeros(3, 10), 48000)}, "audio: expected 1 or 2 channels"),
        ({"audio": (torch.zeros(1, 10), 1234)}, "audio: expected a sample rate"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, match):
    with pytest.raises(InputError, match=match):
        VideoWriter(tmp_path / "a.mp4", **{"fps": 7, **settings})
    with pytest.raises(InputError, match=r"\.mp4"):
        VideoWriter(tmp_path / "a.avi", fps=7)


def test_a_writer_is_used_once(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", fps=7)
    with pytest.raises(InputError, match="not open"):
        writer.write(moving(1)[0])
    with writer as video:
        video.write(moving(1)[0])
    with pytest.raises(InputError, match="new one"), writer:
        pass


def test_audio_is_kept_and_ends_with_the_video(tmp_path):
    rate = 16000
    tone = 0.5 * torch.sin(2 * math.pi * 440 * torch.arange(rate * 3) / rate).repeat(2, 1)
    path = write_video(tmp_path / "a.mp4", moving(10), fps=10, audio=(tone, rate))
    assert video_info(path).audio
    with av.open(str(path)) as container:
        samples = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert samples.shape[0] == 2
    assert rate - 1024 <= samples.shape[1] <= rate + 2 * 1024
    spectrum = np.abs(np.fft.rfft(samples[0, 2048 : 2048 + 8000]))
    assert int(spectrum.argmax()) * rate / 8000 == pytest.approx(440, abs=4)
    assert sum(1 for _ in read_video(path)) == 10


def test_unreadable_files_are_said(tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        video_info(tmp_path / "none.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(MediaError, match="cannot be read"):
        list(read_video(tmp_path / "bad.mp4"))


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("codec", INSTALLED)
def test_ffprobe_sees_the_sphere(tmp_path, codec):
    path = write_video(tmp_path / "a.mp4", moving(2), fps=7, codec=codec)
    command = ["ffprobe", "-v", "warning", "-of", "json", "-show_streams", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    stream = json.loads(result.stdout)["streams"][0]
    sides = {side["side_data_type"]: side for side in stream["side_data_list"]}
    assert sides["Spherical Mapping"]["projection"] == "equirectangular"
    assert "Stereo 3D" in sides
    assert stream["codec_tag_string"] == {"h264": "avc1", "h265": "hvc1", "av1": "av01"}[codec]
