"""What an algorithm.toml says, as types, and the one check of a job's hyperparameters against it.

The container, the Plan Lambda, the CDK app and the command line all read an algorithm through these classes, so a
hyperparameter's default, range and error message exist once.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from contract.errors import InvalidJobError as InvalidJobError

Value = StrictBool | StrictInt | StrictFloat | StrictStr

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
_ARTICLES = {"int": "an integer", "float": "a number", "bool": "True or False", "str": "a string"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hyperparameter(_Frozen):
    """One hyperparameter. SageMaker delivers every value as a string; `parse` gives the typed value."""

    type: Literal["int", "float", "bool", "str"]
    doc: str
    required: bool = False
    default: Value | None = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = Field(default=(), description="strings that may stand in place of a value, such as auto")
    range: tuple[float, float] | None = Field(default=None, description="inclusive bounds")
    above: float | None = Field(default=None, description="exclusive lower bound")
    below: float | None = Field(default=None, description="exclusive upper bound")
    tunable: tuple[float, float] | tuple[str, ...] | None = Field(default=None, description="recommended tuning range")

    def expectation(self) -> str:
        """What a value must be, in words: "an integer from 1 to 2048"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = _ARTICLES[self.type]
        if self.range is not None:
            low, high = (f"{bound:g}" if abs(bound) < 1e6 else f"{bound:.0f}" for bound in self.range)
            words += f" from {low} to {high}"
        bounds = [
            f"{word} {bound:g}" for word, bound in (("above", self.above), ("below", self.below)) if bound is not None
        ]
        return ", ".join([f"{words} {' and '.join(bounds)}".strip(), *self.words[:-1]]) + (
            f" or {self.words[-1]}" if self.words else ""
        )

    def parse(self, name: str, text: object, kind: str = "hyperparameter") -> Value:
        """The typed value of `text`, as SageMaker's string or already typed; `kind` is what errors call it.

        Raises:
            InvalidJobError: wrong type, or outside the range or choices; names the hyperparameter and what is expected.
        """
        try:
            value = self._convert(text)
        except ValueError:
            raise InvalidJobError(f"{kind} {name}={text!r} is not valid; it must be {self.expectation()}.") from None
        if not self._allows(value):
            raise InvalidJobError(f"{kind} {name}={text} is out of range; it must be {self.expectation()}.")
        return value

    def _convert(self, text: object) -> Value:
        if isinstance(text, bool):
            if self.type != "bool":
                raise ValueError(text)
            return text
        written = str(text).strip()
        if written.lower() in self.words:
            return written.lower()
        if self.type == "bool":
            if written.lower() in _TRUE | _FALSE:
                return written.lower() in _TRUE
            raise ValueError(text)
        if self.type == "int":
            return int(written)
        if self.type == "float":
            return float(written)
        return written

    def _allows(self, value: Value) -> bool:
        if isinstance(value, bool):
            return True
        if isinstance(value, str):
            return value in self.words or not self.choices or value in self.choices
        inside = self.range is None or self.range[0] <= value <= self.range[1]
        # Written so that NaN fails every bound.
        return (
            inside
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and value == value
            and abs(value) != float("inf")
        )


class Above(_Frozen):
    """A condition of a rule: the value is greater than a number or than another hyperparameter's value."""

    above: StrictInt | StrictFloat | StrictStr


class Rule(_Frozen):
    """A combination that the algorithm refuses: every condition of `forbid` holds at once.

    A condition is the list of values it holds for, or {above = X}. `instance_count` may stand among the names, and so
    may `channels.<name>`, which stands for the channel's input mode.
    `message` is a sentence in which {name} stands for the value found.
    """

    forbid: dict[str, tuple[Value, ...] | Above]
    message: str

    def broken_by(self, values: Mapping[str, Value | None]) -> bool:
        """Whether these values are the refused combination; a value that is absent (None) never is."""
        return all(self._holds(values.get(name), condition, values) for name, condition in self.forbid.items())

    @staticmethod
    def _holds(value: Value | None, condition: tuple[Value, ...] | Above, values: Mapping[str, Value | None]) -> bool:
        if value is None:
            return False
        if isinstance(condition, tuple):
            return value in condition
        limit = values.get(condition.above) if isinstance(condition.above, str) else condition.above
        return limit is not None and not isinstance(limit, str) and not isinstance(value, str) and value > limit


InputMode = Literal["File", "Pipe", "FastFile"]
Distribution = Literal["FullyReplicated", "ShardedByS3Key"]


