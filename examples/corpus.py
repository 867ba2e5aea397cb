"""A small corpus that nobody has to download: documentation inside the installed botocore, as text8 is written.

Lower-case words and single spaces. `python examples/corpus.py FILE` writes it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from botocore.session import get_session

_SERVICES = ("ec2", "s3", "iam", "lambda", "sagemaker", "rds", "dynamodb", "sqs", "sns", "cloudformation")


def write(path: Path) -> Path:
    """Write the documentation of ten services, a service on each line: about half a million words."""
    session = get_session()
    with path.open("w", encoding="utf-8") as file:
        for service in _SERVICES:
            model = session.get_service_model(service)
            texts = [model.documentation]
            for name in model.operation_names:
                texts.append(model.operation_model(name).documentation)
            for name in model.shape_names:
                shape = model.shape_for(name)
                texts.append(shape.documentation)
                texts += [member.documentation for member in getattr(shape, "members", {}).values()]
            words = re.findall("[a-z]+", re.sub("<[^>]+>", " ", " ".join(texts)).lower())
            file.write(" ".join(words) + "\n")
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]))
