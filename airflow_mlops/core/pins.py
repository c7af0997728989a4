"""A pin: the word of a named person which version is champion, whatever else is approved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from airflow_mlops.core import tags
from airflow_mlops.core.registry import ModelVersion
from airflow_mlops.exceptions import RegistryError


@dataclass(frozen=True)
class Pin:
    """Who pinned which version, and why; a version of None lifts the pin."""

    version: int | None
    actor: str
    reason: str
    at: str

    @property
    def tag_value(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def pin_of(model_tags: Mapping[str, str]) -> Pin | None:
    """The pin that holds now.

    >>> pin_of({tags.PINNED: Pin(3, "ada", "the audit", "2026-11-01T00:00:00+00:00").tag_value}).version
    3
    >>> pin_of({tags.PINNED: Pin(None, "ada", "it is over", "2026-11-02T00:00:00+00:00").tag_value})
    """
    text = model_tags.get(tags.PINNED)
    try:
        pin = Pin(**json.loads(text)) if text else None
    except (TypeError, ValueError) as error:
        raise RegistryError(f"The tag {tags.PINNED} holds no pin ({error}): pin a version again.") from error
    return pin if pin and pin.version is not None else None


def pinned(model_tags: Mapping[str, str]) -> int | None:
    """The number of the pinned version."""
    pin = pin_of(model_tags)
    return pin.version if pin else None


def check_pinnable(version: ModelVersion) -> None:
    """A version to be pinned can be loaded; it need not be approved, and a person may bring a retracted one back.

    >>> check_pinnable(ModelVersion("m", 2, "s", status="PENDING_REGISTRATION"))
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.RegistryError: Version 2 of model m is PENDING_REGISTRATION: only a READY version ...
    """
    subject = f"Version {version.version} of model {version.name}"
    if version.status != "READY":
        raise RegistryError(f"{subject} is {version.status}: only a READY version can be pinned.")
    if version.superseded:
        other = version.tags[tags.SUPERSEDED_BY]
        raise RegistryError(f"{subject} is superseded: pin version {other}, which is the same model.")
