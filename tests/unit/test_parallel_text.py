"""Public sentence pairs, from archives that are built as their publishers' are."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from kindling.datasets.parallel_text import DATA_SETS
from kindling.errors import UserError


def get(name: str, folder: Path, base: str) -> dict[str, int]:
    (found,) = (found for found in DATA_SETS if found.name == name)
    return found.get(folder, base)


def lines(folder: Path, part: str, language: str) -> list[str]:
    return (folder / part / f"{part}.{language}").read_text(encoding="utf-8").splitlines()


def test_multi30k_is_unpacked_into_its_parts(served: Path, server: str, tmp_path: Path) -> None:
    for name in ("train", "val", "test_2016_flickr"):
        for language, text in (("de", "Zwei  Männer\nEin Hund\n"), ("en", "Two men\nA dog\n")):
            (served / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    assert get("multi30k", tmp_path / "made", server) == {"train": 2, "dev": 2, "test": 2}
    assert lines(tmp_path / "made", "dev", "de") == ["Zwei Männer", "Ein Hund"]
    assert lines(tmp_path / "made", "test", "en") == ["Two men", "A dog"]


def test_no_sentence_of_tatoeba_is_in_two_parts(served: Path, server: str, tmp_path: Path) -> None:
    german = [f"Satz {number % 900}." for number in range(1000)]
    english = [f"Sentence {number}." for number in range(1000)]
    with zipfile.ZipFile(served / "de-en.txt.zip", "w") as archive:
        for language, found in (("de", german), ("en", english)):
            archive.writestr(f"Tatoeba.de-en.{language}", "".join(f"{line}\n" for line in found))
    counts = get("tatoeba", tmp_path / "made", server)
    assert counts["dev"] >= 40
    assert counts["test"] >= 40
    assert counts["train"] > 800
    for language in ("de", "en"):
        parts = [set(lines(tmp_path / "made", part, language)) for part in ("train", "dev", "test")]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]


def iwslt14() -> bytes:
    """An archive as the campaign's: tags of talks among the lines, tests as XML."""
    files: dict[str, str] = {}
    for language, word in (("de", "Satz"), ("en", "sentence")):
        talk = "<url>http://x</url>\n<keywords>talks</keywords>\n<title>The title</title>\n"
        sentences = "".join(f" {word} {number} & more \n" for number in range(1, 46))
        files[f"de-en/train.tags.de-en.{language}"] = talk + sentences
        for name in ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012"):
            segments = f'<seg id="1"> {word} &amp; test </seg>\n<seg id="2">{word} two</seg>\n'
            files[f"de-en/IWSLT14.{name}.de-en.{language}.xml"] = f"<doc><title>x</title>\n{segments}</doc>\n"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def test_iwslt14_is_split_as_fairseqs_recipe_splits_it(served: Path, server: str, tmp_path: Path) -> None:
    (served / "de-en.tgz").write_bytes(iwslt14())
    assert get("iwslt14", tmp_path / "made", server) == {"train": 44, "dev": 2, "test": 10}
    assert lines(tmp_path / "made", "train", "de")[:2] == ["The title", "Satz 1 & more"]
    assert lines(tmp_path / "made", "dev", "en") == ["sentence 22 & more", "sentence 45 & more"]
    assert lines(tmp_path / "made", "test", "de")[:2] == ["Satz & test", "Satz two"]


@pytest.mark.parametrize("sent", [b"<html>sign in to this network</html>", gzip.compress(b"no archive"), b""])
@pytest.mark.parametrize(("name", "path"), [("iwslt14", "de-en.tgz"), ("tatoeba", "de-en.txt.zip")])
def test_what_is_another_thing_is_refused_and_not_kept(
    served: Path, server: str, tmp_path: Path, name: str, path: str, sent: bytes
) -> None:
    (served / path).write_bytes(sent)
    with pytest.raises(UserError, match=rf"is not {name}; try again later, or bring a folder of your own"):
        get(name, tmp_path / "made", server)
    assert not (tmp_path / "made").exists()


def test_texts_of_different_lengths_are_refused(served: Path, server: str, tmp_path: Path) -> None:
    for name in ("train", "val", "test_2016_flickr"):
        for language, text in (("de", "a\nb\n"), ("en", "a\n")):
            (served / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(UserError, match="is not multi30k"):
        get("multi30k", tmp_path / "made", server)


def test_without_a_network_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"multi30k could not be downloaded from .* \(no connection\); bring a folder"):
        get("multi30k", tmp_path, "http://127.0.0.1:9")
