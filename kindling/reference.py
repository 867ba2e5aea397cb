"""The tables of docs/algorithms/*.md and docs/settings.md, written from the algorithms' descriptions and the settings.

`python -m kindling.reference` rewrites the part of each page between the two markers; a test holds the pages to it.
"""

from __future__ import annotations

from pathlib import Path

from containers.catalogue import algorithms
from contract.specification import Algorithm, Hyperparameter
from stacks.settings import Settings

SETTINGS = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
SETTINGS_BEGIN = "<!-- table: from stacks/settings.py, by `make docs` -->"
PAGES = Path(__file__).resolve().parents[1] / "docs" / "algorithms"
BEGIN, END = "<!-- tables: from algorithm.toml, by `make docs` -->", "<!-- end of tables -->"
SETTINGS_END = "<!-- end of the table -->"


def tables(algorithm: Algorithm) -> str:
    """Markdown tables of an algorithm's channels, hyperparameters, metrics and, where it has any, tools."""
    channels = [
        [f"`{name}`", "yes" if c.required else "no", ", ".join(c.content_types), ", ".join(c.distribution), c.doc]
        for name, c in algorithm.channels.items()
    ]
    hyperparameters = [
        [f"`{name}`", h.expectation(), _default(h), _tuning_range(h), h.doc]
        for name, h in algorithm.hyperparameters.items()
    ]
    metrics = [[f"`{m.name}`", m.goal, f"`{m.regex}`", m.doc] for m in algorithm.metrics]
    options = [
        [f"`{tool}`", f"`{name}`", o.expectation(), f"{o.default}", o.doc]
        for tool, t in algorithm.tools.items()
        for name, o in t.options.items()
    ]
    made = [
        markdown_table(["channel", "required", "content types", "distribution", "what it holds"], channels),
        markdown_table(["hyperparameter", "must be", "default", "to tune", "what it does"], hyperparameters),
        markdown_table(["metric", "goal", "log line", "what it is"], metrics),
    ]
    if algorithm.preparations:
        made.append(
            markdown_table(
                ["preparation", "raw data", "makes channels", "options", "what it does"], _preparations(algorithm)
            )
        )
    if options:
        made.append(markdown_table(["tool", "option", "must be", "default", "what it does"], options))
    return "\n\n".join(made)


def _preparations(algorithm: Algorithm) -> list[list[str]]:
    return [
        [
            f"`{name}`",
            ", ".join(f"`{raw}`" for raw in preparation.inputs),
            ", ".join(f"`{channel}`" for channel in preparation.channels),
            "; ".join(
                f"`{option}`: {described.expectation()}" + ("" if described.required else f" ({described.default})")
                for option, described in algorithm.preparation_options(preparation).items()
            ),
            preparation.doc,
        ]
        for name, preparation in algorithm.preparations.items()
    ]


def page_with_tables(text: str, algorithm: Algorithm) -> str:
    """The page of an algorithm with the part between its markers replaced.

    Raises:
        ValueError: the page has no markers.
    """
    return between(BEGIN, END, text, tables(algorithm))


def settings_page(text: str) -> str:
    """The page of the settings with its table replaced."""
    rows = [[f"`{key}`", *cells] for key, *cells in Settings.table()]
    table = markdown_table(["key", "must be", "default", "what it is for"], rows)
    return between(SETTINGS_BEGIN, SETTINGS_END, text, table)


def between(begin: str, end: str, text: str, made: str) -> str:
    """A page with the part between two markers replaced.

    Raises:
        ValueError: the page has no such markers.
    """
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"the page lacks the markers {begin} and {end}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def _default(hyperparameter: Hyperparameter) -> str:
    if hyperparameter.required:
        return "**required**"
    return "" if hyperparameter.default is None else f"{hyperparameter.default}"


def _tuning_range(hyperparameter: Hyperparameter) -> str:
    if hyperparameter.tunable is None:
        return ""
    low, *_, high = hyperparameter.tunable
    return f"{low:g} to {high:g}" if isinstance(low, float) else ", ".join(map(str, hyperparameter.tunable))


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; a bar in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    for name, algorithm in algorithms().items():
        page = PAGES / f"{name}.md"
        page.write_text(page_with_tables(page.read_text(encoding="utf-8"), algorithm), encoding="utf-8")
    SETTINGS.write_text(settings_page(SETTINGS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
