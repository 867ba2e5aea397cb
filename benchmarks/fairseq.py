"""Our translator beside fairseq's own programs: training beside fairseq-train, the endpoint beside fairseq-interactive.

`python -m benchmarks.fairseq --data FOLDER [options]`, where FOLDER holds train, dev and test of two languages. A job
prepares the data and trains the model that both translate with. Then, round by round, the same flags are trained by
plain fairseq-train and by a job, on the same binarised data and as many cores; and the same test sentences are
translated by fairseq-interactive one at a time, by our endpoint one at a time, from two clients and in batches. fairseq
is imported with our compatibility module, without which it does not start on this Python. What was found, with ratios
within each round and BLEU beside the speeds, goes to the output; the figures to OUT/fairseq.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks import machine
from kindling.environments import python_of
from kindling.errors import UserError
from kindling.ports import free_port

RESULTS = machine.BUILT / "fairseq"
TRAINING_BAR, SERVING_BAR = 0.97, 2.0
_PLAIN = (
    "from translator.compatibility import import_fairseq, silence; silence(); import_fairseq();"
    "from fairseq_cli.{0} import cli_main; cli_main()"
)
_BLEU = (
    "import json, sacrebleu, sys; given = json.load(sys.stdin);"
    "print(sacrebleu.corpus_bleu(given['texts'], [given['references']]).score)"
)
_SMALL = {
    "encoder-layers": "[(128, 3)] * 3",
    "decoder-layers": "[(128, 3)] * 2",
    "encoder-embed-dim": "128",
    "decoder-embed-dim": "128",
    "decoder-out-embed-dim": "128",
}
_FLAGS = {
    "arch": "fconv_iwslt_de_en",
    "optimizer": "nag",
    "lr": "0.5",
    "clip-norm": "0.1",
    "dropout": "0.1",
    "max-tokens": "2000",
    "criterion": "label_smoothed_cross_entropy",
    "label-smoothing": "0.1",
    "lr-scheduler": "fixed",
    "stop-min-lr": "1e-5",
    "seed": "1",
}
_BATCH = 64


class Job:
    """Runs the algorithm's commands on folders of its own.

    Args:
        python: of the algorithm's environment.
        cores: that every program gets.
    """

    def __init__(self, python: Path, folder: Path, languages: tuple[str, str], cores: int) -> None:
        self.python, self.folder, self.languages, self.cores = python, folder, languages, cores
        self.environ = {**os.environ, "OMP_NUM_THREADS": str(cores), "KINDLING_CPUS_PER_HOST": str(cores)}

    def train(self, name: str, channels: dict[str, Path], hyperparameters: dict[str, str]) -> tuple[Path, str]:
        """Train; the base directory and the log."""
        base = self.folder / name
        shutil.rmtree(base, ignore_errors=True)
        (base / "input/config").mkdir(parents=True)
        (base / "input/data").mkdir()
        (base / "checkpoints").mkdir()
        for channel, source in channels.items():
            (base / "input/data" / channel).symlink_to(source)
        source_lang, target_lang = self.languages
        given = {**hyperparameters, "source-lang": source_lang, "target-lang": target_lang}
        (base / "input/config/hyperparameters.json").write_text(json.dumps(given))
        (base / "input/config/inputdataconfig.json").write_text(json.dumps({channel: {} for channel in channels}))
        environ = {**self.environ, "SAGEMAKER_BASE_DIR": str(base), "KINDLING_CHECKPOINT_INTERVAL_S": "60"}
        return base, _run([self.python, "-m", "translator", "train"], environ)

    def fairseq(self, program: str, *flags: str, given: str | None = None) -> str:
        """Run one of fairseq's own programs; its output."""
        trusted = {**self.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
        return _run([self.python, "-c", _PLAIN.format(program), *flags], trusted, given)

    def bleu(self, texts: Sequence[str], references: Sequence[str]) -> float:
        given = json.dumps({"texts": texts, "references": references})
        return float(_run([self.python, "-c", _BLEU], self.environ, given))

    @contextmanager
    def server(self, base: Path) -> Iterator[str]:
        """The address of an endpoint of the model below `base`, with a worker per core."""
        port = free_port()
        environ = {**self.environ, "SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(port)}
        environ["KINDLING_WORKERS"] = str(self.cores)
        with (self.folder / "server.log").open("w") as log:
            process = subprocess.Popen([self.python, "-m", "translator", "serve"], env=environ, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 120
            while not _answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"the server did not start; see {self.folder / 'server.log'}.")
                time.sleep(0.2)
            yield address
        finally:
            process.kill()
            process.wait()


def benchmark(arguments: argparse.Namespace) -> None:
    """Prepare, run all rounds, print the ratios.

    Raises:
        UserError: the data are not there, or a program failed.
    """
    if machine.load_average() > machine.QUIET_LOAD:
        print("warning: the machine does other work, too; only ratios mean something.", file=sys.stderr)
    languages = (arguments.source_lang, arguments.target_lang)
    folder = arguments.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = _slices(arguments.data, folder / "text", languages, arguments.pairs)
    job = Job(python_of("fairseq"), folder, languages, arguments.cores)
    flags = {**_FLAGS, **({} if arguments.whole else _SMALL)}
    raw = {"train": data / "train", "validation": data / "dev"}
    base, _ = job.train("model", raw, {**flags, "bpe-symbols": "3000", "max-epoch": str(arguments.epochs)})
    described = machine.describe()
    print(f"{described['cpu']}, {arguments.cores} cores, Python {described['python']}, commit {described['commit']}")
    runs: dict[str, list[dict[str, Any]]] = {"training": [], "translation": []}
    binarised = _binarise(job, base, data)
    for number in range(arguments.rounds if "training" in arguments.only else 0):
        round_ = {}
        for name in ("plain", "ours") if number % 2 == 0 else ("ours", "plain"):
            trained = _train_plain if name == "plain" else _train_ours
            round_[name] = trained(job, binarised, flags)
        print(f"training, round {number + 1}: {json.dumps(round_)}", flush=True)
        runs["training"].append(round_)
    sources, references = (_lines(data / "test" / f"test.{language}", arguments.sentences) for language in languages)
    with job.server(base) as address:
        for number in range(arguments.rounds if "translation" in arguments.only else 0):
            ways = {
                "interactive": lambda: _interactive(job, base, sources),
                "endpoint, one at a time": lambda: _asked(address, sources, 1, 1),
                "endpoint, two clients": lambda: _asked(address, sources, 1, 2),
                f"endpoint, {_BATCH} a request": lambda: _asked(address, sources, _BATCH, 1),
                f"endpoint, {_BATCH} a request, two clients": lambda: _asked(address, sources, _BATCH, 2),
            }
            round_ = {}
            for name in ways if number % 2 == 0 else reversed(list(ways)):
                texts, seconds = ways[name]()
                round_[name] = {"sentences/s": len(sources) / seconds, "bleu": job.bleu(texts, references)}
            print(f"translation, round {number + 1}: {json.dumps(round_)}", flush=True)
            runs["translation"].append(round_)
    (folder / "fairseq.json").write_text(json.dumps({"machine": described, **runs}, indent=1))
    _print(runs)


def _print(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Medians of the ratios within rounds, beside what they must be."""
    if training := runs["training"]:
        for figure in ("wps", "whole wps"):
            found = statistics.median(one["ours"][figure] / one["plain"][figure] for one in training)
            print(f"training, {figure}: {found:.3f} of fairseq-train (bar: {TRAINING_BAR})")
        losses = [(one["ours"]["loss"], one["plain"]["loss"]) for one in training]
        print(f"validation losses, ours and plain: {losses}")
    if translation := runs["translation"]:
        for name in translation[0]:
            speeds = [one[name]["sentences/s"] for one in translation]
            ratios = [one[name]["sentences/s"] / one["interactive"]["sentences/s"] for one in translation]
            print(
                f"{name}: {statistics.median(speeds):.1f} sentences/s, {statistics.median(ratios):.2f} of"
                f" fairseq-interactive one at a time (bar: {SERVING_BAR}), BLEU {translation[0][name]['bleu']:.2f}"
            )


def _train_plain(job: Job, data: Path, flags: dict[str, str]) -> dict[str, float]:
    """One epoch of fairseq-train."""
    save = job.folder / "plain"
    shutil.rmtree(save, ignore_errors=True)
    words = [f"--{name}={value}" for name, value in flags.items()]
    source, target = job.languages
    bleu = ["--eval-bleu", '--eval-bleu-args={"beam": 1}', "--eval-bleu-detok=moses", "--eval-bleu-remove-bpe"]
    bleu += [f'--eval-bleu-detok-args={{"target_lang": "{target}"}}', "--best-checkpoint-metric=bleu"]
    fixed = [f"--source-lang={source}", f"--target-lang={target}", "--cpu", "--max-epoch=1", f"--save-dir={save}"]
    fixed += ["--no-epoch-checkpoints", "--maximize-best-checkpoint-metric", "--log-format=json", "--log-file"]
    log = job.folder / "plain.log"
    log.unlink(missing_ok=True)
    began = time.perf_counter()
    job.fairseq("train", str(data), *words, *bleu, *fixed, str(log))
    seconds = time.perf_counter() - began
    told = [json.loads(found) for found in re.findall(r"(\{.*\})", log.read_text()) if '"train_wps"' in found]
    losses = [json.loads(found) for found in re.findall(r"(\{.*\})", log.read_text()) if '"valid_loss"' in found]
    return {
        "wps": float(told[-1]["train_wps"]),
        "whole wps": float(told[-1]["train_wpb"]) * float(told[-1]["train_num_updates"]) / seconds,
        "loss": float(losses[-1]["valid_loss"]),
    }


def _train_ours(job: Job, data: Path, flags: dict[str, str]) -> dict[str, float]:
    """One epoch of a job, with its checkpoints, its watch over processes, and the model that it writes and scores."""
    began = time.perf_counter()
    base, log = job.train("ours", {"training": data}, {**flags, "max-epoch": "1"})
    seconds = time.perf_counter() - began
    history = json.loads((base / "checkpoints/history.jsonl").read_text().splitlines()[-1])
    assert "#train_wps" in log
    tokens = _tokens(data, job.languages)
    return {"wps": history["train_wps"], "whole wps": tokens / seconds, "loss": history["valid_loss"]}


def _tokens(data: Path, languages: tuple[str, str]) -> int:
    """Target tokens of the training data, ends of sentences included."""
    source, target = languages
    path = data / f"train.{source}-{target}.{target}.bin"
    return path.stat().st_size // 2  # uint16: dictionaries of less than 65,500 words


def _binarise(job: Job, base: Path, data: Path) -> Path:
    """The training text as fairseq-preprocess makes it with the model's own codes and dictionaries."""
    made = job.folder / "data-bin"
    shutil.rmtree(made, ignore_errors=True)
    words = job.folder / "words"
    words.mkdir(exist_ok=True)
    source, target = job.languages
    split = (
        "import sys; from pathlib import Path; from translator.text import TextPipeline\n"
        "model, out, *paths = sys.argv[1:]\n"
        f"pipeline = TextPipeline('{source}', '{target}', 'moses', Path(model) / 'bpecodes')\n"
        "for path in map(Path, paths):\n"
        "    lines = path.read_text(encoding='utf-8').split('\\n')[:-1]\n"
        "    made = [pipeline.split(pipeline.tokenise(line, path.suffix[1:])) for line in lines]\n"
        "    (Path(out) / path.name).write_text(''.join(f'{line}\\n' for line in made), encoding='utf-8')\n"
    )
    paths = [str(data / part / f"{part}.{language}") for part in ("train", "dev") for language in job.languages]
    _run([job.python, "-c", split, base / "model", words, *paths], job.environ)
    flags = ["-s", source, "-t", target, "--trainpref", str(words / "train"), "--validpref", str(words / "dev")]
    flags += ["--srcdict", str(base / f"model/dict.{source}.txt"), "--tgtdict", str(base / f"model/dict.{target}.txt")]
    job.fairseq("preprocess", *flags, "--destdir", str(made))
    shutil.copy(base / "model/bpecodes", made)
    return made


def _interactive(job: Job, base: Path, sources: Sequence[str]) -> tuple[list[str], float]:
    """fairseq-interactive on the cores of all: the translations, and the seconds without its start."""
    model = base / "model"
    source, target = job.languages
    flags = [str(model), f"--path={base / 'checkpoints/checkpoint_best.pt'}", f"-s={source}", f"-t={target}", "--cpu"]
    flags += ["--beam=5", "--buffer-size=1", "--batch-size=1", "--tokenizer=moses", "--bpe=subword_nmt"]
    flags += [f"--bpe-codes={model / 'bpecodes'}", "--moses-no-escape"]
    began = time.perf_counter()
    out = job.fairseq("interactive", *flags, given="".join(f"{line}\n" for line in sources[:1]))
    start = time.perf_counter() - began
    began = time.perf_counter()
    out = job.fairseq("interactive", *flags, given="".join(f"{line}\n" for line in sources))
    seconds = time.perf_counter() - began - start
    return re.findall(r"^D-\d+\t\S+\t(.*)$", out, re.MULTILINE), seconds * len(sources) / (len(sources) - 1)


def _asked(address: str, sources: Sequence[str], size: int, clients: int) -> tuple[list[str], float]:
    """The endpoint's translations of requests of so many sentences from so many clients, and the seconds."""
    parts = [list(sources[start : start + size]) for start in range(0, len(sources), size)]
    session = requests.Session()

    def ask(part: list[str]) -> list[str]:
        answer = session.post(f"{address}/invocations", json={"instances": part}, timeout=600)
        answer.raise_for_status()
        return [one["translations"][0]["text"] for one in answer.json()]

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        texts = [text for found in pool.map(ask, parts) for text in found]
    return texts, time.perf_counter() - began


def _answers(address: str) -> bool:
    try:
        return bool(requests.get(f"{address}/ping", timeout=1).ok)
    except requests.ConnectionError:
        return False


def _slices(data: Path, folder: Path, languages: tuple[str, str], pairs: int) -> Path:
    """The first sentence pairs of train, dev and test, each in a folder of its own."""
    for part, count in (("train", pairs), ("dev", 200), ("test", 10**9)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for language in languages:
            path = data / f"{part}.{language}"
            if not path.is_file():
                raise UserError(f"{path} is not there; --data must name a folder with {part}.{language}.")
            (folder / part / path.name).write_text(
                "".join(f"{line}\n" for line in _lines(path, count)), encoding="utf-8"
            )
    return folder


def _lines(path: Path, count: int) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1][:count]


def _run(command: Sequence[object], environ: dict[str, str], given: str | None = None) -> str:
    made = subprocess.run(
        [str(word) for word in command], env=environ, input=given, capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise UserError(f"{' '.join(map(str, command))[:200]} failed:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
    return made.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, dev and test of both languages")
    parser.add_argument("--source-lang", default="de")
    parser.add_argument("--target-lang", default="en")
    parser.add_argument("--pairs", type=int, default=20_000, help="sentence pairs to train on")
    parser.add_argument("--epochs", type=int, default=4, help="of the model that is translated with")
    parser.add_argument("--sentences", type=int, default=300, help="of the test set")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="fconv_iwslt_de_en in its own size, not a small one")
    parser.add_argument("--only", nargs="+", default=["training", "translation"], choices=["training", "translation"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    return machine.exit_code(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
