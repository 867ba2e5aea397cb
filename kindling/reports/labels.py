"""Where the labels of a scatter plot go, so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_GAP = 4.0  # between a point and its label
_CHARACTER = 0.62  # width of a character in its size: the mean of a wide sans-serif face, so that all fit
_POINT = 2.0  # radius that a label keeps away from other points
_LINE = 1.1


@dataclass(frozen=True)
class Box:
    """A rectangle; y goes up."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def within(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


def place(
    points: Sequence[tuple[float, float]], texts: Sequence[str], sizes: Sequence[float], frame: Box
) -> list[Box | None]:
    """A place for each text beside its point, or None where there is no room; the first texts choose first.

    Args:
        sizes: font sizes in the units of the points.
    """
    dots = [Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    placed: list[Box] = []
    boxes: list[Box | None] = []
    for (x, y), text, size in zip(points, texts, sizes, strict=True):
        box = next(
            (
                candidate
                for candidate in _candidates(x, y, len(text) * size * _CHARACTER, size * _LINE)
                if candidate.within(frame) and not any(candidate.overlaps(other) for other in (*placed, *dots))
            ),
            None,
        )
        boxes.append(box)
        if box is not None:
            placed.append(box)
    return boxes


def _candidates(x: float, y: float, width: float, height: float) -> list[Box]:
    """To the right of the point, to the left, above and below it, then the corners."""
    corners = [
        (x + _GAP, y - height / 2),
        (x - _GAP - width, y - height / 2),
        (x - width / 2, y + _GAP / 2),
        (x - width / 2, y - _GAP / 2 - height),
        (x + _GAP / 2, y),
        (x + _GAP / 2, y - height),
        (x - _GAP / 2 - width, y),
        (x - _GAP / 2 - width, y - height),
    ]
    return [Box(left, bottom, left + width, bottom + height) for left, bottom in corners]
