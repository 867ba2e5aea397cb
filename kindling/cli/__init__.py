"""The command line `kindling`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line. What a person can mend is one sentence on stderr and exit code 1."""
    from kindling.cli import failures
    from kindling.cli.app import app

    try:
        app(prog_name="kindling")
    except Exception as error:
        sentence = failures.sentence_of(error)
        if sentence is None:
            raise  # ours to mend: the traceback helps
        print(sentence, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
