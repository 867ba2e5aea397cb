"""`python -m blazingtext train | serve`: what the image's entry point runs; and the tools `phrases`, `quantize`."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Train, serve, or use a tool; the exit code."""
    match arguments:
        case ["train"]:
            from blazingtext.train import main as train

            return train()
        case ["serve"]:
            from blazingtext.serve import serve

            return serve()
        case ["phrases", *rest]:
            from blazingtext.phrases import join
            from contract.tools import run_tool

            return run_tool("blazingtext", "phrases", join, rest)
        case ["quantize", *rest]:
            from blazingtext.quantised_model import quantise_file
            from contract.tools import run_tool

            return run_tool("blazingtext", "quantize", quantise_file, rest)
        case _:
            print(
                "usage: python -m blazingtext train | serve | phrases INPUT OUTPUT | quantize INPUT OUTPUT, not"
                f" {' '.join(arguments) or 'nothing'}",
                file=sys.stderr,
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
