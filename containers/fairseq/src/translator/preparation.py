"""The data that fairseq trains on: binarised as it arrives, or made here of raw parallel text.

Raw text is tokenised by all cores, split into subwords by codes that are learnt on both languages of the training text
(Sennrich et al. 2016, section 3.2: joint BPE) and binarised by fairseq-preprocess.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.rendezvous import Hosts, OneHost
from contract.specification import Value
from translator.compatibility import import_fairseq
from translator.text import TextPipeline, dictionary_words, knows_entities

logger = logging.getLogger(__name__)

CODES = "bpecodes"
SETTINGS = (
    *("source-lang", "target-lang", "tokenizer", "bpe-symbols", "joined-dictionary"),
    *("thresholdsrc", "thresholdtgt"),
)
"""The hyperparameters of the preparation."""
_PADDING_FACTOR = 8  # fairseq-preprocess's: sizes of dictionaries are multiples
_CHUNK_LINES = 5_000
_CHUNKS_AHEAD = 64  # of what is written, enough for the workers of the largest instances


@dataclass(frozen=True)
class PreparedData:
    """Binarised data, as fairseq-train reads it, and the text pipeline that belongs to it.

    `folders` are its shards, of which training reads one an epoch, in turn; the first holds the validation sentences.
    `references` are these as they were given, source and target; None where the data arrived binarised, and only
    fairseq can tell them.
    """

    folders: tuple[Path, ...]
    pipeline: TextPipeline
    references: list[tuple[str, str]] | None

    @property
    def folder(self) -> Path:
        """The first shard."""
        return self.folders[0]

    @property
    def argument(self) -> str:
        """What fairseq-train is told."""
        return ":".join(map(str, self.folders))


def binarised(channel: InputChannel, given: Mapping[str, Value | None]) -> PreparedData:
    """The data of a channel that fairseq-preprocess has made.

    Raises:
        ClientError: its train or valid split, or a dictionary, is missing.
    """
    folders = _shards(channel)
    folder = folders[0]
    source, target = _languages(given, _binarised_languages(folder, channel.name), channel.name)
    wanted = [f"train.{source}-{target}.{language}.idx" for language in (source, target)]
    wanted += [f"dict.{language}.txt" for language in (source, target)]
    first = [f"valid.{source}-{target}.{language}.idx" for language in (source, target)]
    for shard in folders:
        for name in [*wanted, *(first if shard == folder else [])]:
            if not (shard / name).is_file():
                raise ClientError(
                    f"channel {channel.name!r} holds no {name}; it must hold what fairseq-preprocess writes for"
                    f" {source}-{target}, with --validpref."
                )
        for language in (source, target):
            if (shard / f"dict.{language}.txt").read_bytes() != (folder / f"dict.{language}.txt").read_bytes():
                raise ClientError(
                    f"channel {channel.name!r} holds shards with different dict.{language}.txt; prepare them together."
                )
    codes = folder / CODES
    words = dictionary_words(folder / f"dict.{target}.txt")
    pipeline = TextPipeline(
        source, target, str(given["tokenizer"]), codes if codes.is_file() else None, knows_entities(words)
    )
    return PreparedData(folders, pipeline, None)


def prepare(
    train: InputChannel,
    validation: InputChannel,
    given: Mapping[str, Value | None],
    folder: Path,
    workers: int,
    hosts: Hosts | None = None,
) -> PreparedData:
    """Make binarised data of raw parallel text.

    Args:
        given: hyperparameters.
        folder: empty; takes the data.
        workers: processes.
        hosts: that each prepare their own part of the training text with the dictionaries and codes of all: of files
            that all of them have the lines whose turn it is, else their own files. The first alone prepares the
            validation text. Without them there is no other part.
    Raises:
        ClientError: no pair of files, files of different lengths, text that is not UTF-8, damaged gzip, or no pair.
    """
    hosts = hosts or OneHost()
    source, target = _languages(given, _text_languages(train, given), train.name)
    pipeline = TextPipeline(source, target, str(given["tokenizer"]), None)
    words, data = folder / "words", folder / "data"
    words.mkdir()
    references: list[tuple[str, str]] = []
    parts = [("train", train), ("valid", validation)] if hosts.rank == 0 else [("train", train)]
    context = get_context("spawn")  # a forked process would inherit this one's way with signals
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        for name, channel in parts:
            pairs = _read(channel, source, target)
            if name == "train" and _same_files(hosts, channel):
                pairs = islice(pairs, hosts.rank, None, hosts.size)
            kept = _tokenise(pool, pairs, pipeline, words / name, references if name == "valid" else None)
            logger.info("%s: %d sentence pairs with words on both sides.", channel.name, kept)
            if not kept:
                raise ClientError(f"channel {channel.name!r} holds no sentence pair with words on both sides.")
        symbols = given["bpe-symbols"]
        assert isinstance(symbols, int)
        if symbols:
            codes = folder / CODES
            _learn(_counted(hosts, [words / f"train.{source}", words / f"train.{target}"]), codes, symbols)
            pipeline = replace(pipeline, codes=codes)
            for name, _ in parts:
                for language in (source, target):
                    _split(pool, pipeline, words / f"{name}.{language}")
    _write_dictionaries(hosts, words, pipeline, given)
    _binarise(words, data, pipeline, [name for name, _ in parts])
    shutil.rmtree(words)
    if pipeline.codes:
        pipeline.codes.rename(data / CODES)
        pipeline = replace(pipeline, codes=data / CODES)
    return PreparedData((data,), pipeline, references)


def _same_files(hosts: Hosts, channel: InputChannel) -> bool:
    """Whether all of several hosts have the same files."""
    seen = [[str(path.relative_to(channel.directory)), path.stat().st_size] for path in channel.files()]
    return hosts.size > 1 and all(others == seen for others in hosts.exchange(seen))


def _shards(channel: InputChannel) -> tuple[Path, ...]:
    """Where the dictionaries lie: the channel's folder, or one below it, or several, which are shards."""
    folders = sorted({path.parent for path in channel.files() if path.name.startswith("dict.")})
    if not folders:
        raise ClientError(f"channel {channel.name!r} holds no dict.*.txt; it must hold what fairseq-preprocess writes.")
    return tuple(folders)


