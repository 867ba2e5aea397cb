"""A job's hyperparameters as flags of fairseq's command line, held against its own parser before anything runs."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.errors import ClientError
from contract.specification import Value
from translator.compatibility import import_fairseq
from translator.preparation import SETTINGS

# fmt: off
# Hyperparameters of the preparation and of this package, which training's parser does not know.
_OURS = {*SETTINGS, "processes"}
# The original's names of flags that fairseq has renamed since.
_RENAMED = {"min-lr": "stop-min-lr", "max-sentences": "batch-size"}
# What the job itself decides: where files lie, who takes part, what is logged, kept and measured.
_RESERVED = {
    "data", "save-dir", "restore-file", "finetune-from-model", "continue-once", "user-dir", "path", "results-path",
    "task", "cpu", "tpu", "device-id", "local-rank", "ddp-backend", "model-parallel-size", "distributed-world-size",
    "distributed-num-procs", "distributed-rank", "distributed-backend", "distributed-init-method", "distributed-port",
    "distributed-no-spawn", "no-progress-bar", "log-file", "log-format", "tensorboard-logdir", "wandb-project",
    "azureml-logging", "aim-repo", "aim-run-hash", "profile", "use-plasma-view", "help", "no-save",
    "no-epoch-checkpoints", "no-last-checkpoints", "no-save-optimizer-state", "checkpoint-suffix",
    "checkpoint-shard-count", "write-checkpoints-asynchronously", "maximize-best-checkpoint-metric",
    "disable-validation", "train-subset", "valid-subset", "gen-subset", "bpe", "eval-bleu", "eval-bleu-args",
    "eval-bleu-detok", "eval-bleu-detok-args", "eval-bleu-remove-bpe", "eval-tokenized-bleu",
}
# Of these the original took some that change nothing here: asked for, they are what happens anyway.
_HARMLESS = {"no-progress-bar", "no-epoch-checkpoints", "cpu", "eval-bleu"}
# fmt: on
_TRUE, _FALSE = ("true", "1"), ("false", "0")


class _RefusalError(Exception):
    """What an argument parser says of the arguments."""


@dataclass(frozen=True)
class Flags:
    """A job's hyperparameters by fairseq's present names, with dashes; `written` has the names that the user wrote."""

    values: Mapping[str, Value | None]
    written: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, Value | None]) -> Flags:
        """From hyperparameters as the service gives them, the described ones with their defaults.

        Raises:
            ClientError: two name the same flag.
        """
        values: dict[str, Value | None] = {}
        written: dict[str, str] = {}
        for name, value in given.items():
            flag = name.replace("_", "-")
            if given.get("lr-scheduler") != "cosine":  # which has a min-lr of its own
                flag = _RENAMED.get(flag, flag)
            if written.get(flag, flag) not in (flag, name):
                raise ClientError(f"hyperparameters {written[flag]} and {name} are the same flag; leave one out.")
            # The default of a described one gives way to another spelling.
            if flag not in values or name != flag:
                values[flag], written[flag] = value, name
        return cls(values, written)

    def arguments(self) -> list[str]:
        """The flags of fairseq-train, without what the job itself adds.

        Switches are given as SageMaker's strings, "True" or "False".

        Raises:
            ClientError: a flag or architecture that fairseq does not have, a value it does not take, or a flag that
                the job sets itself.
        """
        import_fairseq()
        given = {flag: value for flag, value in self.values.items() if flag not in _OURS and value is not None}
        for flag in given:
            if flag in _RESERVED and flag not in _HARMLESS:
                name = self.written[flag]
                raise ClientError(f"hyperparameter {name} cannot be set: the job decides it itself; leave it out.")
        given = {flag: value for flag, value in given.items() if flag not in _RESERVED}
        chosen = [f"--{flag}={given[flag]}" for flag in ("arch", *_registries()) if flag in given]
        parser = _parser()
        _parse(parser, ["data", *chosen])  # adds the flags of what was chosen
        made = [word for flag, value in given.items() for word in _flag(parser, flag, self.written[flag], value)]
        _parse(_parser(), ["data", *made])
        return made


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What fairseq makes of training flags, and of those of the search, which the original took along with them.

    Raises:
        ClientError: it refuses them.
    """
    import_fairseq()
    return _parse(_parser(), arguments)


