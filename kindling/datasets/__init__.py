"""Corpora to train on: one that is on every machine that has boto3, one to download, or a file of your own."""

from kindling.datasets.corpus import Corpus, find

__all__ = ["Corpus", "find"]
