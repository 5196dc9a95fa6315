"""What a photograph says about itself: Photo Sphere XMP (GPano), EXIF and GPS."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

__all__ = ["GPano", "gpano_from_xmp", "metadata_of"]

_NAMESPACE = rb"http://ns\.google\.com/photos/1\.0/panorama/"
_GPS_IFD, _EXIF_IFD = 0x8825, 0x8769
_TEXT_TAGS = {0x010F: "make", 0x0110: "model", 0x0131: "software", 0x0132: "datetime"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GPano:
    """Photo Sphere metadata; None where the file says nothing.

    Attributes:
        projection: projection type, lower case.
        full: (width, height) of the whole sphere in pixels.
        crop: (left, top, width, height) of the stored picture within it, in pixels.
        heading: compass heading of the picture's centre, radians clockwise from north.
        pitch: elevation of the picture's centre above the horizon, radians.
        roll: radians; the horizon turns counterclockwise as it grows, as for our cameras.
        fields: every GPano field as text.

    Source: https://developers.google.com/streetview/spherical-metadata
    """

    projection: str | None
    full: tuple[int, int] | None
    crop: tuple[int, int, int, int] | None
    heading: float | None
    pitch: float | None
    roll: float | None
    fields: dict[str, str]


def gpano_from_xmp(xmp: bytes, *, name: str) -> GPano:
    """Read the GPano fields of an XMP packet, written as attributes or as elements.

    The packet is searched, not parsed as XML: cameras write packets that are not well formed, and an XML
    parser would expand entities of untrusted files.

    Raises:
        MediaError: a field that should be a number is not.
    """
    found = re.search(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + _NAMESPACE + rb"[\"']", xmp)
    prefix = re.escape(found.group(1) if found else b"GPano")
    fields: dict[str, str] = {}
    for pattern in (
        rb"\b" + prefix + rb":(\w+)\s*=\s*[\"']([^\"'<]*)[\"']",
        rb"<" + prefix + rb":(\w+)[^>/]*>([^<]*)</",
    ):
        for key, value in re.findall(pattern, xmp):
            fields.setdefault(key.decode("ascii", "replace"), value.decode("utf-8", "replace").strip())

    def number(key: str) -> float | None:
        text = fields.get(key)
        if text is None or not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise MediaError(f"{name}: expected a number in the metadata field GPano:{key}, got {text!r}")
        return value

    def angle(key: str) -> float | None:
        degrees = number(key)
        return None if degrees is None else math.radians(degrees)

    full = (number("FullPanoWidthPixels"), number("FullPanoHeightPixels"))
    crop = (
        number("CroppedAreaLeftPixels"),
        number("CroppedAreaTopPixels"),
        number("CroppedAreaImageWidthPixels"),
        number("CroppedAreaImageHeightPixels"),
    )
    projection = fields.get("ProjectionType")
    return GPano(
        projection=projection.lower() if projection else None,
        full=None if full[0] is None or full[1] is None else (round(full[0]), round(full[1])),
        crop=(
            None
            if crop[2] is None or crop[3] is None
            else (round(crop[0] or 0), round(crop[1] or 0), round(crop[2]), round(crop[3]))
        ),
        heading=angle("PoseHeadingDegrees"),
        pitch=angle("PosePitchDegrees"),
        roll=angle("PoseRollDegrees"),
        fields=fields,
    )


def metadata_of(image: Image, *, name: str) -> tuple[GPano, dict[str, str]]:
    """GPano fields and readable EXIF of an opened picture.

    Returns:
        the GPano fields, and text metadata: make, model, software, datetime, latitude, longitude (decimal
        degrees, north and east positive), altitude (metres), image_direction, and "GPano:<field>".
    """
    gpano = gpano_from_xmp(_xmp_packet(image), name=name)
    metadata = {f"GPano:{key}": value for key, value in gpano.fields.items()}
    exif = image.getexif()
    for tag, key in _TEXT_TAGS.items():
        if isinstance(text := exif.get(tag), str) and text.strip("\0 "):
            metadata[key] = text.strip("\0 ")
    if isinstance(taken := exif.get_ifd(_EXIF_IFD).get(0x9003), str):
        metadata["datetime"] = taken.strip("\0 ")
    metadata.update(_gps(exif))
    return gpano, metadata


def _xmp_packet(image: Image) -> bytes:
    for key in ("xmp", "XML:com.adobe.xmp"):
        packet = image.info.get(key)
        if isinstance(packet, bytes):
            return packet
        if isinstance(packet, str):
            return packet.encode()
    for marker, payload in getattr(image, "applist", ()):  # JPEG, before Pillow 11
        if marker == "APP1" and payload.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            return payload
    tags = getattr(image, "tag_v2", None)
    packet = tags.get(700) if tags is not None else None
    return packet if isinstance(packet, bytes) else b""


def _gps(exif: Exif) -> dict[str, str]:
    gps = exif.get_ifd(_GPS_IFD)
    out: dict[str, str] = {}
    for key, reference, value, negative in (("latitude", 1, 2, "S"), ("longitude", 3, 4, "W")):
        parts = gps.get(value)
        if isinstance(parts, tuple) and len(parts) == 3:
            degrees = sum(_number(part) / 60**i for i, part in enumerate(parts))
            sign = -1 if str(gps.get(reference, "")).strip("\0 ").upper().startswith(negative) else 1
            if math.isfinite(degrees):
                out[key] = f"{sign * degrees:.7f}"
    if 6 in gps and math.isfinite(altitude := _number(gps[6])):
        below = gps.get(5) in (1, b"\x01")
        out["altitude"] = f"{-altitude if below else altitude:.3f}"
    if 17 in gps and math.isfinite(direction := _number(gps[17])):
        out["image_direction"] = f"{direction:.3f}"
    return out


def _number(value: object) -> float:
    """A float from an EXIF rational; NaN where it is none, or divides by zero."""
    try:
        return float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
