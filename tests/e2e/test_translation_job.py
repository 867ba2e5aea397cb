"""German-English sentence pairs through the deployed pipeline to an endpoint that translates as fairseq-generate."""

from __future__ import annotations

import json
import lzma
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kindling.environments import python_of
from tests.e2e.conftest import Deployment

ALGORITHM = "fairseq"
TATOEBA = Path(__file__).resolve().parents[3] / "shared" / "data" / "tatoeba-de-en"
pytestmark = pytest.mark.skipif(not TATOEBA.is_dir(), reason="needs the data set tatoeba-de-en beside the checkout")

TINY = {
    "arch": "fconv_iwslt_de_en",
    "encoder-layers": "[(96, 3)] * 2",
    "decoder-layers": "[(96, 3)] * 2",
    "encoder-embed-dim": "96",
    "decoder-embed-dim": "96",
    "decoder-out-embed-dim": "96",
    "bpe-symbols": "1000",
    "max-tokens": "1000",
    "lr": "0.5",
    "max-epoch": "3",
}

# Run by the algorithm's own interpreter: fairseq-generate on what the model's pipeline makes of the sources, and BLEU.
GENERATE = r"""
import contextlib, io, json, pathlib, re, sys
from translator import artifact
from translator.compatibility import import_fairseq, silence
silence()
import_fairseq()
from fairseq_cli import generate, preprocess
from fairseq import options
import sacrebleu, torch

given = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder, model = pathlib.Path(sys.argv[1]).parent, pathlib.Path(given["model"])
translator = artifact.read(model)
tokens = "".join(f"{translator.pipeline.encode(source)}\n" for source in given["sources"])
for language in ("de", "en"):
    (folder / f"test.{language}").write_text(tokens)
flags = ["-s", "de", "-t", "en", "--testpref", str(folder / "test"), "--destdir", str(folder / "data")]
flags += ["--srcdict", str(model / "dict.de.txt"), "--tgtdict", str(model / "dict.en.txt")]
preprocess.main(options.get_preprocessing_parser().parse_args(flags))
flags = [str(folder / "data"), "--path", given["checkpoint"], "--beam=5", "--batch-size=32", "--cpu"]
parser = options.get_generation_parser()
with contextlib.redirect_stdout(io.StringIO()) as printed:
    generate.main(options.parse_args_and_arch(parser, flags))
found = {int(n): t for n, t in re.findall(r"^H-(\d+)\t\S+\t(.*)$", printed.getvalue(), re.MULTILINE)}
theirs = [translator.pipeline.decode(found.get(number, "")) for number in range(len(given["sources"]))]
bleu = [sacrebleu.corpus_bleu(texts, [given["references"]]).score for texts in (theirs, given["translations"])]
same = sum(text == other for text, other in zip(theirs, given["translations"]))
print(json.dumps({"theirs": bleu[0], "ours": bleu[1], "same": same}))
"""


def lines(split: str, language: str, count: int) -> list[str]:
    with lzma.open(TATOEBA / f"{split}.{language}.xz", "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(count), strict=False)]


def upload(deployed: Deployment, folder: Path, split: str, count: int) -> str:
    """Puts sentence pairs into the data bucket and gives the address of their folder."""
    folder.mkdir(exist_ok=True)
    for language in ("de", "en"):
        path = folder / f"{split}.{language}"
        path.write_text("".join(f"{line}\n" for line in lines(split, language, count)), encoding="utf-8")
        address = deployed.upload(path, f"tatoeba-{folder.name}/{split}", ALGORITHM)
    return address


def translated(deployed: Deployment, endpoint: str, sources: list[str]) -> list[str]:
    runtime = deployed.client("sagemaker-runtime")
    answers: list[Any] = []
    for start in range(0, len(sources), 100):
        body = json.dumps({"instances": sources[start : start + 100]})
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)
        answers += json.loads(answer["Body"].read())
    return [answer["translations"][0]["text"] for answer in answers]


