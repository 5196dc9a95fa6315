"""Hand-made layout labels of the bundled photographs, for fine-tuning on real images.

One row per azimuth (degrees from the image's left edge), linear in between:
(azimuth, floor, base, top, sky, wall): latitudes in degrees. Below `floor` lies the flat floor; between
`base` and `top` stands something at horizontal distance `wall` metres (0: where the floor ends at `base`;
-1: unknown distance, but known not to be sky); above `sky` is sky. What lies between is left out.
Photographs that judge the network (courtyard, sunrise) have no labels here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PHOTO_LABELS", "PhotoLabel"]

Row = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoLabel:
    """Layout of one photograph.

    Attributes:
        rows: see the module.
        height: assumed height of the camera above the floor, metres.
        ceiling: height of a ceiling above the camera, metres; 0 under the sky. With a ceiling the walls'
            distances follow from `top`, and `sky` is the latitude above which the ceiling is seen.
        indoor: fill what is left out from the perspective teacher.
    """

    rows: tuple[Row, ...]
    height: float = 1.6
    ceiling: float = 0.0
    indoor: bool = False


def _skyline(points: str, *, floor: float, base: float, wall: float) -> tuple[Row, ...]:
    """Rows of a far skyline, from "azimuth:top azimuth:top ..."."""
    pairs = (tuple(float(v) for v in word.split(":")) for word in points.split())
    return tuple((azimuth, floor, base, top, top, wall) for azimuth, top in pairs)


_CITY = _skyline(
    "0:43 44:45 45:10 47:10 48:27 79:28 80:22 93:22 94:5 97:5 98:14 101:14 102:24 105:34 132:34 "
    "133:24 136:24 137:2 167:2 168:31 190:32 191:26 218:25 219:3 225:3 226:25 243:30 256:25 257:7 "
    "272:7 273:24 307:24 308:33 320:33 321:19 339:23 340:9 351:9 352:38 360:43",
    floor=-9.8,
    base=-7.5,
    wall=70.0,
)
_NIGHT = _skyline(
    "0:3 12:4 20:3 44:4 48:7 56:10 62:7 66:10 88:10 90:7 118:7 124:10 140:9 148:12 160:15 178:10 "
    "188:14 198:11 205:8 212:13 225:13 232:8 236:4 244:5 260:5 276:1 285:3 300:3 306:5 312:4 328:4 "
    "330:9 344:10 348:6 352:9 360:7",
    floor=-2.5,
    base=-1.0,
    wall=60.0,
)
_YOKOHAMA = _skyline(
    "0:9 14:12 31:14 32:57 56:58 57:20 66:20 67:12 75:12 76:24 85:24 86:12 102:12 103:38 120:39 "
    "121:8 138:9 139:15 155:12 159:18 174:18 175:12 182:12 183:17 193:17 194:10 200:18 230:30 242:38 "
    "249:30 262:28 263:10 276:10 277:29 287:29 290:38 303:48 314:40 317:55 340:59 346:57 347:15 "
    "360:12",
    floor=-14.0,
    base=-2.0,
    wall=60.0,
)
_SUNSET = (
    (0, -4, -3, 26, 26, 0),
    (20, -4, -3, 20, 20, 0),
    (22, -4, -3, 12, 12, 0),
    (33, -4, -3, 12, 12, 0),
    (35, -4, -3, 16, 16, 0),
    (48, -4, -3, 17, 17, 0),
    (55, -3, -2.5, 13, 13, 0),
    (70, -3, -2.5, 12, 12, 0),
    (72, -3, -2, 7, 7, 0),
    (91, -3, -2, 6, 6, 0),
    (92, -32, 1, 2, 5, -1),
    (112, -32, 1, 2, 5, -1),
    (113, -2, -1.5, 1, 1, 60),
    (200, -2, -1.5, 1, 1, 60),
    (202, -2, -1.5, 2, 3, 60),
    (240, -2, -1.5, 2, 3, 60),
    (250, -2, -1.5, 1, 2, 60),
    (252, -25, 0, 1, 2, -1),
    (280, -25, 0, 1, 9, -1),
    (283, -3, -2, 4, 7, 0),
    (300, -3.5, -3, 7, 8, 0),
    (312, -3.5, -3, 12, 13, 0),
    (315, -5, -4, 14, 16, 0),
    (316, -6, -5, 25, 26, 0),
    (318, -6, -5, 27, 28, 0),
    (335, -6, -5, 31, 32, 0),
    (350, -6, -5, 35, 36, 0),
    (353, -6, -5, 33, 34, 0),
    (355, -5, -4, 15, 17, 0),
    (360, -4, -3, 26, 26, 0),
)
_GOLDEN_GATE = (
    (0, -15, -5, -4, 56, -1),
    (90, -15, -5, -4, 55, -1),
    (95, -17, -5, -4, 50, -1),
    (104, -20, -5, -4, 45, -1),
    (105, -20, -18, -6, 45, 0),
    (112, -28, -26, -10, 42, 0),
    (120, -38, -36, -14, 38, 0),
    (130, -44, -42, -18, 32, 0),
    (140, -45, -43, -19, 25, 0),
    (145, -45, -43, -19, 12, 0),
    (150, -45, -43, -20, 6, 0),
    (180, -45, -43, -21, 4, 0),
    (215, -45, -43, -17, 4, 0),
    (222, -44, -42, -15, 4, 0),
    (230, -41, -39, -16, 4, 0),
    (240, -35, -33, -14, 4, 0),
    (250, -29, -5, -4, 4, -1),
    (260, -33, -5, -4, 5, -1),
    (295, -33, -5, -4, 7, -1),
    (300, -15, -5, -4, 7, -1),
    (330, -15, -5, -4, 9, -1),
    (335, -15, -5, -4, 22, -1),
    (345, -15, -5, -4, 32, -1),
    (352, -15, -5, -4, 44, -1),
    (360, -15, -5, -4, 56, -1),
)
_ANDES_SKY = (
    "0:20 20:15 30:7 60:6 75:12 90:5 120:4 135:4 143:7 148:11 155:8 165:6 190:6 210:8 225:10 240:10 "
    "255:13 268:13 272:19 285:18 300:22 305:33 312:35 320:28 330:23 340:26 352:24 360:20"
)
_ANDES = tuple(
    (az, -40.0, -4.0, top - 1, top + 1, 70.0 if 50 < az < 235 else -1.0)
    for az, _, _, top, _, _ in _skyline(_ANDES_SKY, floor=0, base=0, wall=0)
)
_FOREST = (
    (0, -52, -3, 1, 90, -1),
    (45, -52, -3, 1, 90, -1),
    (47, -14, -3, 1, 90, -1),
    (60, -12, -3, 1, 90, -1),
    (100, -18, -3, 1, 90, -1),
    (135, -20, -3, 1, 90, -1),
    (150, -12, -3, 1, 90, -1),
    (185, -10, -3, 1, 62, -1),
    (198, -14, -3, 1, 62, -1),
    (215, -27, -3, 1, 62, -1),
    (230, -40, -3, 1, 62, -1),
    (240, -50, -3, 1, 50, -1),
    (262, -53, -3, 1, 50, -1),
    (270, -34, -3, 1, 50, -1),
    (280, -33, -3, 1, 60, -1),
    (290, -33, -3, 1, 90, -1),
    (305, -33, -3, 1, 90, -1),
    (320, -41, -3, 1, 90, -1),
    (345, -52, -3, 1, 90, -1),
    (360, -52, -3, 1, 90, -1),
)
_INTERIOR = (
    (0, -70, -8, 41, 43, 0),
    (11, -70, -10, 42, 44, 0),
    (13, -46, -40, 42, 44, 0),
    (36, -46, -40, 42, 44, 0),
    (38, -30, -22, 35, 39, 0),
    (56, -28, -22, 35, 39, 0),
    (66, -30, -8, 33, 39, 0),
    (70, -59, -8, 33, 39, 0),
    (75, -59, -8, 34, 38, 0),
    (120, -60, -8, 42, 45, 0),
    (150, -58, -15, 40, 43, 0),
    (188, -54, -15, 39, 43, 0),
    (192, -47, -40, 40, 43, 0),
    (214, -47, -40, 41, 44, 0),
    (217, -73, 0, 41, 44, 0),
    (255, -73, 0, 35, 39, 0),
    (261, -73, 0, 29, 36, 0),
    (280, -73, 0, 30, 34, 0),
    (313, -73, 0, 35, 38, 0),
    (337, -73, -5, 31, 36, 0),
    (350, -70, -5, 38, 41, 0),
    (360, -70, -8, 41, 43, 0),
)
_STUDIO = (
    (0, -45, -43, 28, 65, 0),
    (30, -44, -42, 28, 65, 0),
    (50, -35, -33, 15, 65, 0),
    (60, -30, -27, 12, 65, 0),
    (62, -45, 2, 3, 65, -1),
    (123, -45, 2, 3, 65, -1),
    (125, -29, -26, 28, 65, 0),
    (132, -36, -33, 28, 65, 0),
    (150, -44, -42, 28, 65, 0),
    (180, -49, -47, 28, 65, 0),
    (190, -49, -47, 28, 65, 0),
    (210, -45, -43, 28, 65, 0),
    (230, -38, -36, 20, 65, 0),
    (240, -36, -34, 15, 65, 0),
    (305, -38, -35, 22, 65, 0),
    (315, -39, -36, 28, 65, 0),
    (330, -44, -42, 28, 65, 0),
    (345, -46, -44, 28, 65, 0),
    (360, -45, -43, 28, 65, 0),
)

PHOTO_LABELS: dict[str, PhotoLabel] = {
    "city": PhotoLabel(rows=_CITY),
    "night": PhotoLabel(rows=_NIGHT),
    "sunset": PhotoLabel(rows=_SUNSET),
    "golden_gate": PhotoLabel(rows=_GOLDEN_GATE),
    "yokohama": PhotoLabel(rows=_YOKOHAMA),
    "andes": PhotoLabel(rows=_ANDES),
    "garden_path": PhotoLabel(rows=_FOREST),
    "hotel_room": PhotoLabel(rows=_INTERIOR, height=1.4, ceiling=1.4, indoor=True),
    "studio": PhotoLabel(rows=_STUDIO, ceiling=2.6, indoor=True),
}
