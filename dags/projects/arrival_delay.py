"""How many minutes late will a flight that leaves New York arrive? The data of ``flight_delays``, another label."""

from __future__ import annotations

import pyarrow as pa

from projects import flight_delays


def prepare(flights: pa.Table, weather: pa.Table) -> pa.Table:
    """The table of ``flight_delays`` with ``arr_delay`` for a label; a flight that never arrived has none."""
    return flight_delays.prepare(flights, weather, outcomes=["arr_delay"]).drop_columns(["late"])