def run_and_compare(
    deployed: Deployment,
    tmp_path: Path,
    hyperparameters: dict[str, str],
    sizes: tuple[int, int, int],
    hours: int,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train through the pipeline, translate held-out sentences by the endpoint and by fairseq-generate.

    Args:
        sizes: sentence pairs to train on, to validate and to translate.
    Returns:
        BLEU of both, and the execution's output.
    """
    train, validation, test = sizes
    name = f"{train}-pairs"
    folder = tmp_path / name
    arn = deployed.start(
        {
            "name": f"translate-{name}",
            "inputs": {
                "train": upload(deployed, folder, "train", train),
                "validation": upload(deployed, folder, "dev", validation),
            },
            "hyperparameters": {**hyperparameters, "source-lang": "de", "target-lang": "en"},
            "resources": {"spot": True, "max_runtime_s": hours * 3600},
            "clean_up": False,  # so that its checkpoint is kept
            "gate": {"metric": "valid:bleu", "at_least": 0.1},
            "endpoint": {"name": f"translator-{name}"},
        },
        deployed.found.state_machine(ALGORITHM),
    )
    execution = deployed.wait(arn, hours * 3600)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=output["training"]["job_name"])

    s3 = deployed.client("s3")
    for address, path in (
        (f"{job['CheckpointConfig']['S3Uri']}/checkpoint_best.pt", folder / "checkpoint_best.pt"),
        (output["training"]["model_s3_uri"], folder / "model.tar.gz"),
    ):
        bucket, _, key = address.removeprefix("s3://").partition("/")
        s3.download_file(bucket, key, str(path))
    with tarfile.open(folder / "model.tar.gz") as archive:
        archive.extractall(folder / "model", filter="data")
    sources, references = lines("test", "de", test), lines("test", "en", test)
    given = {
        "sources": sources,
        "references": references,
        "translations": translated(deployed, f"translator-{name}", sources),
        "model": str(folder / "model"),
        "checkpoint": str(folder / "checkpoint_best.pt"),
    }
    (folder / "given.json").write_text(json.dumps(given))
    made = subprocess.run(
        [python_of(ALGORITHM), "-c", GENERATE, folder / "given.json"],
        env={"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    found: dict[str, float] = json.loads(made.stdout.splitlines()[-1])
    return found, output


@pytest.mark.timeout(400)
def test_the_endpoint_translates_as_fairseq_generate_does(deployed: Deployment, tmp_path: Path) -> None:
    found, output = run_and_compare(deployed, tmp_path, TINY, (2000, 60, 150), hours=1)
    assert found["ours"] == pytest.approx(found["theirs"], abs=0.1)
    assert found["same"] >= 148
    assert output["evaluation"]["details"]["bleu"] == output["training"]["metrics"]["valid:bleu"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_processing_job_of_two_hosts_prepares_what_a_training_job_reads(deployed: Deployment, tmp_path: Path) -> None:
    """As docs/algorithms/fairseq.md has it: raw text in S3 to binarised data in S3, sharded over hosts."""
    train, validation = (upload(deployed, tmp_path / "shards", part, n) for part, n in (("train", 3000), ("dev", 100)))
    made = f"s3://{deployed.found.data_bucket}/{ALGORITHM}/binarised"
    inside = "/opt/ml/processing"
    folders = ["--train", f"{inside}/train", "--validation", f"{inside}/validation", "--output", f"{inside}/output"]
    settings = ["source-lang=de", "target-lang=en", "bpe-symbols=1000"]
    command = ["python", "-m", "translator", "prepare", *folders, *settings]
    deployed.process("prepare", ALGORITHM, command, {"train": train, "validation": validation}, made, hosts=2)
    given = {name: value for name, value in TINY.items() if name != "bpe-symbols"}
    execution = deployed.run(
        {
            "name": "of-shards",
            "inputs": {"training": made},
            "hyperparameters": {**given, "max-epoch": "2"},
            "gate": None,
            "endpoint": None,
        },
        deployed.found.state_machine(ALGORITHM),
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert json.loads(execution["output"])["evaluation"]["details"]["sentences"] == 100


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_fconv_iwslt_de_en_learns_to_translate(deployed: Deployment, tmp_path: Path) -> None:
    """The architecture of IWSLT'14 in its own size: a quarter of an hour on two cores."""
    sizes = {"arch": "fconv_iwslt_de_en", "bpe-symbols": "5000", "max-tokens": "1000", "max-epoch": "4"}
    found, _ = run_and_compare(deployed, tmp_path, {**sizes, "lr": "0.5"}, (40_000, 300, 500), hours=2)
    assert found["ours"] == pytest.approx(found["theirs"], abs=0.1)
    assert found["ours"] > 5
