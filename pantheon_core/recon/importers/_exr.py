"""One channel of an OpenEXR file.

FFmpeg decodes every compression of OpenEXR but knows only the channels of pictures; a lone channel of another
name ("Z" is what depth is called) it refuses. The name of the channel is one byte of the header, so it is
given the name "Y", which means a grey picture.

Source: https://openexr.com/en/latest/OpenEXRFileLayout.html (attribute "channels").
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import MediaError
from ...panorama._openexr import check_complete

__all__ = ["read_exr_channel"]

_MAGIC = b"\x76\x2f\x31\x01"
_CHANNELS = b"channels\0chlist\0"


def read_exr_channel(data: bytes, name: str) -> Tensor:
    """The only channel of an OpenEXR file.

    Args:
        data: the whole file.
        name: the file's name, for messages.

    Returns:
        (H, W) float32 as stored; NaN and infinity stay.

    Raises:
        MediaError: damaged, cut off, not OpenEXR, or with several channels.
    """
    from ...panorama._decode import _decode_av

    if data[:4] != _MAGIC:
        raise MediaError(f"{name}: expected an OpenEXR file, got something else; was it copied whole?")
    grey = _as_grey(data, name)
    check_complete(grey, name=name)
    pixels = _decode_av(grey, "exr", Path(name))
    return torch.from_numpy(np.ascontiguousarray(pixels[..., 0], dtype=np.float32))


def _as_grey(data: bytes, name: str) -> bytes:
    """The file with its only channel called "Y"."""
    damaged = MediaError(f"{name}: the EXR file is damaged or cut off; copy it again")
    at = data.find(_CHANNELS, 0, 1 << 16)
    start = at + len(_CHANNELS) + 4
    if at < 0 or len(data) < start:
        raise damaged
    (size,) = struct.unpack_from("<i", data, start - 4)
    listed = data[start : start + size]
    if size < 1 or len(listed) < size or listed[-1:] != b"\0":
        raise damaged
    names, offset = [], 0
    while offset < size - 1:
        end = listed.find(b"\0", offset)
        if end < 0 or end + 17 > size:
            raise damaged
        names.append(listed[offset:end])
        offset = end + 17  # the name's end, pixel type, linear flag and three reserved bytes, samplings
    if len(names) != 1 or len(names[0]) != 1:
        got = ", ".join(one.decode("latin-1") for one in names) or "none"
        raise MediaError(f"{name}: expected one channel of depth, such as Z, got {got}")
    return data[:start] + b"Y" + data[start + 1 :]
