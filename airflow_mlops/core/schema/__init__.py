"""What data looks like, learned from a profile: types, and a suite of checks that such data passes.

A proposal is no rule: it becomes one when somebody takes it over. Later proposals never replace a suite; the difference
is told in words, and applied when asked.
"""

from airflow_mlops.core.schema.contract import Schema
from airflow_mlops.core.schema.evolution import Change, Evolution, evolve
from airflow_mlops.core.schema.proposal import ProposalPolicy, propose

__all__ = ["Change", "Evolution", "ProposalPolicy", "Schema", "evolve", "propose"]