def _registries() -> list[str]:
    from fairseq.registry import REGISTRIES

    return [name.replace("_", "-") for name in REGISTRIES]


def _parser() -> argparse.ArgumentParser:
    from fairseq import options

    parser: argparse.ArgumentParser = options.get_training_parser()
    options.add_generation_args(parser)

    def refuse(message: str) -> None:
        raise _RefusalError(message)

    parser.error = refuse  # type: ignore[method-assign, assignment]
    return parser


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    from fairseq import options

    try:
        namespace: argparse.Namespace = options.parse_args_and_arch(parser, list(arguments))
    except _RefusalError as refusal:
        raise ClientError(_sentence(parser, str(refusal))) from None
    except Exception as error:
        # Lists are evaluated as Python, and fairseq's own checks are of all kinds.
        raise ClientError(f"the hyperparameters are no flags of fairseq: {error or type(error).__name__}.") from error
    return namespace


def _flag(parser: argparse.ArgumentParser, flag: str, name: str, value: Value) -> list[str]:
    """One hyperparameter, which the user calls `name`, as arguments: none for a switch that is off.

    Raises:
        ClientError: an unknown flag, or a switch or list with another value.
    """
    action = parser._option_string_actions.get(f"--{flag}")
    if action is None:
        raise ClientError(f"hyperparameter {name} is unknown to fairseq; {_nearest(flag, _known(parser))}")
    text = str(value).strip()
    if action.nargs == 0:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ClientError(f"hyperparameter {name}={text!r} is not valid; it must be True or False.")
        return [f"--{flag}"] if text.lower() in _TRUE else []
    if "eval_str_list" in _names_in(action.type) and not re.fullmatch(r"[\[(]?[-+0-9.eE, ]+[\])]?", text):
        raise ClientError(
            f"hyperparameter {name}={text!r} is not valid; it must be numbers separated by commas, such as 0.5,0.25."
        )
    return [f"--{flag}={text}"]


def _names_in(function: Any) -> str:
    """The names that a function's code refers to: how fairseq's parser tells lists from other types."""
    code = getattr(function, "__code__", None)
    return " ".join(code.co_names + code.co_freevars) if code else ""


def _sentence(parser: argparse.ArgumentParser, message: str) -> str:
    """argparse's message as ours: `argument --lr: invalid float value: 'x'`."""
    found = re.match(r"argument (--[\w-]+)\S*: (.*)", message, re.DOTALL)
    if not found:
        return f"the hyperparameters are no flags of fairseq: {message}."
    name, what = found[1][2:], found[2]
    action = parser._option_string_actions.get(found[1])
    if what.startswith("invalid choice") and action is not None and action.choices is not None:
        value = what.split("'")[1]
        return f"hyperparameter {name}={value!r} is unknown to fairseq; {_nearest(value, list(action.choices))}"
    if wrong := re.match(r"invalid (\w+) value: (.*)", what):
        expected = {"int": "an integer", "float": "a number"}.get(wrong[1], f"a value of type {wrong[1]}")
        return f"hyperparameter {name}={wrong[2]} is not valid; it must be {expected}."
    return f"hyperparameter {name} is not valid: {what}."


def _known(parser: argparse.ArgumentParser) -> list[str]:
    flags = [flag[2:] for flag in parser._option_string_actions if flag.startswith("--")]
    return sorted({*flags, *_OURS} - _RESERVED)


def _nearest(name: str, known: Collection[str]) -> str:
    """The nearest valid names, or where there is none near, that there are so many."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"it must be one of {', '.join(sorted(known)[:20])}, ..."