class Channel(_Frozen):
    """One input channel. The first of each tuple is the default.

    Where there are `attributes`, the channel's Pipe mode takes augmented manifests with AttributeNames of this order,
    in RecordIO, and nothing else.
    """

    doc: str
    required: bool = False
    content_types: tuple[str, ...]
    input_modes: tuple[InputMode, ...] = ("File",)
    attributes: tuple[str, ...] = ()
    distribution: tuple[Distribution, ...] = ("FullyReplicated",)


class Metric(_Frozen):
    """A metric that training prints; `regex` finds its value in a log line (first group).

    `when` says for which values of hyperparameters it is printed; empty means always.
    """

    name: str
    regex: str
    goal: Literal["maximize", "minimize"] = "maximize"
    when: dict[str, tuple[Value, ...]] = {}
    doc: str = ""

    @property
    def channel(self) -> str:
        """The channel that it is measured on, `validation` of `validation:accuracy`."""
        return self.name.partition(":")[0]


class TrainingResources(_Frozen):
    """What a training job gets when the execution's input does not say. Sizes in GiB, times in seconds."""

    instance_type: str
    instance_count: Annotated[int, Field(ge=1)] = 1
    volume_gb: Annotated[int, Field(ge=1)] = 30
    max_runtime_s: Annotated[int, Field(ge=60)] = 3600
    gpu: bool = Field(default=False, description="whether jobs may ask for GPUs and the image is built to use them")


class SmokeTest(_Frozen):
    """A request that any healthy endpoint of the algorithm answers; `expect` is a JMESPath that must find something."""

    content_type: str
    body: str
    expect: str


class Serving(_Frozen):
    """How the algorithm is hosted."""

    instance_type: str
    instance_count: Annotated[int, Field(ge=1)] = 1
    gpu: bool = Field(default=False, description="whether GPU instance types are of any use")
    content_types: tuple[str, ...]
    smoke_test: SmokeTest


class Environment(_Frozen):
    """What the process environment needs that its lock file cannot say."""

    torch: str | None = Field(default=None, description="exact version, installed as a CPU build in a step of its own")


class Progress(_Frozen):
    """Where a log line tells how far training is, in per cent (first group of `regex`).

    `values` are other numbers of the same line, by what they are called where they are shown; the first is the pace.
    """

    regex: str
    values: dict[str, str] = {}


def _parsed_options(options: Mapping[str, Hyperparameter], given: Mapping[str, object]) -> dict[str, Value | None]:
    """Typed options with their defaults filled in.

    Raises:
        InvalidJobError: an option that is unknown, missing, ill-typed or out of range.
    """
    for name in given:
        if name not in options:
            raise InvalidJobError(f"option {name} is unknown; {_suggestion(name, options)}")
    for name, option in options.items():
        if option.required and name not in given:
            raise InvalidJobError(f"option {name} is required; it must be {option.expectation()}.")
    return {
        name: option.parse(name, given[name], "option") if name in given else option.default
        for name, option in options.items()
    }


class Tool(_Frozen):
    """What an algorithm does besides training and serving: makes one local file of another, by hand."""

    doc: str
    options: dict[str, Hyperparameter] = {}

    def parse(self, given: Mapping[str, object]) -> dict[str, Value | None]:
        """Typed options with their defaults filled in.

        Raises:
            InvalidJobError: an option that is unknown, missing, ill-typed or out of range.
        """
        return _parsed_options(self.options, given)


class Preparation(_Frozen):
    """What makes channels of raw data, as a Processing job of the algorithm's image: `python -m PACKAGE *arguments`.

    In `arguments`, {output} stands for the output's folder and the name of an input for that of the input. Options
    follow in `option_form`.
    """

    doc: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...] = Field(min_length=1)
    channels: dict[str, str] = Field(description="the folder below {output}, or nothing for all of it, by channel")
    option_form: Literal["{name}={value}", "--{name}={value}"] = "{name}={value}"
    options: dict[str, Hyperparameter] = {}
    hyperparameters: tuple[str, ...] = Field(default=(), description="of the algorithm, which are options here, too")
    tool: str | None = Field(default=None, description="the tool that it is, whose options are options here, too")
    distributed: bool = Field(default=False, description="whether the job may have more than one host")

    def command(
        self, options: Mapping[str, Hyperparameter], given: Mapping[str, object], folders: Mapping[str, str]
    ) -> list[str]:
        """The arguments of the algorithm's package.

        Args:
            options: all there are (Algorithm.preparation_options).
            folders: of each input, and of the `output`.
        Raises:
            InvalidJobError: an option that is unknown, missing, ill-typed or out of range.
        """
        values = _parsed_options(options, given)
        return [
            *(argument.format(**folders) for argument in self.arguments),
            *(self.option_form.format(name=name, value=value) for name, value in values.items() if value is not None),
        ]


