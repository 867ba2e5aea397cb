"""A training job: vectors read, models fitted side by side on all hosts, the best chosen, written and scored."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from contract.checkpoints import Checkpoints
from contract.environment import TrainingEnvironment
from contract.recordio_protobuf import Batch
from contract.rendezvous import Hosts, rendezvous
from contract.training import run_training
from linear_learner import log_lines, report
from linear_learner.calibration import calibrate
from linear_learner.data import Data, own_part, taken, training_data
from linear_learner.fitting import Fitted, Fitting
from linear_learner.model import Description, LinearModel
from linear_learner.scores import Measure, measures
from linear_learner.settings import Model, Settings

_MANY_COLUMNS = 128  # of weights

logger = logging.getLogger(__name__)


def main() -> int:
    """Train as the environment says; ends the process."""
    torch.set_grad_enabled(False)
    code = run_training("linear_learner", train)
    sys.stdout.flush()
    # Without the interpreter's shutdown: threads of gloo that have lost their peers would wait for them.
    os._exit(code)


def train(environment: TrainingEnvironment) -> None:
    """Train on all hosts; the first writes the model, and scores it on the channel `test`.

    Raises:
        ClientError: a channel or a hyperparameter that cannot be trained with.
    """
    settings = Settings.of_job(environment)
    logger.info("Final configuration: %s", json.dumps(dict(environment.hyperparameters)))
    pa.set_cpu_count(environment.cpus)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    logger.info("Number of GPUs being used: %d", device.type == "cuda")
    with rendezvous(environment) as hosts:
        several = settings.num_models != 1 and not (settings.num_models == "auto" and settings.tuned)
        validates = "validation" in environment.channels
        data = training_data(environment.channel("train"), settings, hosts, hold_back=several and not validates)
        validation = own_part(environment.channel("validation"), settings, data, hosts) if validates else None
        models = settings.models(data.shape.features)
        # For few columns threads wait for each other longer than they work: of 32 models, 2 take three times as long.
        torch.set_num_threads(environment.cpus if len(models) * settings.outputs >= _MANY_COLUMNS else 1)
        logger.info("Training %d models of %d features side by side.", len(models), data.shape.features)
        fitting = Fitting(data, validation, models, settings, hosts, environment, device)
        identity = {**environment.hyperparameters, "hosts": hosts.size, "data": data.identity()}
        fitted = fitting.run(Checkpoints.of_job(environment, hosts, identity))
        choose(environment, settings, data, models, fitting, fitted, hosts)
        hosts.await_master()


def choose(
    environment: TrainingEnvironment,
    settings: Settings,
    data: Data,
    models: list[Model],
    fitting: Fitting,
    fitted: Fitted,
    hosts: Hosts,
) -> None:
    """Choose the best model and calibrate it on all hosts; the first writes and scores it."""
    best = fitting.best_of(fitted)
    part = fitting.measured_on()
    some_host_has = any(hosts.exchange(part is not None))
    if part is None:
        # Where other hosts have what the models were chosen by, this one adds nothing to it.
        part = taken(data.sample, np.zeros(0, np.int64)) if some_host_has else data.sample
    plain = plain_model(settings, data, models[best], fitted.weights_of(best, settings.outputs))
    scores, labels = gathered(plain, part, hosts)
    threshold = calibrate(scores, labels, settings).threshold if settings.is_binary else None
    model = replace(plain, description=plain.description.model_copy(update={"threshold": threshold}))
    if environment.is_master:
        log_lines.chosen(settings.described(models[best]))
        model.write(environment.paths.model)
    found: dict[str, list[Measure]] = {}
    if "validation" in environment.channels:
        objective = Measure(fitting.objective, "loss", float(fitted.measured[best]))
        found["validation"] = [objective, *measures(scores, labels, settings, threshold)]
    if "test" in environment.channels and not any(hosts.exchange(environment.stopping.is_set())):
        test = own_part(environment.channel("test"), settings, data, hosts)
        scores, labels = gathered(model, test, hosts)
        objective = Measure(fitting.objective, "loss", fitting.loss_of(test, best, fitted))
        found["test"] = [objective, *measures(scores, labels, settings, threshold)]
    if not environment.is_master:
        return
    found = {"train": [Measure(fitting.objective, "loss", float(fitted.train[best]))], **found}
    for split, some in found.items():
        log_lines.measures(environment, split, some)
    if "test" not in environment.channels:
        logger.info("Test data is not provided.")
    report.write(environment.paths.output_data, settings, models, fitted, best, found, scores, labels)


def plain_model(settings: Settings, data: Data, model: Model, weights: NDArray[np.float32]) -> LinearModel:
    """A trained model for features and labels as they come.

    Args:
        weights: shape (rows, outputs).
    """
    features = data.shape.features
    bias = weights[-1] if data.shape.bias else np.zeros(settings.outputs, np.float32)
    description = Description(
        predictor_type=settings.predictor_type,
        loss=settings.the_loss,
        feature_dim=features,
        outputs=settings.outputs,
        settings=settings.described(model),
    )
    return LinearModel(description, *data.scaler.undone(weights[:features].T, bias))


def gathered(model: LinearModel, part: Batch, hosts: Hosts) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The model's scores on all hosts' parts of some records, and their labels."""
    assert part.labels is not None
    scores = model.scores(part.features)
    shape = (-1, *scores.shape[1:])
    all_scores = [np.frombuffer(content, np.float64).reshape(shape) for content in hosts.share(scores.tobytes())]
    all_labels = [np.frombuffer(content, np.float32) for content in hosts.share(part.labels.tobytes())]
    return np.concatenate(all_scores), np.concatenate(all_labels)
