"""Where the service puts a job's input and looks for its output: every path derives from one base directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BASE_DIRECTORY = "SAGEMAKER_BASE_DIR"


@dataclass(frozen=True)
class Paths:
    """The layout below the base directory, /opt/ml in a container."""

    base: Path = Path("/opt/ml")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The layout below SAGEMAKER_BASE_DIR, or below /opt/ml where it is not set."""
        given = environ.get(BASE_DIRECTORY)
        return cls(Path(given)) if given else cls()

    @property
    def hyperparameters(self) -> Path:
        return self.base / "input" / "config" / "hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        return self.base / "input" / "config" / "inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        return self.base / "input" / "config" / "resourceconfig.json"

    @property
    def data(self) -> Path:
        """Where the channels lie."""
        return self.base / "input" / "data"

    def channel(self, name: str) -> Path:
        """The folder of a channel in File mode; in Pipe mode its pipes are beside it, `<name>_0` and so on."""
        return self.data / name

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz; where a hosting container finds it unpacked."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """What becomes output.tar.gz."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """The file whose first 1024 characters become the job's FailureReason."""
        return self.base / "output" / "failure"

    @property
    def processing_config(self) -> Path:
        """What a processing job was asked for; there in no other container."""
        return self.base / "config" / "processingjobconfig.json"

    @property
    def processing_message(self) -> Path:
        """The file that becomes a processing job's ExitMessage."""
        return self.failure.with_name("message")

    @property
    def checkpoints(self) -> Path:
        """The folder that the service keeps in step with the job's checkpoint prefix."""
        return self.base / "checkpoints"
