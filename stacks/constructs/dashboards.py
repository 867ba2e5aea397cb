"""A dashboard for each algorithm, and one for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.specification import Algorithm
from stacks.constructs import dashboard_widgets as widgets
from stacks.constructs.pipeline_function import PipelineFunction
from stacks.constructs.training_pipeline import TrainingPipeline, name_prefix
from stacks.settings import Settings

_JOBS, _JOB_HOSTS = "/aws/sagemaker/TrainingJobs,TrainingJobName", "/aws/sagemaker/TrainingJobs,Host"
# What stands in an algorithm's dashboard where the reader's choice of an endpoint comes.
_CHOSEN = "chosen-endpoint"
# A row has room for as many graphs.
_GRAPHS = 3
_PAGES = "what to do: docs/runbook.md · what is shown: docs/dashboards.md"
_CONSOLE = "https://{region}.console.aws.amazon.com"


@dataclass(frozen=True, kw_only=True)
class DashboardsProps:
    """What is shown: pipelines by algorithm, and all functions and alarms of the deployment's stacks."""

    settings: Settings
    algorithms: Mapping[str, Algorithm]
    pipelines: Mapping[str, TrainingPipeline]
    experiments: sfn.IStateMachine
    functions: Sequence[PipelineFunction]
    alarms: Sequence[cloudwatch.IAlarm]


class Dashboards(Construct):
    """docs/dashboards.md"""

    def __init__(self, scope: Construct, id: str, props: DashboardsProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self.names = [self._of_algorithm(algorithm) for algorithm in props.algorithms.values()]
        self.names.append(self._of_all())

    def _of_algorithm(self, algorithm: Algorithm) -> str:
        name = name_prefix(self._props.settings, algorithm)
        machine = self._props.pipelines[algorithm.name].state_machine
        # Unquoted words match parts of a name.
        jobs = " ".join(f"TrainingJobName={word}" for word in name.split("-"))
        hosts = " ".join(f"Host={word}" for word in name.split("-"))
        metrics = [
            widgets.graph(metric.name, [widgets.search(_JOBS, metric.name, "Average", jobs)])
            for metric in algorithm.metrics
        ]
        utilization = [
            widgets.search(_JOB_HOSTS, f"{what}Utilization", "Average", hosts, what)
            for what in ("CPU", "Memory", "Disk", *(["GPU", "GPUMemory"] if algorithm.resources.gpu else []))
        ]
        rows: list[list[cloudwatch.IWidget]] = [
            [widgets.text(self._heading(algorithm, machine))],
            widgets.executions(machine),
            *_rows(metrics),
            [widgets.graph("Hosts of training jobs", utilization, unit="%", width=24)],
            *widgets.endpoints(f'EndpointName="{_CHOSEN}"'),
            self._functions(),
        ]
        endpoint = cloudwatch.DashboardVariable(
            id="endpoint",
            type=cloudwatch.VariableType.PATTERN,
            label="Endpoint",
            value=_CHOSEN,
            input_type=cloudwatch.VariableInputType.SELECT,
            values=cloudwatch.Values.from_search(
                '{AWS/SageMaker,EndpointName,VariantName} MetricName="Invocations"', "EndpointName"
            ),
            # What serves the runs that name none.
            default_value=cloudwatch.DefaultValue.value(algorithm.name.replace("_", "-")),
            visible=True,
        )
        return self._dashboard(name, rows, [endpoint])

    def _of_all(self) -> str:
        machines = {name: pipeline.state_machine for name, pipeline in self._props.pipelines.items()}
        everything: dict[str, sfn.IStateMachine] = {**machines, "experiments": self._props.experiments}
        ends = [
            widgets.graph(
                title,
                [
                    getattr(machine, f"metric_{how}")(label=name, period=widgets.PERIOD)
                    for name, machine in everything.items()
                ],
                unit="executions",
            )
            for title, how in (("Began", "started"), ("Succeeded", "succeeded"), ("Failed", "failed"))
        ]
        alarms: list[cloudwatch.IWidget] = []
        if self._props.alarms:
            alarms = [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(self._props.alarms), width=24, height=3)]
        rows: list[list[cloudwatch.IWidget]] = [
            [widgets.text(self._heading_of_all())],
            alarms,
            list(ends),
            *widgets.endpoints(),
            [_costs()],
            self._functions(),
        ]
        return self._dashboard(self._props.settings.name, [row for row in rows if row], [])

    def _functions(self) -> list[cloudwatch.IWidget]:
        made = self._props.functions
        return widgets.functions([one.function for one in made], [one.node.id for one in made])

    def _heading(self, algorithm: Algorithm, machine: sfn.IStateMachine) -> str:
        console = _CONSOLE.format(region=cdk.Aws.REGION)
        states = f"{console}/states/home?region={cdk.Aws.REGION}#/statemachines/view/{machine.state_machine_arn}"
        alarms = self._alarms_link(name_prefix(self._props.settings, algorithm))
        return f"# {algorithm.title}\n[Executions]({states}) · {alarms} · {_PAGES}"

    def _heading_of_all(self) -> str:
        name = self._props.settings.name
        return f"# {name}: all pipelines, and all endpoints of the account\n{self._alarms_link(name)} · {_PAGES}"

    def _alarms_link(self, prefix: str) -> str:
        """Runs make the alarms of endpoints, so a list of them would be out of date."""
        console, region = _CONSOLE.format(region=cdk.Aws.REGION), cdk.Aws.REGION
        return f"[Alarms]({console}/cloudwatch/home?region={region}#alarmsV2:?search={prefix})"

    def _dashboard(
        self,
        name: str,
        rows: Sequence[Sequence[cloudwatch.IWidget]],
        variables: Sequence[cloudwatch.IVariable],
    ) -> str:
        cloudwatch.Dashboard(
            self,
            "".join(word.capitalize() for word in name.split("-")),
            dashboard_name=name,
            widgets=[list(row) for row in rows],
            variables=list(variables),
            default_interval=cdk.Duration.days(1),
        )
        return name


def _rows(graphs: Sequence[cloudwatch.IWidget]) -> list[list[cloudwatch.IWidget]]:
    return [list(graphs[start : start + _GRAPHS]) for start in range(0, len(graphs), _GRAPHS)]


def _costs() -> cloudwatch.GraphWidget:
    """AWS keeps what an account is charged in one region, and only where billing alerts are switched on."""
    day = cdk.Duration.days(1)

    def charges(label: str, **service: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/Billing",
            metric_name="EstimatedCharges",
            dimensions_map={"Currency": "USD", **service},
            statistic="Maximum",
            label=label,
            region="us-east-1",
            period=day,
        )

    return cloudwatch.GraphWidget(
        title="Estimated charges of this month, where billing alerts are on",
        left=[charges("account"), charges("SageMaker", ServiceName="AmazonSageMaker")],
        left_y_axis=cloudwatch.YAxisProps(label="USD", show_units=False, min=0),
        width=24,
        height=6,
        period=day,
        region="us-east-1",
    )
