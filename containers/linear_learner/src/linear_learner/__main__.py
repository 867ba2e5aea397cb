"""`python -m linear_learner train | serve`: what the image's entry point runs; preparation; and tools."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Train, serve, or use a tool; the exit code."""
    match arguments:
        case ["train"]:
            from linear_learner.train import main as train

            return train()
        case ["serve"]:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a worker per core; NumPy reads it as it is imported
            from linear_learner.serve import serve

            return serve()
        case ["prepare", *rest]:
            from linear_learner.preparation_job import main as prepare

            return prepare(rest)
        case ["export" | "import" as name, *rest]:
            from contract.tools import run_tool
            from linear_learner import builtin_format

            use = builtin_format.export_model if name == "export" else builtin_format.import_model
            return run_tool("linear_learner", name, use, rest)
        case _:
            print(
                "usage: python -m linear_learner train | serve | prepare ... | export INPUT OUTPUT |"
                " import INPUT OUTPUT, not"
                f" {' '.join(arguments) or 'nothing'}",
                file=sys.stderr,
            )
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
