"""Our HTTP server around nothing: every request gets the same answer, of a given size.

`python -m benchmarks.serving_constant FILE` runs in BlazingText's environment, with the environment variables of an
endpoint, and answers POST /invocations with the bytes of a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from contract.serving import JSON, Handler, run_server


def main() -> int:
    content = Path(sys.argv[1]).read_bytes()

    def answer(_body: bytes) -> bytes:
        return content

    return run_server(lambda _folder: {JSON: Handler(answer, answer)})


if __name__ == "__main__":
    sys.exit(main())
