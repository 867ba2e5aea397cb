"""`python -m gluon_fasttext train | serve`: what the image's entry point runs; and the tool `export`."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Train, serve, or use a tool; the exit code."""
    match arguments:
        case ["train"]:
            from gluon_fasttext.train import main as train

            return train()
        case ["serve"]:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a worker per core; NumPy reads it as it is imported
            from gluon_fasttext.serve import serve

            return serve()
        case ["export", *rest]:
            from contract.tools import run_tool
            from gluon_fasttext.export import export

            return run_tool("gluon_fasttext", "export", export, rest)
        case _:
            print(
                "usage: python -m gluon_fasttext train | serve | export INPUT OUTPUT, not"
                f" {' '.join(arguments) or 'nothing'}",
                file=sys.stderr,
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
