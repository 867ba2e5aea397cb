"""Public labelled texts, from archives that are built as their publishers' are."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kindling.cli.data import data_sets, get
from kindling.errors import UserError


def archive(folder: str, **members: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in members.items():
            member = tarfile.TarInfo(f"{folder}/{name}.csv")
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def lines(folder: Path, part: str) -> list[str]:
    return (folder / part / f"{part}.txt").read_text(encoding="utf-8").splitlines()


def test_every_twentieth_row_validates_and_fields_become_one_line(served: Path, server: str, tmp_path: Path) -> None:
    rows = "".join(
        f'"{number % 4 + 1}","Title {number}","A ""quoted"" word\nand more, \u00e9"\n' for number in range(1, 41)
    )
    (served / "ag_news_csv.tgz").write_bytes(archive("ag_news_csv", train=rows, test='"4","x","y"\n'))
    assert data_sets()["ag-news"].get(tmp_path, server) == {"train": 38, "validation": 2, "test": 1}
    assert lines(tmp_path, "train")[0] == '__label__Sports Title 1 A "quoted" word and more, \u00e9'
    assert [line.split(" A ")[0] for line in lines(tmp_path, "validation")] == [
        "__label__World Title 20",
        "__label__World Title 40",
    ]
    assert lines(tmp_path, "test") == ["__label__Sci/Tech x y"]


def test_yelps_line_breaks_and_dbpedias_bare_numbers_are_read(served: Path, server: str, tmp_path: Path) -> None:
    many = '"1","so, so"\n' * 20
    reviews = archive("yelp_review_polarity_csv", train=many, test='"2","good\\nfood"\n"1","""bad"""\n')
    (served / "yelp_review_polarity_csv.tgz").write_bytes(reviews)
    data_sets()["yelp-polarity"].get(tmp_path / "yelp", server)
    assert lines(tmp_path / "yelp", "test") == ["__label__positive good food", '__label__negative "bad"']
    (served / "dbpedia_csv.tgz").write_bytes(archive("dbpedia_csv", train='3,"A"," b"\n' * 20, test='14,"Book"," c"\n'))
    data_sets()["dbpedia"].get(tmp_path / "dbpedia", server)
    assert lines(tmp_path / "dbpedia", "test") == ["__label__WrittenWork Book c"]


@pytest.mark.parametrize(
    "sent",
    [
        b"<html>sign in</html>",
        archive("ag_news_csv", train='"1","a"\n' * 20),
        archive("ag_news_csv", train='"1","a"\n' * 20, test='"5","no such class"\n'),
        archive("ag_news_csv", train='"1","a"\n' * 20, test='"1"\n'),
        archive("ag_news_csv", train='"1","too few to validate"\n', test='"1","a"\n'),
        archive("ag_news_csv", train='"one","a"\n' * 20, test='"1","a"\n'),
    ],
)
def test_what_is_another_thing_is_refused_and_not_kept(served: Path, server: str, tmp_path: Path, sent: bytes) -> None:
    (served / "ag_news_csv.tgz").write_bytes(sent)
    with pytest.raises(UserError, match="is not ag-news; try again later, or bring a folder of your own"):
        data_sets()["ag-news"].get(tmp_path / "made", server)
    assert not [path for path in (tmp_path / "made").rglob("*") if path.is_file()]


def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path) -> None:
    known = "ag-news, beijing-air, dbpedia, gdelt, iwslt14, multi30k, tatoeba, yelp-polarity"
    with pytest.raises(UserError, match=f"wmt is no data set; known are {known}"):
        get("wmt", tmp_path)