def _binarised_languages(folder: Path, channel: str) -> tuple[str, str] | None:
    pairs = {path.name.split(".")[1] for path in folder.glob("train.*-*.*.idx")}
    return _halves(pairs, channel)


def _halves(pairs: set[str], channel: str) -> tuple[str, str] | None:
    if len(pairs) > 1:
        raise ClientError(
            f"channel {channel!r} holds several pairs of languages ({', '.join(sorted(pairs))}); set source-lang and"
            " target-lang."
        )
    for pair in pairs:
        source, _, target = pair.partition("-")
        return source, target
    return None


def _languages(given: Mapping[str, Value | None], found: tuple[str, str] | None, channel: str) -> tuple[str, str]:
    source, target = str(given["source-lang"] or ""), str(given["target-lang"] or "")
    if bool(source) != bool(target):
        missing = "target-lang" if source else "source-lang"
        raise ClientError(f"hyperparameter {missing} is missing; set both source-lang and target-lang, or neither.")
    if source and source == target:
        raise ClientError(f"source-lang and target-lang are both {source}; they must differ.")
    if source:
        return source, target
    if found is None:
        raise ClientError(
            f"hyperparameters source-lang and target-lang are missing, and the files of channel {channel!r} do not tell"
            " them; set both."
        )
    return found


def _text_languages(channel: InputChannel, given: Mapping[str, Value | None]) -> tuple[str, str] | None:
    """The languages that a name such as train.de-en.de tells; two plain endings do not tell which is the source."""
    if given["source-lang"]:
        return None
    pairs = set()
    for path in channel.files():
        parts = path.name.removesuffix(".gz").split(".")
        if len(parts) >= 3 and "-" in parts[-2] and parts[-1] in parts[-2].split("-", 1):
            pairs.add(parts[-2])
    return _halves(pairs, channel.name)


def _pairs_of_files(channel: InputChannel, source: str, target: str) -> list[tuple[Path, Path]]:
    """The channel's files, one of each language, that differ in nothing but the ending."""
    by_stem: dict[Path, dict[str, Path]] = {}
    for path in channel.files():
        plain = path.with_name(path.name.removesuffix(".gz"))
        language = plain.suffix.removeprefix(".")
        if language in (source, target):
            by_stem.setdefault(plain.with_suffix(""), {})[language] = path
    for stem, found in by_stem.items():
        for language, other in ((source, target), (target, source)):
            if language not in found:
                raise ClientError(
                    f"channel {channel.name!r} holds {found[other].name} but no {stem.name}.{language}; every text"
                    " needs its translation beside it."
                )
    if not by_stem:
        raise ClientError(
            f"channel {channel.name!r} holds no file that ends in .{source} and none in .{target}; it must hold"
            f" parallel text, such as train.{source} and train.{target}."
        )
    return [(found[source], found[target]) for _, found in sorted(by_stem.items())]


