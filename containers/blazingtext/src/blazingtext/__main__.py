"""`python -m blazingtext train | serve`: what the image's entry point runs."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Train or serve; the exit code."""
    match arguments:
        case ["train"]:
            from blazingtext.train import main as train

            return train()
        case ["serve"]:
            from blazingtext.serve import serve

            return serve()
        case _:
            print(
                f"usage: python -m blazingtext train | serve, not {' '.join(arguments) or 'nothing'}", file=sys.stderr
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
