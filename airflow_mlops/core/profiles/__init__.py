"""Profiles: column statistics from one scan, of bounded size, that add up in any order.

A plan freezes edges and keys from a reference; a profile counts rows by them. Counts, sums and sketches are integers:
the merge of parts is the profile of the whole, integer for integer, on every engine.
"""

from airflow_mlops.core.profiles.fitting import fit_plan
from airflow_mlops.core.profiles.plan import ColumnPlan, Plan
from airflow_mlops.core.profiles.profile import ColumnProfile, Profile, same_plan
from airflow_mlops.core.profiles.profiler import Profiler, profile_batches

__all__ = ["ColumnPlan", "ColumnProfile", "Plan", "Profile", "Profiler", "fit_plan", "profile_batches", "same_plan"]
