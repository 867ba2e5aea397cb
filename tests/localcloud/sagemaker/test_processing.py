"""Processing jobs: what a script finds, what becomes of what it leaves, and how a job ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE, RUNNER
from tests.localcloud.sagemaker.processing_jobs import (
    CODE,
    OUTPUT,
    begin,
    job,
    objects,
    output,
    process,
    request,
    source,
    target,
    until_logged,
)

# Reports, in a file named after the host, what it found below a folder that it is told.
REPORT = """
import json, os, sys
from pathlib import Path
folder, out = map(Path, sys.argv[1:3])
config = {path.stem: json.loads(path.read_text()) for path in (folder.parents[1] / "config").iterdir()}
files = {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
host = config["resourceconfig"]["current_host"]
report = {"config": config, "files": files, "environment": dict(os.environ), "executable": sys.executable}
(out / "hosts").mkdir()
(out / "hosts" / f"{host}.json").write_text(json.dumps(report))
"""
ARGUMENTS = ["/opt/ml/processing/input", OUTPUT]
# Prints "ready", runs on until SIGTERM, and says so in a file and in the message.
WAIT = """
import os, signal, sys, time
from pathlib import Path
base = Path(os.environ["SAGEMAKER_BASE_DIR"])
(base / "processing/output/early.txt").write_text("early")
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print("ready", flush=True)
while not ended:
    time.sleep(0.02)
(base / "processing/output/late.txt").write_text("late")
(base / "output/message").write_text("saved")
"""


def reports(account: Account, described: dict[str, Any]) -> dict[str, Any]:
    """What each host reported, by host."""
    assert described["ProcessingJobStatus"] == "Completed", described.get("FailureReason")
    return {
        name.removeprefix("hosts/").removesuffix(".json"): json.loads(body)
        for name, body in output(account, described).items()
    }


def test_two_hosts_run_a_script_on_their_shares_of_the_inputs(account: Account) -> None:
    prefix = new_name("rows")
    for number in range(5):
        account.put(f"{prefix}/part/{number}.csv", f"{number}".encode())
    uri = f"s3://{account.bucket}/{prefix}"
    shared = source("all", uri, "/opt/ml/processing/input/all")
    sharded = source("mine", uri, "/opt/ml/processing/input/mine", S3DataDistributionType="ShardedByS3Key")
    found = reports(account, process(account, REPORT, hosts=2, inputs=[shared, sharded], arguments=ARGUMENTS))
    every = [f"all/part/{number}.csv" for number in range(5)]
    files = {host: list(report["files"]) for host, report in found.items()}
    assert files == {
        "algo-1": [*every, "code/work.py", *(f"mine/part/{number}.csv" for number in (0, 2, 4))],
        "algo-2": [*every, "code/work.py", *(f"mine/part/{number}.csv" for number in (1, 3))],
    }
    assert found["algo-2"]["files"]["mine/part/3.csv"] == "3"


def test_a_script_finds_its_configuration_its_environment_and_the_image_s_interpreter(account: Account) -> None:
    asked = request(
        account, REPORT, hosts=2, arguments=ARGUMENTS, Environment={"COLOUR": "red", "DATA": "/opt/ml/processing/input"}
    )
    account.sagemaker.create_processing_job(**asked)
    found = reports(account, job(account, asked["ProcessingJobName"]))["algo-2"]
    resources, config = found["config"]["resourceconfig"], found["config"]["processingjobconfig"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-2", ["algo-1", "algo-2"])
    base = found["environment"]["SAGEMAKER_BASE_DIR"]
    assert config["ProcessingJobName"] == asked["ProcessingJobName"]
    assert config["AppSpecification"]["ContainerEntrypoint"] == ["python3", f"{base}/processing/input/code/work.py"]
    assert config["ProcessingInputs"][0]["S3Input"]["LocalPath"] == f"{base}/processing/input/code"
    assert config["ProcessingInputs"][0]["S3Input"]["S3Uri"].startswith("s3://")
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert config["NetworkConfig"] is None
    assert found["environment"]["COLOUR"] == "red"
    assert found["environment"]["DATA"] == f"{base}/processing/input"
    assert found["environment"]["AWS_ENDPOINT_URL"] == account.cloud.reachable_url
    if RUNNER == "process":
        assert found["executable"].startswith(found["environment"]["PATH"].split(":")[0])


def test_without_an_entrypoint_the_image_s_own_gets_the_arguments(account: Account) -> None:
    specification = {"ImageUri": IMAGE, "ContainerArguments": ["process", "--rate", "0.5"]}
    described = process(account, "", AppSpecification=specification)
    assert output(account, described) == {"arguments.json": b'["--rate", "0.5"]'}


def test_a_manifest_names_the_objects_of_an_input(account: Account) -> None:
    prefix = new_name("named")
    for name in ("a/1.csv", "a/2.csv", "b.csv"):
        account.put(f"{prefix}/{name}", name.encode())
    entries = [{"prefix": f"s3://{account.bucket}/{prefix}/"}, "b.csv", "a/2.csv"]
    uri = account.put(f"{prefix}.manifest", json.dumps(entries).encode())
    named = source("named", uri, "/opt/ml/processing/input/named", S3DataType="ManifestFile")
    found = reports(account, process(account, REPORT, inputs=[named], arguments=ARGUMENTS))
    assert found["algo-1"]["files"] == {"code/work.py": REPORT, "named/a/2.csv": "a/2.csv", "named/b.csv": "b.csv"}


def test_a_completed_job_tells_its_times_and_message_and_leaves_nothing_on_disk(account: Account) -> None:
    script = (
        "import os, pathlib\n"
        "base = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'])\n"
        "(base / 'output/message').write_text('\\u00e9' * 600)\n"
        "print('done')\n"
    )
    described = process(account, script, hosts=2, Tags=[{"Key": "team", "Value": "nlp"}])
    assert described["ProcessingJobStatus"] == "Completed"
    assert described["ExitMessage"] == "é" * 512
    assert described["CreationTime"] <= described["ProcessingStartTime"] <= described["ProcessingEndTime"]
    assert "FailureReason" not in described
    name = described["ProcessingJobName"]
    assert account.log_lines("/aws/sagemaker/ProcessingJobs", f"{name}/algo-2-") == ["done"]
    assert not (account.cloud.state / "processing-jobs" / name).exists()
    tags = account.sagemaker.list_tags(ResourceArn=described["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "nlp"}]


def test_a_continuous_output_is_in_s3_while_the_script_runs_and_follows_its_changes(account: Account) -> None:
    name = begin(account, WAIT, mode="Continuous")
    until_logged(account, name, "ready")
    described = job(account, name, "InProgress")
    assert until(lambda: output(account, described)) == {"early.txt": b"early"}
    account.sagemaker.stop_processing_job(ProcessingJobName=name)
    described = job(account, name)
    assert (described["ProcessingJobStatus"], described["ExitMessage"]) == ("Stopped", "saved")
    assert output(account, described) == {"early.txt": b"early", "late.txt": b"late"}


def test_a_failed_script_is_quoted_and_only_its_continuous_output_is_uploaded(account: Account) -> None:
    script = (
        "import os, pathlib, sys\n"
        "processing = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing')\n"
        "(processing / 'output/result.txt').write_text('half')\n"
        "(processing / 'log/log.txt').write_text('line')\n"
        "os.symlink('/etc/hostname', processing / 'log/link')\n"
        "sys.exit('no column named label')\n"
    )
    asked = request(account, script)
    prefix = asked["ProcessingJobName"]
    log = target("log", f"s3://{account.bucket}/{prefix}/log", "/opt/ml/processing/log", "Continuous")
    asked["ProcessingOutputConfig"]["Outputs"].append(log)
    account.sagemaker.create_processing_job(**asked)
    described = job(account, prefix)
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"] == (
        "AlgorithmError: algo-1: its last line was: no column named label, exit code: 1"
    )
    assert output(account, described) == {}
    assert objects(account, f"{prefix}/log/") == {"log.txt": b"line"}


def test_a_job_over_its_runtime_is_stopped_even_if_it_ignores_sigterm(account: Account) -> None:
    script = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n"
    described = process(account, script, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert described["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="because the processing job is in status Stopped"):
        account.sagemaker.stop_processing_job(ProcessingJobName=described["ProcessingJobName"])


def test_a_job_stopped_as_soon_as_it_is_created_is_stopped(account: Account) -> None:
    name = begin(account, "import time\ntime.sleep(60)\n")
    account.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert job(account, name)["ProcessingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"uri": "s3://kindling-tests/nowhere/"}, "No S3 objects found under S3 URL"),
        ({"uri": "s3://kindling-tests/outside/"}, "leads out of its folder"),
        ({"uri": "s3://kindling-tests/no.manifest", "S3DataType": "ManifestFile"}, "does not begin with a prefix"),
        ({"uri": "s3://kindling-tests/gone.manifest", "S3DataType": "ManifestFile"}, "does not exist"),
    ],
)
def test_an_input_that_cannot_be_brought_fails_the_job_in_a_sentence(
    account: Account, changes: dict[str, str], reason: str
) -> None:
    account.put("outside/../../x", b"")
    account.put("no.manifest", b'{"prefix": "s3://kindling-tests/"}')
    uri = changes.pop("uri")
    described = process(account, "", inputs=[source("data", uri, "/opt/ml/processing/data", **changes)])
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: ")
    assert reason in described["FailureReason"]


def test_a_message_that_is_not_utf_8_and_a_missing_program_fail_the_job(account: Account) -> None:
    script = (
        "import os, pathlib\npathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'output/message').write_bytes(b'\\xff')\n"
    )
    assert "/opt/ml/output/message must be UTF-8" in process(account, script)["FailureReason"]
    specification = {"ImageUri": IMAGE, "ContainerEntrypoint": ["no-such-program"]}
    reason = process(account, "", AppSpecification=specification)["FailureReason"]
    assert reason.startswith("ClientError: ")
    assert "no-such-program" in reason


def test_jobs_are_listed_filtered_and_deleted_once_they_ended(account: Account) -> None:
    name = begin(account, WAIT)
    sagemaker = account.sagemaker
    until_logged(account, name, "ready")
    with pytest.raises(ClientError, match="in status InProgress; stop it first") as refused:
        sagemaker.delete_processing_job(ProcessingJobName=name)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    listed = sagemaker.list_processing_jobs(NameContains=name, StatusEquals="InProgress")["ProcessingJobSummaries"]
    assert [summary["ProcessingJobName"] for summary in listed] == [name]
    sagemaker.stop_processing_job(ProcessingJobName=name)
    job(account, name)
    assert sagemaker.list_processing_jobs(NameContains=name, StatusEquals="InProgress")["ProcessingJobSummaries"] == []
    newest = sagemaker.list_processing_jobs(MaxResults=1)
    assert newest["ProcessingJobSummaries"][0]["ExitMessage"] == "saved"
    assert "NextToken" in newest
    sagemaker.delete_processing_job(ProcessingJobName=name)
    with pytest.raises(ClientError, match=f"Could not find requested job with name: {name}"):
        sagemaker.describe_processing_job(ProcessingJobName=name)


def refused_with(account: Account, asked: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as refused:
        account.sagemaker.create_processing_job(**asked)
    assert account.cloud.store.all("sagemaker/processing-job").get(asked["ProcessingJobName"]) is None
    return str(refused.value.response["Error"]["Message"])


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ({"S3InputMode": "Pipe"}, "S3InputMode=Pipe is not implemented by the embedded cloud; use File."),
        ({"S3CompressionType": "Gzip"}, "S3CompressionType=Gzip can only be used with S3InputMode=Pipe."),
        ({"LocalPath": "/data"}, "LocalPath=/data must begin with /opt/ml/processing/."),
        (
            {"LocalPath": "/opt/ml/processing/../model"},
            "LocalPath=/opt/ml/processing/../model must begin with /opt/ml/processing/.",
        ),
        ({"LocalPath": None}, "LocalPath is required when AppManaged is false."),
    ],
)
def test_an_input_that_cannot_be_is_refused_by_name(account: Account, location: dict[str, Any], sentence: str) -> None:
    asked = request(account, "")
    kept = {**asked["ProcessingInputs"][0]["S3Input"], **location}
    asked["ProcessingInputs"][0]["S3Input"] = {name: value for name, value in kept.items() if value is not None}
    assert refused_with(account, asked).startswith(f"ProcessingInputs 'code': {sentence}")


def test_a_request_that_cannot_be_is_refused_by_name(account: Account) -> None:
    asked = request(account, "")
    twice = {**asked, "ProcessingInputs": asked["ProcessingInputs"] * 2}
    assert refused_with(account, twice) == "ProcessingInputs has 'code' more than once; names must differ."
    definition = {"DatasetDefinition": {"LocalPath": "/opt/ml/processing/x"}, "InputName": "sql"}
    assert "DatasetDefinition is not implemented" in refused_with(account, {**asked, "ProcessingInputs": [definition]})
    store = {"OutputName": "features", "FeatureStoreOutput": {"FeatureGroupName": "group"}}
    message = refused_with(account, {**asked, "ProcessingOutputConfig": {"Outputs": [store]}})
    assert message == "ProcessingOutputConfig.Outputs.FeatureStoreOutput is not implemented by the embedded cloud."
    unknown = {**asked, "AppSpecification": {"ImageUri": "unknown:latest"}}
    assert "unknown:latest was not published" in refused_with(account, unknown)
    account.sagemaker.create_processing_job(**asked)
    with pytest.raises(ClientError, match="Job name must be unique") as refused:
        account.sagemaker.create_processing_job(**asked)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    assert job(account, asked["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"


def test_what_an_application_manages_is_left_to_it(account: Account) -> None:
    asked = request(account, "")
    asked["ProcessingInputs"].append({"InputName": "own", "AppManaged": True})
    own = target("own", "s3://no-such-bucket/x", "/opt/ml/processing/own") | {"AppManaged": True}
    asked["ProcessingOutputConfig"]["Outputs"].append(own)
    account.sagemaker.create_processing_job(**asked)
    assert job(account, asked["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"


def test_what_the_sagemaker_sdk_s_script_processor_sends_is_understood(account: Account) -> None:
    asked = request(account, REPORT, arguments=ARGUMENTS)
    location = asked["ProcessingInputs"][0]["S3Input"]
    location |= {"S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
    asked["ProcessingInputs"] = [{"InputName": "code", "AppManaged": False, "S3Input": location}]
    asked["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] = False
    asked |= {"Environment": {}, "StoppingCondition": {"MaxRuntimeInSeconds": 3600}, "Tags": []}
    account.sagemaker.create_processing_job(**asked)
    described = job(account, asked["ProcessingJobName"])
    assert reports(account, described)["algo-1"]["files"] == {"code/work.py": REPORT}
    assert described["AppSpecification"]["ContainerEntrypoint"] == ["python3", f"{CODE}/work.py"]
