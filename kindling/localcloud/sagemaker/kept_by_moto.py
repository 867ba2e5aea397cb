"""The operations that are left to moto: records that it keeps and describes as they came, and by which nothing runs.

An operation that is neither here nor the embedded SageMaker's own is refused by name, for moto would pretend.
"""

from __future__ import annotations

from collections.abc import Mapping

from kindling.localcloud.sagemaker.validation import Supported

_PAGE: Supported = {"MaxResults": None, "NextToken": None}
_COMPONENT: Supported = {
    "TrialComponentName": None,
    "DisplayName": None,
    "Status": None,
    "StartTime": None,
    "EndTime": None,
    "Parameters": None,
    "InputArtifacts": None,
    "OutputArtifacts": None,
}
_ASSOCIATION: Supported = {"TrialName": None, "TrialComponentName": None}

# By operation, the members that moto keeps or goes by; it would forget the others.
KEPT_BY_MOTO: Mapping[str, Supported] = {
    "CreateExperiment": {"ExperimentName": None},
    "DescribeExperiment": {"ExperimentName": None},
    "ListExperiments": _PAGE,
    "DeleteExperiment": {"ExperimentName": None},
    "CreateTrial": {"TrialName": None, "ExperimentName": None},
    "DescribeTrial": {"TrialName": None},
    "ListTrials": {**_PAGE, "ExperimentName": None, "TrialComponentName": None},
    "DeleteTrial": {"TrialName": None},
    "CreateTrialComponent": {**_COMPONENT, "MetadataProperties": None},
    "DescribeTrialComponent": {"TrialComponentName": None},
    "UpdateTrialComponent": _COMPONENT,
    "ListTrialComponents": {**_PAGE, "TrialName": None},
    "DeleteTrialComponent": {"TrialComponentName": None},
    "AssociateTrialComponent": _ASSOCIATION,
    "DisassociateTrialComponent": _ASSOCIATION,
}
# What their ARNs have in the place of the kind.
KINDS_KEPT_BY_MOTO = ("experiment", "experiment-trial", "experiment-trial-component")
