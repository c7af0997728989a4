"""When a candidate is taken back, and when it is accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_mlops.exceptions import ConfigurationError


@dataclass(frozen=True)
class RolloutPolicy:
    """A candidate goes when it is worse than what is tolerated and worse than the champion, both beyond chance.

    :param errors: share of failed requests that nobody minds
    :param slow: likewise of requests slower than 95 of 100 of the champion's
    :param wrong: likewise of wrong answers, once labels arrive; None for no more than the champion
    :param alpha: how often, per measure, a candidate that keeps within what is tolerated is taken back, however long
        it is watched
    :param champion_alpha: how often one that is no worse than the champion is, where the champion itself is beyond it
    :param requests: so many of the candidate's without a reason to take it back are enough to accept it
    :param champion_requests: so many must the champion have had beside it
    :param labelled: so many labelled answers of the candidate are wanted before it is accepted
    :param warm_up: the candidate's first requests, which may be slow
    :param doubt: evidence against it, short of enough, at which acceptance waits
    """

    errors: float = 0.01
    slow: float = 0.10
    wrong: float | None = None
    alpha: float = 0.01
    champion_alpha: float = 0.10
    requests: int = 400
    champion_requests: int = 100
    labelled: int = 0
    warm_up: int = 20
    doubt: float = 5.0

    def __post_init__(self) -> None:
        for name in ("errors", "slow", "wrong", "alpha", "champion_alpha"):
            value = getattr(self, name)
            if (value is not None or name != "wrong") and not (_number(value) and 0 < value < 1):
                raise ConfigurationError(f"Rollout: {name} {value!r} is not a share between 0 and 1.")
        for name, least in (("requests", 1), ("champion_requests", 0), ("labelled", 0), ("warm_up", 0), ("doubt", 1)):
            value = getattr(self, name)
            if not _number(value) or value < least:
                raise ConfigurationError(f"Rollout: {name} {value!r} is not a number of at least {least}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RolloutPolicy:
        """Read it strictly.

        >>> RolloutPolicy.from_json({"request": 100})
        Traceback (most recent call last):
        ...
        airflow_mlops.exceptions.ConfigurationError: Rollout: the policy has no request; it knows errors, slow, ...
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(data, Mapping):
            raise ConfigurationError(f"Rollout: the policy is not a mapping but {data!r}.")
        unknown = [str(name) for name in data if name not in known]
        if unknown:
            raise ConfigurationError(f"Rollout: the policy has no {', '.join(unknown)}; it knows {', '.join(known)}.")
        return cls(**data)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
