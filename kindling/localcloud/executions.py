"""Executions outlive the process: what they were given, each event of their history, and how they ended.

One that was running when the cloud ended is not gone on with, for the interpreter cannot take up a state half-way: it
has failed, and the cause names the state.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace
from kindling.localcloud.store import Store

KIND = "execution"
INTERRUPTED = "Kindling.Interrupted"  # the error of an execution that ended with its cloud


def install(cloud: Cloud) -> None:
    """Bring back the executions of a former cloud, and keep those of this one."""
    cloud.persistence.restore_part("stepfunctions")
    _restore(cloud)
    _keep(cloud.store)


def records(state: Path) -> list[dict[str, Any]]:
    """The executions that a state folder holds, the latest started first; none where there never was a cloud."""
    path = state / "cloud.db"
    if not path.exists():
        return []
    store = Store(path)
    try:
        found = list(store.all(KIND).values())
    finally:
        store.close()
    return sorted(found, key=lambda record: str(record["started"]), reverse=True)


def interrupt(store: Store) -> list[dict[str, Any]]:
    """Have the executions that were running failed; their records."""
    interrupted = []
    for arn, record in store.all(KIND).items():
        if record["status"] == "RUNNING":
            running = record["state"] or "it"
            record |= {
                "status": "FAILED",
                "error": INTERRUPTED,
                "cause": f"the embedded cloud ended while {running} was running",
                "stopped": datetime.now(UTC),
            }
            history = store.list(KIND, arn)
            with store.transaction():
                store.put(KIND, arn, record)
                store.append(KIND, arn, len(history), [_failed(len(history) + 1, record)])
            interrupted.append(record)
    return interrupted


def _failed(number: int, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": number,
        "previousEventId": number - 1,
        "type": "ExecutionFailed",
        "timestamp": record["stopped"].isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "executionFailedEventDetails": {"error": record["error"], "cause": record["cause"]},
    }


def _restore(cloud: Cloud) -> None:
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    interrupt(cloud.store)
    machines = stepfunctions_parser_backends[cloud.account_id][cloud.region].state_machines
    by_arn: dict[str, Any] = {machine.arn: machine for machine in machines}
    for arn, record in cloud.store.all(KIND).items():
        if (machine := by_arn.get(record["machine_arn"])) is not None:
            machine.executions.append(_execution(cloud, machine, record, cloud.store.list(KIND, arn)))


def _execution(cloud: Cloud, machine: Any, record: dict[str, Any], history: list[Any]) -> Any:
    """An execution as moto has it once it ended."""
    from moto.stepfunctions.parser.api import ExecutionStatus
    from moto.stepfunctions.parser.backend.execution import Execution

    then = copy.copy(machine)  # as it was when the execution started
    then.definition, then.roleArn, then.executions = record["definition"], record["role_arn"], []
    execution: Any = Execution(
        name=record["name"],
        sm_type=machine.sm_type,
        role_arn=record["role_arn"],
        exec_arn=record["arn"],
        account_id=cloud.account_id,
        region_name=cloud.region,
        state_machine=then,
        start_date=record["started"],
        cloud_watch_logging_session=None,
        activity_store={},
        input_data=json.dumps(record["input"]),
        trace_header=record["trace_header"],
    )
    execution.exec_status = ExecutionStatus(record["status"])
    execution.stop_date, execution.output = record["stopped"], record["output"]
    execution.error, execution.cause = record["error"], record["cause"]
    events = SimpleNamespace(get_event_history=lambda: history)
    execution.exec_worker = SimpleNamespace(env=SimpleNamespace(event_manager=events))
    return execution


def _keep(store: Store) -> None:
    """Keep an execution when it starts, enters a state, and ends, and each event of its history as it happens."""
    from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
    from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    def start(self: Any) -> None:
        store.put(KIND, self.exec_arn, _record(self, status="RUNNING"))
        begin(self)

    def environment(self: Any) -> Any:
        env = make_environment(self)
        env.event_manager.execution = self._execution_communication.execution
        return env

    def publish(self: Any, event_id: int, source_event_id: int, event_type: str, **details: Any) -> None:
        publish_event(self, event_id=event_id, source_event_id=source_event_id, event_type=event_type, **details)
        execution = getattr(self, "execution", None)
        if execution is None:  # of a branch, whose events the whole execution's manager publishes, too
            return
        store.append(KIND, execution.exec_arn, event_id - 1, [self._history_event_list[-1]])
        entered = ((details.get("event_details") or {}).get("stateEnteredEventDetails") or {}).get("name")
        if entered:
            execution.entered = entered
            store.put(KIND, execution.exec_arn, _record(execution))

    def terminated(self: Any) -> None:
        if self.execution.exec_status != "ABORTED":
            end(self)
        store.put(KIND, self.execution.exec_arn, _record(self.execution))

    begin = replace(Execution, "start", start)
    make_environment = replace(ExecutionWorker, "_get_evaluation_environment", environment)
    publish_event = replace(EventManager, "_publish_history_event", publish)
    end = replace(BaseExecutionWorkerCommunication, "terminated", terminated)


def _record(execution: Any, *, status: str | None = None) -> dict[str, Any]:
    machine = execution.state_machine
    return {
        "name": execution.name,
        "arn": execution.exec_arn,
        "machine": machine.name,
        "machine_arn": machine.arn,
        "definition": machine.definition,
        "role_arn": execution.role_arn,
        "trace_header": execution.trace_header,
        "status": status or str(execution.status),
        "state": getattr(execution, "entered", None),
        "started": execution.start_date,
        "stopped": execution.stop_date,
        "error": execution.error,
        "cause": execution.cause,
        "input": execution.input_data,
        "output": execution.output,
    }
