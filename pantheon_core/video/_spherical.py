"""360° metadata in MP4: what VR players and video sites go by. Both versions are written.

V1 is an XML text in a uuid box of the video track, V2 the boxes st3d and sv3d in its sample entry.

Source: https://github.com/google/spatial-media, docs/spherical-video-rfc.md and spherical-video-v2-rfc.md.
"""

from __future__ import annotations

import os
import shutil
import struct
import uuid
from pathlib import Path
from typing import BinaryIO

from ..errors import MediaError
from ._mp4 import Box, box_bytes, file_boxes, parse_boxes, shift_chunk_offsets

__all__ = ["inject_spherical", "spherical_versions"]

_V1_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
_V1_XML = (
    '<?xml version="1.0"?>'
    '<rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">'
    "<GSpherical:Spherical>true</GSpherical:Spherical>"
    "<GSpherical:Stitched>true</GSpherical:Stitched>"
    "<GSpherical:StitchingSoftware>{software}</GSpherical:StitchingSoftware>"
    "<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>"
    "</rdf:SphericalVideo>"
)
_SOFTWARE = "Pantheon360"
_VISUAL_ENTRY = 78  # bytes of a VisualSampleEntry before its boxes: ISO/IEC 14496-12, 12.1.3
_VISUAL_KINDS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09", b"mp4v"})
_COPY_CHUNK = 1 << 20


def st3d_box() -> Box:
    """Stereo mode: monoscopic."""
    return Box(kind=b"st3d", payload=struct.pack(">IB", 0, 0))


def sv3d_box(source: str = _SOFTWARE) -> Box:
    """The whole sphere as one equirectangular image, without a turn; `source` names the writing software."""
    svhd = Box(kind=b"svhd", payload=bytes(4) + source.encode() + b"\0")
    prhd = Box(kind=b"prhd", payload=bytes(4) + struct.pack(">3i", 0, 0, 0))
    equi = Box(kind=b"equi", payload=bytes(4) + struct.pack(">4I", 0, 0, 0, 0))
    proj = Box(kind=b"proj", payload=box_bytes(prhd) + box_bytes(equi))
    return Box(kind=b"sv3d", payload=box_bytes(svhd) + box_bytes(proj))


def uuid_box(software: str = _SOFTWARE) -> Box:
    """The V1 XML in its uuid box."""
    return Box(kind=b"uuid", payload=_V1_UUID + _V1_XML.format(software=software).encode())


def inject_spherical(path: str | os.PathLike[str]) -> None:
    """Mark an MP4 file as monoscopic equirectangular 360° video, in place and at once or not at all.

    The media data is copied as a stream, byte for byte. Marks that are there already are replaced.

    Raises:
        MediaError: not an MP4 with a video track, a fragmented one, or it cannot be written.
    """
    path = Path(path)
    target = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with path.open("rb") as source, target.open("xb") as out:
            _copy_with_marks(source, out)
        target.replace(path)
    except OSError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path}: cannot write the 360° metadata: {error}") from error
    finally:
        target.unlink(missing_ok=True)


def spherical_versions(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Which versions of 360° metadata an MP4 or MOV file carries: (), (1,), (2,) or (1, 2).

    Raises:
        MediaError: the file is damaged, or not an MP4 or MOV.
    """
    with Path(path).open("rb") as file:
        moov, _, _ = _read_moov(file)
    found = set()
    for track in _video_tracks(moov):
        if any(box.payload.startswith(_V1_UUID) for box in track.find(b"uuid")):
            found.add(1)
        for stsd in track.find(b"mdia", b"minf", b"stbl", b"stsd"):
            for entry in parse_boxes(stsd.payload[8:]):
                if entry.kind in _VISUAL_KINDS and b"sv3d" in [box.kind for box in _entry_boxes(entry)]:
                    found.add(2)
    return tuple(sorted(found))


def _read_moov(file: BinaryIO) -> tuple[Box, int, int]:
    """The parsed moov box, its offset and its length in the file."""
    boxes = file_boxes(file)
    places = [box for box in boxes if box.kind == b"moov"]
    if len(places) != 1:
        raise MediaError(f"MP4: expected one moov box, got {len(places)}; the file is not a finished MP4")
    place = places[0]
    file.seek(place.start + place.header)
    children = parse_boxes(file.read(place.size - place.header))
    return Box(kind=b"moov", children=children), place.start, place.size


def _copy_with_marks(source: BinaryIO, out: BinaryIO) -> None:
    if any(box.kind == b"moof" for box in file_boxes(source)):
        raise MediaError("MP4: fragmented files are not supported; remux it into a plain MP4 first")
    moov, start, size = _read_moov(source)
    tracks = _video_tracks(moov)
    if not tracks:
        raise MediaError("MP4: expected a video track, got none; only video can be marked as 360°")
    for track in tracks:
        _mark(track)
    changed = shift_chunk_offsets(moov, old_size=size, moved_from=start + size)
    source.seek(0)
    left = start
    while left:
        chunk = source.read(min(left, _COPY_CHUNK))
        if not chunk:
            raise MediaError("MP4: the file became shorter while it was read")
        out.write(chunk)
        left -= len(chunk)
    out.write(changed)
    source.seek(start + size)
    shutil.copyfileobj(source, out, _COPY_CHUNK)


def _video_tracks(moov: Box) -> list[Box]:
    """Tracks whose handler is "vide"; the handler type follows version, flags and a reserved word."""
    return [
        track
        for track in moov.find(b"trak")
        if any(handler.payload[8:12] == b"vide" for handler in track.find(b"mdia", b"hdlr"))
    ]


def _entry_boxes(entry: Box) -> list[Box]:
    return parse_boxes(entry.payload[_VISUAL_ENTRY:])


def _mark(track: Box) -> None:
    children = track.children if track.children is not None else []
    children[:] = [box for box in children if not (box.kind == b"uuid" and box.payload.startswith(_V1_UUID))]
    children.append(uuid_box())
    marked = 0
    for stsd in track.find(b"mdia", b"minf", b"stbl", b"stsd"):
        entries = parse_boxes(stsd.payload[8:])
        for entry in entries:
            if entry.kind not in _VISUAL_KINDS:
                continue
            kept = [box for box in _entry_boxes(entry) if box.kind not in (b"st3d", b"sv3d")]
            parts = [*kept, st3d_box(), sv3d_box()]
            entry.payload = entry.payload[:_VISUAL_ENTRY] + b"".join(box_bytes(box) for box in parts)
            marked += 1
        stsd.payload = stsd.payload[:8] + b"".join(box_bytes(entry) for entry in entries)
    if not marked:
        raise MediaError("MP4: no known video sample entry in the track; use h264, h265 or av1")
