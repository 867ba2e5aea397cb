"""verify: whether an image keeps SageMaker's container contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kindling.cli.algorithm import ChannelOption, SetOption
from kindling.cli.terminal import notes, output, pairs, table

_COLOURS = {"pass": "green", "fail": "bold red", "skip": "yellow"}


def verify(
    image: Annotated[str, typer.Argument(metavar="IMAGE_OR_FOLDER", help="An image, or the folder of a Dockerfile.")],
    channel: ChannelOption = None,
    set_: SetOption = None,
    long: Annotated[
        list[str] | None,
        typer.Option("--long", metavar="NAME=VALUE", help="A hyperparameter that makes training take minutes."),
    ] = None,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="A model to serve, not the trained one.")] = None,
    body: Annotated[str, typer.Option(help="An example request that is to be answered with 200.")] = "",
    content_type: Annotated[str, typer.Option(help="Its content type.")] = "application/json",
    json_: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Hold an image against SageMaker's container contract, and print what was found. Needs a Docker engine."""
    import json
    from dataclasses import asdict

    from kindling import image_builds
    from kindling.errors import UserError
    from kindling.image_trial import Subject
    from kindling.verification import verify

    channels = {name: Path(path).expanduser() for name, path in pairs(channel or [], "--channel").items()}
    for name, path in channels.items():
        if not path.exists():
            raise UserError(f"channel {name}: {path} does not exist; name a file or a folder.")
    if model is not None and not model.is_dir():
        raise UserError(f"--model {model} is no folder.")
    engine = image_builds.connect()
    if Path(image).is_dir():
        image = image_builds.build_folder(engine, Path(image), lambda line: notes().print(line, markup=False)).id
    elif not image_builds.has(engine, image):
        raise UserError(f"the Docker engine has no image {image}, and there is no such folder; pull or build it first.")
    subject = Subject(
        image=image,
        channels=channels,
        hyperparameters=pairs(set_ or [], "--set"),
        long=pairs(long or [], "--long"),
        model=model,
        body=body.encode(),
        content_type=content_type,
    )
    findings = verify(engine, subject, lambda name: notes().print(f"  {name}", style="dim", markup=False))
    if json_:
        output().print(json.dumps([asdict(finding) for finding in findings]), markup=False)
    else:
        found = table("check", "", "what was found")
        for finding in findings:
            found.add_row(finding.check, f"[{_COLOURS[finding.outcome]}]{finding.outcome}[/]", _plain(finding.words))
        output().print(found)
    failed = sum(finding.outcome == "fail" for finding in findings)
    if failed:
        notes().print(f"{failed} of {len(findings)} checks failed.", style="red", markup=False)
        raise typer.Exit(1)


def _plain(words: str) -> str:
    from rich.markup import escape

    return escape(words)
