"""What a person did or met that one sentence explains."""

from __future__ import annotations


class UserError(Exception):
    """Something that the person at the keyboard can mend. The message is one sentence, shown as it is."""
