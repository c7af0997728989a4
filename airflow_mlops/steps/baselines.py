"""The profile of the rows that a model was trained on, kept with the run that trained it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_mlops.core import tags
from airflow_mlops.core.packages import ModelRef
from airflow_mlops.core.profiles import Profile
from airflow_mlops.exceptions import ProfileError
from airflow_mlops.steps.packages import find_version
from airflow_mlops.steps.profiles import load_profile

if TYPE_CHECKING:
    from airflow_mlops.core.tracking import Mlflow

#: The file among the artifacts of the run that trained a model.
ARTIFACT: Final = "baseline/profile.json"


def baseline_of(client: Mlflow, name: str, which: int | str = "champion") -> Profile:
    """The profile of the rows that a version was trained on.

    :param which: a version's number, or an alias
    :raises NoVersion: the alias names none, so that there is no baseline yet
    """
    facts = find_version(client.registry, ModelRef.of(name, which))
    if not facts.model_id or tags.BASELINE not in facts.tags:
        raise ProfileError(f"Version {facts.version} of model {name} has no baseline: train it again.")
    run_id = client.tracking.model(facts.model_id).run_id or ""
    from upath import UPath

    with tempfile.TemporaryDirectory(prefix="mlops-profile-") as folder:
        client.tracking.download(f"{client.tracking.artifact_uri(run_id)}/{os.path.dirname(ARTIFACT)}", Path(folder))
        profile = load_profile(UPath(folder) / os.path.basename(ARTIFACT))
    if profile.digest != facts.tags[tags.BASELINE]:
        raise ProfileError(f"The baseline of version {facts.version} of model {name} is not the one that was logged.")
    return profile
