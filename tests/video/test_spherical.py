from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ElementTree

import av
import pytest
import torch

from pantheon_core.errors import MediaError
from pantheon_core.video import inject_spherical, spherical_versions
from pantheon_core.video._mp4 import Box, box_bytes, file_boxes, parse_boxes, shift_chunk_offsets
from pantheon_core.video._spherical import st3d_box, sv3d_box

V1_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")


def plain(path, *, movflags="", frames=6, audio=False):
    """An MP4 straight from the muxer."""
    with av.open(
        str(path), "w", format="mp4", options={"movflags": movflags} if movflags else {}
    ) as container:
        stream = container.add_stream("libx264", rate=7, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono") if audio else None
        generator = torch.Generator().manual_seed(0)
        for _ in range(frames):
            pixels = torch.randint(0, 256, (64, 128, 3), generator=generator, dtype=torch.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels.numpy(), format="rgb24")))
        if sound is not None:
            for i in range(12):
                frame = av.AudioFrame.from_ndarray(torch.rand(1, 1024).numpy(), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, i * 1024
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        container.mux(stream.encode(None))
    return path


def decoded(path):
    """Every decoded picture and sound of a file."""
    with av.open(str(path)) as container:
        return [
            (frame.pts, frame.to_ndarray().tobytes())
            for packet in container.demux()
            for frame in packet.decode()
        ]


def walk(data, start, end, path=()):
    """All boxes (path, start, end), an independent reader: parents must add up exactly."""
    inside = {b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"stbl": 8, b"stsd": 16, b"avc1": 86}
    inside |= {b"sv3d": 8, b"proj": 8}
    at = start
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        assert size >= 8
        assert at + size <= end
        yield (*path, kind), at, at + size
        if kind in inside:
            yield from walk(data, at + inside[kind], at + size, (*path, kind))
        at += size
    assert at == end


def test_the_boxes_are_those_of_the_specification():
    # The bytes that Google's own injector writes for a monoscopic equirectangular video.
    known = """00000068 73763364 00000024 73766864 00000000 53706865 72696361 6c204d65 74616461 74612054
        6f6f6c00 0000003c 70726f6a 00000018 70726864 00000000 00000000 00000000 00000000 0000001c 65717569
        00000000 00000000 00000000 00000000 00000000"""
    assert box_bytes(sv3d_box("Spherical Metadata Tool")) == bytes.fromhex(re.sub(r"\s", "", known))
    assert box_bytes(st3d_box()) == bytes.fromhex("0000000d733364".replace("7333", "737433") + "0000000000")


@pytest.mark.parametrize("movflags", ["", "faststart", "use_metadata_tags+faststart"])
@pytest.mark.parametrize("audio", [False, True])
def test_byte_layout_and_pictures_after_injection(tmp_path, movflags, audio):
    path = plain(tmp_path / "a.mp4", movflags=movflags, audio=audio)
    before, pictures = path.read_bytes(), decoded(path)
    assert spherical_versions(path) == ()
    inject_spherical(path)
    data = path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    found = list(walk(data, 0, len(data)))
    paths = [p for p, _, _ in found]
    entry = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    for tail in ((b"st3d",), (b"sv3d",), (b"sv3d", b"proj", b"prhd"), (b"sv3d", b"proj", b"equi")):
        assert paths.count((*entry, *tail)) == 1
    assert paths.index((*entry, b"st3d")) < paths.index((*entry, b"sv3d"))
    texts = [data[a + 8 : b] for p, a, b in found if p == (b"moov", b"trak", b"uuid")]
    assert len(texts) == 1
    assert texts[0].startswith(V1_UUID)
    root = ElementTree.fromstring(texts[0][16:])
    values = {child.tag.split("}")[1]: child.text for child in root}
    assert values["Spherical"] == values["Stitched"] == "true"
    assert values["ProjectionType"] == "equirectangular"
    assert decoded(path) == pictures
    assert spherical_versions(path) == (1, 2)
    # The media data is the same, and the offsets point at the same samples.
    media = [data[a:b] for p, a, b in found if p == (b"mdat",)]
    assert media == [before[a:b] for p, a, b in walk(before, 0, len(before)) if p == (b"mdat",)]


def test_injecting_twice_is_injecting_once(tmp_path):
    path = plain(tmp_path / "a.mp4", movflags="faststart")
    inject_spherical(path)
    once = path.read_bytes()
    inject_spherical(path)
    assert path.read_bytes() == once


def test_64_bit_media_sizes(tmp_path):
    path = plain(tmp_path / "a.mp4", movflags="faststart")
    pictures, data = decoded(path), path.read_bytes()
    with path.open("rb") as file:
        places = {box.kind: box for box in file_boxes(file)}
    moov, mdat = places[b"moov"], places[b"mdat"]
    tree = Box(kind=b"moov", children=parse_boxes(data[moov.start + 8 : moov.end]))
    # The wide header moves the media by 8 bytes: the same arithmetic as a moov that grew by 8.
    moved = shift_chunk_offsets(tree, old_size=moov.size - 8, moved_from=moov.end)
    wide = struct.pack(">I4sQ", 1, b"mdat", mdat.size + 8) + data[mdat.start + 8 : mdat.end]
    path.write_bytes(data[: moov.start] + moved + data[moov.end : mdat.start] + wide + data[mdat.end :])
    assert decoded(path) == pictures
    inject_spherical(path)
    assert decoded(path) == pictures
    assert spherical_versions(path) == (1, 2)


def table(kind, values):
    letter = "I" if kind == b"stco" else "Q"
    return Box(kind=kind, payload=struct.pack(f">II{len(values)}{letter}", 0, len(values), *values))


def tree_with(*tables):
    def nest(box):
        for kind in (b"stbl", b"minf", b"mdia", b"trak"):
            box = Box(kind=kind, children=[box])
        return box

    return Box(kind=b"moov", children=[nest(box) for box in tables])


def test_offsets_beyond_four_gigabytes_become_64_bit():
    limit = 2**32
    moov = tree_with(table(b"stco", [100, limit - 10]), table(b"co64", [limit + 5]), table(b"stco", [2000]))
    old = len(box_bytes(moov))
    moov.children.append(Box(kind=b"free", payload=bytes(92)))
    out = shift_chunk_offsets(moov, old_size=old, moved_from=500)
    growth = len(out) - old
    assert growth == 100 + 2 * 4
    tables = [t.children[0].children[0].children[0].children[0] for t in parse_boxes(out[8:])[:3]]
    unpacked = [
        (t.kind, list(struct.unpack(f">{(len(t.payload) - 8) // n}{c}", t.payload[8:])))
        for t, n, c in zip(tables, (8, 8, 4), "QQI", strict=True)
    ]
    assert parse_boxes(out)[0].kind == b"moov"
    assert unpacked == [
        (b"co64", [100, limit - 10 + growth]),
        (b"co64", [limit + 5 + growth]),
        (b"stco", [2000 + growth]),
    ]


def test_damaged_files_are_refused_and_kept(tmp_path):
    path = plain(tmp_path / "a.mp4", movflags="faststart")
    whole = path.read_bytes()
    for wrong in (whole[: len(whole) // 2], b"", b"junk" * 20, b"\0\0\0\0"):
        path.write_bytes(wrong)
        with pytest.raises(MediaError, match="MP4"):
            inject_spherical(path)
        assert path.read_bytes() == wrong
    fragmented = plain(tmp_path / "b.mp4", movflags="frag_keyframe+empty_moov")
    with pytest.raises(MediaError, match="fragmented"):
        inject_spherical(fragmented)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]
    with pytest.raises(MediaError, match="cannot write"):
        inject_spherical(tmp_path / "missing.mp4")
