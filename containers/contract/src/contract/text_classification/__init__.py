"""What the text classifiers have in common: fastText's form of text, their requests, and how they are scored."""

from __future__ import annotations

import re

LABEL_PREFIX = "__label__"
SEPARATORS = re.compile("[ \\t\\n\\v\\f\\r\\0]+")  # between fastText's words; Python's own white space is more
END_OF_TEXT = "</s>"
MOST_LABELS_TESTED = 5
