"""One host of a job, run as a process by test_rendezvous.py: `python rendezvous_host.py RANK HOSTS BEHAVIOUR`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.paths import Paths
from contract.rendezvous import Hosts, rendezvous
from contract.specification import Algorithm
from contract.training import report_failure


def work(hosts: Hosts, behaviour: str) -> None:
    if behaviour.startswith("busy"):
        time.sleep(600)  # as in one long call of an engine
    assert hosts.exchange(f"from {hosts.rank}") == [f"from {rank}" for rank in range(hosts.size)]
    print("met", flush=True)
    if hosts.rank == int(behaviour.partition("@")[2] or -1):
        misbehave(behaviour.partition("@")[0])
    rows = np.zeros((5, 4), dtype=np.float32)
    part = rows[:, :3]  # strided
    part[...] = hosts.rank + 1
    hosts.exchange(None)
    hosts.add_up(part)
    large = 2.0**40 + 1  # float32 does not hold it
    counts = np.array([[large], [hosts.rank]])
    hosts.add_up(counts)
    assert counts.tolist() == [[hosts.size * large], [sum(range(hosts.size))]]
    contents = [bytes(rank) + f"{rank}\n".encode() * 1000 * rank for rank in range(hosts.size)]
    assert hosts.share(contents[hosts.rank]) == contents
    if behaviour == "write" and hosts.rank == 0:
        print("writing", flush=True)
        time.sleep(8)
    hosts.await_master()
    print(json.dumps(rows.tolist()), flush=True)


def misbehave(how: str) -> None:
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if how == "refuse":
        raise ClientError("channel 'train' is not UTF-8 text.")
    if how == "break":
        raise KeyError("a bug")
    if how == "late":
        time.sleep(1)


def main(rank: int, size: int, behaviour: str, base: Path, description: Path) -> int:
    names = tuple(f"algo-{number + 1}" for number in range(size))
    environment = TrainingEnvironment(
        algorithm=Algorithm.read(description),
        paths=Paths(base / names[rank]),
        hyperparameters={},
        channels={},
        hosts=names,
        current_host=names[rank],
        network_interface="lo",
    )
    try:
        with rendezvous(environment) as hosts:
            work(hosts, behaviour)
    except Exception as error:  # noqa: BLE001 - as in contract.training
        report_failure(error, environment.paths)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5])))