class Algorithm(_Frozen):
    """One algorithm.toml."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    title: str
    package: str
    aws_image: str | None = Field(
        default=None, description="repository of AWS's own image that this one answers for, on the embedded cloud"
    )
    network_isolation: bool = True
    distributed: bool = Field(default=False, description="whether a job may have more than one host")
    environment: Environment = Environment()
    resources: TrainingResources
    serving: Serving
    channels: dict[str, Channel]
    metrics: tuple[Metric, ...]
    evaluation: str | None = Field(default=None, description="JSON file of metrics at the root of model.tar.gz")
    progress: Progress | None = None
    hyperparameters: dict[str, Hyperparameter]
    further_hyperparameters: bool = Field(
        default=False, description="whether training takes others, too, as strings, and checks them itself"
    )
    rules: tuple[Rule, ...] = ()
    tools: dict[str, Tool] = {}
    preparations: dict[str, Preparation] = {}

    @model_validator(mode="after")
    def _preparations_fit(self) -> Algorithm:
        """What a preparation names is there."""
        for name, preparation in self.preparations.items():
            unknown = [
                *(set(preparation.channels) - set(self.channels)),
                *(set(preparation.hyperparameters) - set(self.hyperparameters)),
                *({preparation.tool} - {None, *self.tools}),
            ]
            if unknown:
                raise ValueError(f"preparation {name} names {unknown[0]}, which the algorithm has not")
        return self

    @classmethod
    def read(cls, path: Path) -> Algorithm:
        """The algorithm that an algorithm.toml describes."""
        return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, or None."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def preparation_options(self, preparation: Preparation) -> dict[str, Hyperparameter]:
        """All options of a preparation: its own, its tool's, and the hyperparameters that it takes."""
        return {
            **preparation.options,
            **(self.tools[preparation.tool].options if preparation.tool else {}),
            **{name: self.hyperparameters[name] for name in preparation.hyperparameters},
        }

    def metrics_with(self, values: Mapping[str, Value | None]) -> tuple[Metric, ...]:
        """The metrics that a job with these hyperparameters prints, the one that its model is judged by first."""
        return tuple(
            metric
            for metric in self.metrics
            if all(values.get(name) in allowed for name, allowed in metric.when.items())
        )

    def parse_hyperparameters(self, given: Mapping[str, object], instance_count: int) -> dict[str, Value | None]:
        """Typed hyperparameters with their defaults filled in; None where there is neither value nor default.

        Where the algorithm takes `further_hyperparameters`, those that it does not describe stay strings.

        Raises:
            InvalidJobError: unknown, missing, ill-typed or out of range, or a combination that a rule refuses.
        """
        values: dict[str, Value | None] = {}
        for name in given:
            if name not in self.hyperparameters:
                if not self.further_hyperparameters:
                    raise InvalidJobError(self._unknown(name))
                values[name] = str(given[name])
        for name, hyperparameter in self.hyperparameters.items():
            if name in given:
                values[name] = hyperparameter.parse(name, given[name])
            elif hyperparameter.required:
                raise InvalidJobError(f"hyperparameter {name} is required; it must be {hyperparameter.expectation()}.")
            else:
                values[name] = hyperparameter.default
        self._check_rules({**values, "instance_count": instance_count})
        if instance_count > 1 and not self.distributed:
            raise InvalidJobError(
                f"{self.name} trains on one host, but this job has {instance_count}; set instance_count to 1."
            )
        return values

    def check_channels(self, values: Mapping[str, Value | None], input_modes: Mapping[str, str]) -> None:
        """Hold the channels of a job, by name with their input modes, against the rules that speak of them.

        Raises:
            InvalidJobError: a combination that a rule refuses.
        """
        self._check_rules({**values, **{f"channels.{name}": mode for name, mode in input_modes.items()}})

    def _check_rules(self, values: Mapping[str, Value | None]) -> None:
        for rule in self.rules:
            if rule.broken_by(values):
                raise InvalidJobError(rule.message.format(**values))

    def _unknown(self, name: str) -> str:
        return f"hyperparameter {name} is unknown to {self.name}; {_suggestion(name, self.hyperparameters)}"


def _suggestion(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "known are " + ", ".join(sorted(known)) + "."
