"""A profile is integers that add up."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from airflow_mlops.core.profiles import Profile, Profiler, fit_plan
from airflow_mlops.exceptions import ProfileError

BATCH = pa.record_batch({"x": [1.0, 2.0, float("nan"), None, float("inf")] * 30, "s": ["a", "b", None, "é", "a"] * 30})


def profile(batch: pa.RecordBatch) -> Profile:
    profiler = Profiler(fit_plan([BATCH]))
    profiler.update(batch)
    return profiler.profile()


def test_a_profile_comes_back_from_json_as_it_was() -> None:
    whole = profile(BATCH)
    back = Profile.from_json(json.loads(json.dumps(whole.to_json())))
    assert back == whole
    assert back.digest == whole.digest


def test_parts_add_up_to_the_whole() -> None:
    parts = [profile(BATCH.slice(0, 41)), profile(BATCH.slice(41, 0)), profile(BATCH.slice(41))]
    assert parts[2].merge(parts[1]).merge(parts[0]) == parts[0].merge(*parts[1:]) == profile(BATCH)


def test_profiles_of_different_plans_do_not_mix() -> None:
    other = BATCH.set_column(0, "x", pa.array([5.0] * 150))
    profiler = Profiler(fit_plan([other]))
    with pytest.raises(ProfileError, match=r"different plans \(x\)"):
        profiler.profile().merge(profile(BATCH))
