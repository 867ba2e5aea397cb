"""What the SDK wants of the environment while it is imported, when there is no cloud yet: it makes a client then."""

from __future__ import annotations

import os

os.environ.update(AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