def _read(channel: InputChannel, source: str, target: str) -> Iterator[tuple[str, str]]:
    """The channel's sentence pairs."""
    for paths in _pairs_of_files(channel, source, target):
        try:
            with ExitStack() as stack:
                files = [stack.enter_context(_open(path)) for path in paths]
                yield from zip(*files, strict=True)
        except UnicodeDecodeError as error:
            raise ClientError(
                f"channel {channel.name!r}: {' or '.join(path.name for path in paths)} is not UTF-8 ({error.reason})."
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ClientError(
                f"channel {channel.name!r}: {' or '.join(path.name for path in paths)} is damaged gzip data ({error})."
            ) from None
        except ValueError:
            raise ClientError(
                f"channel {channel.name!r}: {paths[0].name} and {paths[1].name} have different numbers of lines; line"
                " by line they must be each other's translation."
            ) from None


def _open(path: Path) -> io.TextIOWrapper:
    # Only newlines end a line: text has other characters that Python would take for its end.
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")


def _tokenise(
    pool: ProcessPoolExecutor,
    pairs: Iterator[tuple[str, str]],
    pipeline: TextPipeline,
    stem: Path,
    references: list[tuple[str, str]] | None,
) -> int:
    """Write the words of sentence pairs to two files; how many have words on both sides, which alone are kept."""
    kept = 0
    with ExitStack() as stack:
        sources, targets = (
            stack.enter_context(Path(f"{stem}.{language}").open("w", encoding="utf-8"))
            for language in (pipeline.source_lang, pipeline.target_lang)
        )
        for chunk, words in _mapped(pool, _tokenised, pipeline, pairs):
            for pair, (source, target) in zip(chunk, words, strict=True):
                if source and target:
                    sources.write(f"{source}\n")
                    targets.write(f"{target}\n")
                    kept += 1
                    if references is not None:
                        references.append((pair[0].rstrip("\r\n"), pair[1].rstrip("\r\n")))
    return kept


def _mapped(pool: ProcessPoolExecutor, function: Any, pipeline: TextPipeline, items: Iterator[Any]) -> Iterator[Any]:
    """Chunks of the items with what `function` made of them, in order; a few chunks are held at a time."""
    waiting: list[Any] = []
    while chunk := list(islice(items, _CHUNK_LINES)):
        waiting.append((chunk, pool.submit(function, pipeline, chunk)))
        if len(waiting) > _CHUNKS_AHEAD:
            first, made = waiting.pop(0)
            yield first, made.result()
    for chunk, made in waiting:
        yield chunk, made.result()


def _tokenised(pipeline: TextPipeline, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (pipeline.tokenise(source, pipeline.source_lang), pipeline.tokenise(target, pipeline.target_lang))
        for source, target in pairs
    ]


def _counted(hosts: Hosts, files: Sequence[Path]) -> dict[str, int]:
    """How often each word occurs in the files of all hosts."""
    counts: Counter[str] = Counter()
    for path in files:
        for line in _lines(path):
            counts.update(line.split(" "))
    if hosts.size == 1:
        return counts
    shared = hosts.share(json.dumps(counts).encode())
    return sum((Counter(json.loads(of_one)) for of_one in shared), Counter())


def _learn(counts: Mapping[str, int], codes: Path, symbols: int) -> None:
    """Joint byte-pair codes of both languages' words."""
    from subword_nmt.learn_bpe import learn_bpe

    dictionary = io.StringIO("".join(f"{word} {count}\n" for word, count in counts.items()))
    # Its progress bar goes to standard error, line after line where that is no terminal.
    with codes.open("w", encoding="utf-8") as out, redirect_stderr(io.StringIO()):
        learn_bpe(dictionary, out, symbols, is_dict=True)


def _split(pool: ProcessPoolExecutor, pipeline: TextPipeline, path: Path) -> None:
    """Replace a file of words by one of subwords."""
    made = path.with_name(f"{path.name}.split")
    with made.open("w", encoding="utf-8") as out:
        for _, lines in _mapped(pool, _as_subwords, pipeline, _lines(path)):
            out.writelines(f"{line}\n" for line in lines)
    made.replace(path)


def _as_subwords(pipeline: TextPipeline, lines: Sequence[str]) -> list[str]:
    return [pipeline.split(line) for line in lines]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def _write_dictionaries(hosts: Hosts, words: Path, pipeline: TextPipeline, given: Mapping[str, Value | None]) -> None:
    """fairseq's dictionaries of the training text of all hosts, as fairseq-preprocess would make them."""
    import_fairseq()
    from fairseq.data import Dictionary

    languages = (pipeline.source_lang, pipeline.target_lang)
    counts = {language: _counted(hosts, [words / f"train.{language}"]) for language in languages}
    if given["joined-dictionary"]:
        joined = Counter(counts[languages[0]]) + Counter(counts[languages[1]])
        counts = dict.fromkeys(languages, joined)
    for language, threshold in zip(languages, (given["thresholdsrc"], given["thresholdtgt"]), strict=True):
        dictionary = Dictionary()
        for word, count in counts[language].items():
            dictionary.add_symbol(word, n=count)
        dictionary.finalize(threshold=threshold, nwords=-1, padding_factor=_PADDING_FACTOR)
        dictionary.save(str(words / f"dict.{language}.txt"))


def _binarise(words: Path, data: Path, pipeline: TextPipeline, parts: Sequence[str]) -> None:
    import_fairseq()
    from fairseq import options
    from fairseq_cli import preprocess

    told = logging.getLogger("fairseq_cli.preprocess")
    told.setLevel(logging.WARNING)
    source, target = pipeline.source_lang, pipeline.target_lang
    arguments = ["--source-lang", source, "--target-lang", target, "--destdir", str(data)]
    arguments += ["--srcdict", str(words / f"dict.{source}.txt"), "--tgtdict", str(words / f"dict.{target}.txt")]
    for part in parts:
        arguments += [f"--{part}pref", str(words / part)]
    preprocess.main(options.get_preprocessing_parser().parse_args(arguments))
    for handler in list(told.handlers):  # of a log of its own, which would travel with the data
        told.removeHandler(handler)
        handler.close()
    (data / "preprocess.log").unlink()
