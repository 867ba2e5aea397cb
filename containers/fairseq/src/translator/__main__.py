"""`python -m translator train | serve`: what the image's entry point runs; the preparation; and the tool `convert`."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Train, serve, or use a tool; the exit code."""
    match arguments:
        case ["train"]:
            from translator.train import main as train

            return train()
        case ["serve"]:
            from translator.serve import serve

            return serve()
        case ["prepare", *rest]:
            from translator.preparation_job import main as prepare

            return prepare(rest)
        case ["convert", *rest]:
            from contract.tools import run_tool
            from translator.convert import convert

            return run_tool("translator", "convert", convert, rest)
        case _:
            print(
                "usage: python -m translator train | serve | prepare ... | convert INPUT OUTPUT, not"
                f" {' '.join(arguments) or 'nothing'}",
                file=sys.stderr,
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
