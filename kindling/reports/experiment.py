"""The page of an experiment: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kindling.datasets.files import whole
from kindling.reports import figures
from kindling.reports.page import template


def write_experiment(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page.

    Args:
        result: as the experiment's execution gives it (docs/experiments.md).
    """
    groups = result["groups"]
    quality = {group["name"]: _interval(group["quality"]) for group in groups if group["quality"]}
    html = template("experiment.html").render(
        result=result,
        times=figures.stacked_bars("seconds", {group["name"]: group["seconds"] for group in groups}),
        costs=figures.stacked_bars(
            "instance-seconds", {group["name"]: {"instance-seconds": group["instance_seconds"]} for group in groups}
        ),
        quality=figures.intervals(str(result["measure"]), quality) if quality else None,
        written=datetime.now(UTC),
    )
    with whole(path) as file:
        file.write(html.encode())
    return path


def _interval(quality: Mapping[str, Any]) -> tuple[float, float | None]:
    return quality["mean"], quality["half_width"]
