"""A new candidate from the record of another model, parts of it overridden."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_mlops.core import tags
from airflow_mlops.core.gate import GatePolicy
from airflow_mlops.core.reproduction import Overrides
from airflow_mlops.core.training import RunFacts, TrainedModel
from airflow_mlops.exceptions import ConfigurationError
from airflow_mlops.steps.budget import CpuBudget
from airflow_mlops.steps.evaluation import EvaluationSpec
from airflow_mlops.steps.logged_models import upload_text
from airflow_mlops.steps.reproduction.data import Sources
from airflow_mlops.steps.reproduction.record import Record, recorded_snapshot
from airflow_mlops.steps.reproduction.search import Search, search
from airflow_mlops.steps.reproduction.trust import check_estimator
from airflow_mlops.steps.training import train
from airflow_mlops.steps.weighing import weigh

if TYPE_CHECKING:
    from airflow_mlops.core.gate import Verdict
    from airflow_mlops.core.tracking import Mlflow


@dataclass(frozen=True)
class Candidate:
    """A model made of another's record, and what the gate says of it; it is not registered.

    :param parent: ``model_id`` of the other model
    :param verdict: None where the overrides lead to the parent itself, which was judged already
    """

    model: TrainedModel
    parent: str
    overrides: Overrides
    search: Search | None
    verdict: Verdict | None

    @property
    def sentence(self) -> str:
        """What came out, in plain words, and what to do with it."""
        model, name = self.model.model_id, self.model.model
        if self.verdict is None:
            tried = self.search and f"the best of {len(self.search.trials)} sets of parameters is that of"
            return f"No new candidate: {tried or 'these overrides lead to'} {model} itself."
        made = self.model.facts.get(tags.PARENT) == self.parent
        origin = f"made of {self.parent}" if made else "which was there before"
        more = f' To promote it: airflow-mlops promote {name} {model} --reason "…".' if self.verdict.promote else ""
        return f"Candidate {model}, {origin}. {self.verdict.summary}{more}"

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model.to_json(),
            "parent": self.parent,
            "overrides": self.overrides.to_json(),
            "search": self.search and self.search.to_json(),
            "verdict": self.verdict and self.verdict.to_json(),
            "sentence": self.sentence,
        }


def rerun(
    client: Mlflow,
    sources: Sources,
    parent: Record,
    overrides: Overrides,
    *,
    run: RunFacts | None = None,
    evaluation: EvaluationSpec | None = None,
    policy: GatePolicy | None = None,
    alias: str = "champion",
    trusted: Iterable[str] = (),
    threads: int | None = None,
    max_fits: int = 60,
    build: Callable[..., Any] | None = None,
    budget: CpuBudget | None = None,
) -> Candidate:
    """Train as the record says but for the overrides, and weigh the candidate; its parent is the recorded model.

    :param evaluation: how it is evaluated; None for the parent's way
    :param policy: by which policy it is judged; None for the parent's
    :param threads: threads of a fit where the record does not say
    :param max_fits: fits of a search in all
    :raises UntrustedRecord: the record names code or a source that ``sources`` does not
    """
    run, budget, trusted = run or RunFacts(), budget or CpuBudget(), list(trusted)
    evaluation = evaluation or EvaluationSpec(**_told(parent, tags.EVALUATION))
    policy = policy or GatePolicy.from_json(_told(parent, tags.POLICY))
    threads = parent.threads or threads
    spec = overrides.applied(parent.model.spec)
    if build is None:
        check_estimator(spec.estimator, sources.functions)
    with budget("read"):
        snapshot = sources.overridden(recorded_snapshot(parent, sources.path_at), overrides, run.code_version)
    found: Search | None = None
    if overrides.search_space:
        with budget("search"):
            found = search(
                snapshot,
                spec,
                overrides.search_space,
                metric=evaluation.metric,
                max_fits=max_fits,
                threads=threads,
                build=build,
            )
        spec = replace(spec, params={**spec.params, **found.best.params})
    model = train(
        client,
        snapshot=snapshot,
        spec=spec,
        run=replace(run, parent=parent.model.model_id),
        build=build,
        trusted=trusted,
        sensitive=json.loads(parent.model.facts.get(tags.SENSITIVE, "[]")),
        threads=threads,
        budget=budget,
    )
    if found:
        with budget("io"):
            evidence = {"search/search.json": json.dumps(found.to_json(), indent=1)}
            upload_text(client, client.tracking.artifact_uri(model.run_id), evidence)
    if model.model_id == parent.model.model_id:
        return Candidate(model, parent.model.model_id, overrides, found, None)
    with budget("weigh"):
        _, verdict = weigh(
            client,
            model,
            snapshot=snapshot,
            evaluation=evaluation,
            policy=policy,
            alias=alias,
            trusted=trusted,
            run_type=run.run_type,
        )
    return Candidate(model, parent.model.model_id, overrides, found, verdict)


def _told(parent: Record, tag: str) -> dict[str, Any]:
    recorded = parent.model.facts.get(tag, tags.UNKNOWN)
    if recorded == tags.UNKNOWN:
        raise ConfigurationError(f"{parent} was never judged, and nothing says how: name its project file.")
    return dict(json.loads(recorded))
