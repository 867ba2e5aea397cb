"""A cloud of SageMaker and Step Functions whose one image is a small program, in a process of its own.

`python -m tests.localcloud.training_cloud STATE` prints its port and runs until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from kindling.localcloud import stepfunctions
from tests.localcloud.sagemaker.embedded import start

if __name__ == "__main__":
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    cloud, _ = start(Path(sys.argv[1]))
    stepfunctions.install(cloud)
    print(cloud.port, flush=True)
    ending.wait()
    cloud.processes.end_all(grace_s=0)
    os._exit(0)
