"""Small real picture files of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pantheon_core.geometry import erp_rays

GPANO = "http://ns.google.com/photos/1.0/panorama/"


@pytest.fixture
def picture() -> np.ndarray:
    """(32, 64, 3) float64 0..1, smooth and different everywhere."""
    return (erp_rays(32).double().numpy() * 0.45 + 0.5).clip(0, 1)


@pytest.fixture
def write_jpeg(tmp_path: Path) -> Callable[..., Path]:
    """Write 8-bit RGB as JPEG of high quality, with an XMP packet or EXIF bytes."""
    from PIL import Image

    def write(image: np.ndarray, *, xmp: str = "", exif: bytes = b"", name: str = "photo.jpg") -> Path:
        path = tmp_path / name
        saved = Image.fromarray((image * 255).round().astype(np.uint8))
        saved.save(path, quality=100, subsampling=0, exif=exif)
        if xmp:
            payload = b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()
            segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
            data = path.read_bytes()
            path.write_bytes(data[:2] + segment + data[2:])
        return path

    return write


@pytest.fixture
def write_deep(tmp_path: Path) -> Callable[..., Path]:
    """Write (H, W, C) uint16 by FFmpeg as png or tiff."""
    import av

    def write(image: np.ndarray, kind: str) -> Path:
        path = tmp_path / f"deep.{kind}"
        order = {"png": "be", "tiff": "le"}[kind]
        name = {1: "gray16", 3: "rgb48", 4: "rgba64"}[image.shape[2]] + order
        frame = av.VideoFrame(image.shape[1], image.shape[0], name)
        plane = frame.planes[0]
        rows = np.zeros((image.shape[0], plane.line_size), np.uint8)
        raw = np.ascontiguousarray(image.astype(">u2" if order == "be" else "<u2"))
        rows[:, : raw.shape[1] * raw.shape[2] * 2] = raw.reshape(image.shape[0], -1).view(np.uint8)
        plane.update(rows.tobytes())
        encoder = av.CodecContext.create(kind, "w")
        encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0], name
        encoder.time_base = 1
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        path.write_bytes(b"".join(bytes(packet) for packet in packets))
        return path

    return write


def gpano_xmp(fields: dict[str, object], *, elements: bool = False, prefix: str = "GPano") -> str:
    """An XMP packet with GPano fields, as attributes or as elements."""
    attributes = "" if elements else " ".join(f'{prefix}:{k}="{v}"' for k, v in fields.items())
    body = "".join(f"<{prefix}:{k}>{v}</{prefix}:{k}>" for k, v in fields.items()) if elements else ""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:{prefix}="{GPANO}" {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    )


@pytest.fixture
def make_xmp() -> Callable[..., str]:
    return gpano_xmp
