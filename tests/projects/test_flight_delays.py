from __future__ import annotations

import itertools
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlops.exceptions import ConfigurationError
from projects import arrival_delay, flight_delays
from projects.flight_delays import FEATURES, FLIGHT, HOUR, copies, flights, model, prepare, prepare_leaky, weather

DAY = timedelta(days=1)
HORIZON = datetime(2200, 1, 1, tzinfo=UTC)
WHOLE_YEAR = datetime(2014, 12, 30, 5, tzinfo=UTC)  # a copy with 371 days to the next one, so that all of it is shown
SHIPPED = [flight_delays, arrival_delay]

instants = st.datetimes(datetime(2013, 1, 1, 5), datetime(2060, 1, 1), timezones=st.just(UTC))
sources = st.sampled_from([flights, weather])
few = settings(max_examples=25, deadline=None)


def window(as_of: datetime, days: int = 291, delay: int = 7) -> dict[str, datetime]:
    return {"start": as_of - days * DAY, "end": as_of - delay * DAY, "as_of": as_of}


@pytest.fixture(scope="module")
def year() -> pa.Table:
    return flights(start=WHOLE_YEAR, end=WHOLE_YEAR + 371 * DAY, as_of=HORIZON)


@pytest.fixture(scope="module")
def prepared_year(year: pa.Table) -> pa.Table:
    return prepare(year, weather(start=WHOLE_YEAR, end=WHOLE_YEAR + 371 * DAY, as_of=HORIZON))


@pytest.fixture(scope="module")
def raw_flights() -> pd.DataFrame:
    with zipfile.ZipFile(flight_delays._data_file("flights.csv.zip")) as archive, archive.open("flights.csv") as file:
        raw = pd.read_csv(file, parse_dates=["time_hour"])
    return raw.sort_values(list(FLIGHT), ignore_index=True)


@pytest.fixture(scope="module")
def split() -> tuple[pd.DataFrame, pd.DataFrame]:
    as_of = datetime(2026, 8, 1, tzinfo=UTC)
    asked = window(as_of, days=140)
    rows = prepare_leaky(flights(**asked), weather(**asked)).to_pandas().dropna(subset="late")
    return rows[rows["time_hour"] < as_of - 36 * DAY], rows[rows["time_hour"] >= as_of - 35 * DAY]


@pytest.fixture(scope="module")
def fitted(split: tuple[pd.DataFrame, pd.DataFrame]) -> Any:
    return model(max_iter=40).fit(split[0][list(FEATURES)], split[0]["late"])


class TestReplay:
    @given(instants)
    def test_weekday_and_season_stay(self, instant: datetime) -> None:
        for moved, lower, _ in copies(instant, instant + DAY):
            replayed = lower + moved
            assert replayed.weekday() == lower.weekday()
            apart = abs(replayed.timetuple().tm_yday - lower.timetuple().tm_yday)
            assert min(apart, 365 - apart) <= 5

    @given(instants, st.integers(1, 300))
    def test_no_day_meets_its_own_copy(self, start: datetime, days: int) -> None:
        shown = sorted((lower, upper) for _, lower, upper in copies(start, start + days * DAY))
        assert all(upper <= lower for (_, upper), (lower, _) in itertools.pairwise(shown))
        assert sum((upper - lower for lower, upper in shown), timedelta()) == days * DAY

    @few
    @given(sources, instants, st.floats(0, 30), st.floats(0, 30))
    def test_windows_meet_without_gap_or_overlap(
        self, source: Callable[..., pa.Table], start: datetime, first: float, second: float
    ) -> None:
        middle, end = start + first * DAY, start + (first + second) * DAY
        whole = source(start=start, end=end, as_of=HORIZON)
        left, right = source(start=start, end=middle, as_of=HORIZON), source(start=middle, end=end, as_of=HORIZON)
        assert whole.equals(pa.concat_tables([left, right]))
        assert source(start=start, end=end, as_of=middle).equals(left)

    @few
    @given(sources, instants)
    def test_rows_lie_in_the_window_sorted_by_a_unique_key(
        self, source: Callable[..., pa.Table], start: datetime
    ) -> None:
        end = start + 10 * DAY
        rows = source(start=start, end=end, as_of=HORIZON)
        key = list(zip(*(rows[name].to_pylist() for name in (FLIGHT if source is flights else HOUR)), strict=True))
        assert key == sorted(set(key))
        assert not key or (start <= key[0][0] and key[-1][0] < end)

    def test_rows_are_those_of_2013_on_another_date(self, year: pa.Table, raw_flights: pd.DataFrame) -> None:
        moved = pd.Timedelta(weeks=104)
        shown = year.to_pandas()
        untouched = [name for name in year.column_names if name not in ("year", "month", "day", "time_hour")]
        pd.testing.assert_frame_equal(shown[untouched], raw_flights[untouched], check_dtype=False)
        assert (shown["time_hour"] == raw_flights["time_hour"] + moved).all()
        clock = ["year", "month", "day"]
        assert (pd.to_datetime(shown[clock]) == pd.to_datetime(raw_flights[clock]) + moved).all()

    def test_year_of_371_days_ends_in_six_without_flights(self, year: pa.Table) -> None:
        assert pc.max(year["time_hour"]).as_py() == datetime(2015, 12, 30, 4, tzinfo=UTC)
        pause = {"start": datetime(2015, 12, 30, 5, tzinfo=UTC), "end": datetime(2016, 1, 5, 5, tzinfo=UTC)}
        assert flights(**pause, as_of=HORIZON).num_rows == 0
        next_day = {"start": pause["end"], "end": pause["end"] + DAY}
        assert flights(**next_day, as_of=HORIZON).num_rows == 842

    def test_bounds_in_any_time_zone_name_the_same_rows(self) -> None:
        start, end = datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 11, 20, 5, tzinfo=UTC)
        new_york = ZoneInfo("America/New_York")
        there = flights(start=start.astimezone(new_york), end=end.astimezone(new_york), as_of=HORIZON)
        assert there.equals(flights(start=start, end=end, as_of=HORIZON))

    @pytest.mark.parametrize("source", [flights, weather])
    def test_before_2013_there_is_nothing(self, source: Callable[..., pa.Table]) -> None:
        first = datetime(2013, 1, 1, tzinfo=UTC)
        before = source(start=first - 400 * DAY, end=first, as_of=HORIZON)
        assert before.num_rows == 0
        assert before.schema == source(start=first, end=first + DAY, as_of=HORIZON).schema

    @pytest.mark.parametrize("naive", ["start", "end", "as_of"])
    def test_naive_times_are_refused(self, naive: str) -> None:
        bounds = window(datetime(2026, 8, 1, tzinfo=UTC))
        bounds[naive] = bounds[naive].replace(tzinfo=None)
        with pytest.raises(ConfigurationError, match="time zone"):
            flights(**bounds)

    def test_missing_data_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        flight_delays._original.cache_clear()
        monkeypatch.setattr(sys, "path", [])
        with pytest.raises(ConfigurationError, match=r"pip install 'airflow-mlops\[demo\]'"):
            weather(**window(datetime(2026, 8, 1, tzinfo=UTC)))


class TestPrepare:
    def test_figures_of_the_year(self, year: pa.Table, prepared_year: pa.Table) -> None:
        late = prepared_year["late"]
        assert prepared_year.num_rows == year.num_rows == 336_776
        assert len(late) - late.null_count == 327_346
        assert pc.mean(late).as_py() == pytest.approx(0.2370, abs=0.0005)
        assert prepared_year["precip"].null_count == 1_342  # of no hour of weather is it missing: the rest is the join
        july = prepared_year.filter(pc.equal(pc.month(prepared_year["date"]), 7))
        assert pc.mean(july["late"]).as_py() == pytest.approx(0.315, abs=0.01)

    def test_weather_is_that_of_the_hour_before_also_when_the_clocks_change(self) -> None:
        for midnight in (datetime(2026, 3, 7, 5, tzinfo=UTC), datetime(2026, 10, 31, 5, tzinfo=UTC)):
            asked = {"start": midnight, "end": midnight + 3 * DAY, "as_of": HORIZON}
            there = {(row["time_hour"], row["origin"]): row for row in weather(**asked).to_pylist()}
            rows = prepare(flights(**asked), weather(**asked)).to_pylist()
            assert {row["utc_offset"] for row in rows} == {-5, -4}
            for row in rows:
                before = there.get((row["time_hour"] - timedelta(hours=1), row["origin"]), {})
                for name in ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"):
                    assert row[name] == before.get(name)

    def test_daylight_saving_is_that_of_2013(self) -> None:
        # Copied from 11 March 2013; in 2027 New York changes its clocks on 14 March.
        asked = {"start": datetime(2027, 3, 8, 5, tzinfo=UTC), "end": datetime(2027, 3, 9, tzinfo=UTC)}
        rows = prepare(flights(**asked, as_of=HORIZON), weather(**asked, as_of=HORIZON))
        assert pc.unique(rows["utc_offset"]).to_pylist() == [-4]

    def test_one_flight_by_hand(self) -> None:
        rows = prepare(
            one_flight(sched_dep_time=1745, sched_arr_time=2010, hour=17, arr_delay=16), one_hour(wind_dir=90)
        )
        (row,) = rows.to_pylist()
        assert (row["dep_minute"], row["arr_minute"], row["clock_minute"]) == (1065, 1210, 45)
        assert (row["date"], row["day_of_week"], row["utc_offset"]) == (date(2026, 7, 1), 2, -4)
        assert (row["late"], row["day_labelled"], row["temp"], row["wind_gust"]) == (1, 1, 70.0, 0.0)
        assert (row["wind_sin"], row["wind_cos"]) == pytest.approx((1, 0))

    @pytest.mark.parametrize(("arr_delay", "late"), [(15, 0), (16, 1), (-20, 0), (None, None)])
    def test_late_is_more_than_fifteen_minutes(self, arr_delay: int | None, late: int | None) -> None:
        rows = prepare(one_flight(arr_delay=arr_delay), one_hour())
        assert rows["late"].to_pylist() == [late]
        assert rows["day_labelled"].to_pylist() == [late is not None]

    def test_order_of_the_inputs_does_not_matter(self) -> None:
        asked = window(datetime(2026, 8, 1, tzinfo=UTC), days=17)
        flown, sky = flights(**asked), weather(**asked)
        shuffled = np.random.default_rng(0).permutation
        mixed = prepare(flown.take(shuffled(flown.num_rows)), sky.take(shuffled(sky.num_rows)))
        assert mixed.equals(prepare(flown, sky))

    def test_nothing_known_only_after_departure_is_let_in(self, prepared_year: pa.Table) -> None:
        outcomes = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}
        for_the_suite = {"late", "date", "time_hour", "flight", "hour", "clock_minute", "utc_offset", "day_labelled"}
        assert set(FEATURES) == set(prepared_year.column_names) - for_the_suite
        assert not outcomes & set(prepared_year.column_names)
        leaky = prepare_leaky(one_flight(), one_hour())
        assert leaky.column_names == [*prepared_year.column_names, "dep_delay"]

    @pytest.mark.parametrize("project", SHIPPED)
    def test_a_row_depends_on_its_own_flight_and_hour_alone(self, project: ModuleType) -> None:
        asked = window(datetime(2026, 8, 1, tzinfo=UTC), days=9)
        flown, sky = flights(**asked), weather(**asked)
        some = pa.array(np.arange(flown.num_rows) % 3 == 0)
        whole, part = (
            project.prepare(rows, sky).drop_columns(["day_labelled"]) for rows in (flown, flown.filter(some))
        )
        assert part.equals(whole.filter(some))

    def test_minutes_are_another_label_of_the_same_table(self) -> None:
        asked = window(datetime(2026, 3, 1, tzinfo=UTC), days=29)  # with a storm
        flown, sky = flights(**asked), weather(**asked)
        late, minutes = prepare(flown, sky), arrival_delay.prepare(flown, sky)
        assert minutes.drop_columns(["arr_delay"]).equals(late.drop_columns(["late"]))
        assert minutes["arr_delay"].equals(flown["arr_delay"])  # both sorted by the key
        cancelled = pc.is_null(flown["dep_time"])
        assert pc.sum(cancelled).as_py() > 500
        assert minutes.filter(cancelled)["arr_delay"].null_count == pc.sum(cancelled).as_py()


def one_flight(**changed: Any) -> pa.Table:
    row = {"year": 2026, "month": 7, "day": 1, "time_hour": datetime(2026, 7, 1, 21, tzinfo=UTC), "hour": 17}
    row |= {"sched_dep_time": 1745, "sched_arr_time": 2010, "dep_delay": 3, "arr_delay": 5}
    row |= {"carrier": "UA", "flight": 1, "origin": "EWR", "dest": "IAH", "distance": 1400}
    return like(flights, row | changed)


def one_hour(**changed: Any) -> pa.Table:
    row = {"time_hour": datetime(2026, 7, 1, 20, tzinfo=UTC), "origin": "EWR", "temp": 70.0, "dewp": 60.0}
    row |= {"humid": 50.0, "wind_dir": None, "wind_speed": 5.0, "precip": 0.0, "pressure": 1010.0, "visib": 10.0}
    return like(weather, row | changed)


def like(source: Callable[..., pa.Table], row: dict[str, Any]) -> pa.Table:
    nothing = source(start=HORIZON, end=HORIZON, as_of=HORIZON)
    return pa.Table.from_pylist([row], schema=nothing.schema)


class TestModel:
    def test_honest_auc_and_the_leak(self, split: tuple[pd.DataFrame, pd.DataFrame], fitted: Any) -> None:
        from sklearn.metrics import roc_auc_score

        train, test = split
        honest = roc_auc_score(test["late"], fitted.predict_proba(test[list(FEATURES)])[:, 1])
        assert 0.60 < honest < 0.80
        cheat = [*FEATURES, "dep_delay"]
        leaky = model(max_iter=40).fit(train[cheat], train["late"])
        assert roc_auc_score(test["late"], leaky.predict_proba(test[cheat])[:, 1]) > 0.88

    def test_kind_of_string_does_not_matter(self, split: tuple[pd.DataFrame, pd.DataFrame], fitted: Any) -> None:
        train, test = (part[list(FEATURES)] for part in split)
        expected = fitted.predict_proba(test)
        names = ["carrier", "origin", "dest"]
        for kind in ("object", "category"):
            assert np.array_equal(fitted.predict_proba(test.astype(dict.fromkeys(names, kind))), expected)
            refitted = model(max_iter=40).fit(train.astype(dict.fromkeys(names, kind)), split[0]["late"])
            assert np.array_equal(refitted.predict_proba(test), expected)

    def test_unknown_names_are_scored_as_missing(self, split: tuple[pd.DataFrame, pd.DataFrame], fitted: Any) -> None:
        new = split[1][list(FEATURES)].head(50)
        unknown = fitted.predict_proba(new.assign(carrier="ZZ", dest="QQQ"))
        assert np.array_equal(unknown, fitted.predict_proba(new.assign(carrier=None, dest=None)))
        assert not np.array_equal(unknown, fitted.predict_proba(new))

    def test_survives_skops_with_three_named_types(self, split: tuple[pd.DataFrame, pd.DataFrame], fitted: Any) -> None:
        import skops.io

        saved = skops.io.dumps(fitted)
        trusted = [
            "functools.partial",
            "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
            "sklearn.utils.validation.check_array",
        ]
        assert skops.io.get_untrusted_types(data=saved) == trusted
        rows = split[1][list(FEATURES)]
        loaded = skops.io.loads(saved, trusted=trusted)
        assert np.array_equal(loaded.predict_proba(rows), fitted.predict_proba(rows))

    def test_parameters_reach_the_boosting(self) -> None:
        boosting = model(max_leaf_nodes=7, random_state=3, max_bins=64)[-1]
        assert (boosting.max_leaf_nodes, boosting.random_state, boosting.max_bins) == (7, 3, 64)

    def test_another_loss_makes_it_a_regression(self, split: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        train = split[0].sample(5000, random_state=0)
        inputs, delay = train[list(FEATURES)], train["dep_delay"]
        middle = model(loss="absolute_error", max_iter=20).fit(inputs, delay).predict(inputs)
        squares = model(loss="squared_error", max_iter=20).fit(inputs, delay).predict(inputs)
        assert np.mean(middle) < 3 < np.mean(squares)  # the median is far below the mean: some wait for hours


Validate = Callable[..., set[tuple[str, str | None]]]


@pytest.fixture(scope="module")
def broken() -> Iterator[Validate]:
    """What a table breaks: type and column of each failed expectation."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        context = gx.get_context(mode="ephemeral")
        asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("prepared")
        definition = asset.add_batch_definition_whole_dataframe("whole")

        def validate(table: pa.Table, project: ModuleType = flight_delays) -> set[tuple[str, str | None]]:
            document = yaml.safe_load(Path(project.__file__ or "").with_suffix(".suite.yaml").read_text())
            expectations = [ExpectationConfiguration(**each).to_domain_obj() for each in document["expectations"]]
            suite = gx.ExpectationSuite(name=document["name"], expectations=expectations)
            batch = definition.get_batch({"dataframe": table.to_pandas()})
            results = batch.validate(suite, result_format="BOOLEAN_ONLY").results
            assert len(results) == len(document["expectations"])
            failed = [result.expectation_config for result in results if not result.success]
            return {(config.type, config.kwargs.get("column")) for config in failed if config is not None}

        yield validate


Fault = Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]


def rows_twice(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.concat([flown, flown.sample(500, random_state=0)]), sky


def storm_of_1048_miles_per_hour(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    hit = sky.index.isin(sky.sample(30, random_state=0).index)
    return flown, sky.assign(wind_speed=sky["wind_speed"].mask(hit, 1048.36))


def local_time_written_as_utc(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    clock = pd.to_datetime(flown[["year", "month", "day", "hour"]]).dt.tz_localize("UTC")
    return flown.assign(time_hour=clock), sky


def kilometres(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown.assign(distance=(flown["distance"] * 1.609344).round().astype("int64")), sky


def labels_missing(days: int) -> Fault:
    def fault(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        last = flown["time_hour"] >= flown["time_hour"].max() - pd.Timedelta(days=days)
        return flown.assign(arr_delay=flown["arr_delay"].mask(last)), sky

    return fault


def minutes_of_the_day(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown.assign(sched_dep_time=flown["hour"] * 60 + flown["minute"]), sky


def humidity_as_fraction(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown, sky.assign(humid=sky["humid"] / 100)


def carrier_lost(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown[flown["carrier"] != "EV"], sky


def celsius(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown, sky.assign(temp=(sky["temp"] - 32) / 1.8, dewp=(sky["dewp"] - 32) / 1.8)


def weather_twice(flown: pd.DataFrame, sky: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return flown, pd.concat([sky, sky.sample(50, random_state=0)])


class TestSuite:
    # Windows over a year's end, with and without the six empty days, over both changes of the clocks, long and short.
    @pytest.mark.parametrize(
        "as_of", ["2026-01-15", "2026-03-01", "2026-08-01", "2026-12-01", "2028-02-01", "2028-05-01"]
    )
    @pytest.mark.parametrize(("project", "days"), [(flight_delays, 117), (flight_delays, 291), (arrival_delay, 291)])
    def test_passes_in_every_season(self, broken: Validate, as_of: str, project: ModuleType, days: int) -> None:
        asked = window(datetime.fromisoformat(as_of).replace(tzinfo=UTC), days=days)
        assert broken(project.prepare(flights(**asked), weather(**asked)), project) == set()

    @pytest.mark.parametrize(
        ("fault", "expectations"),
        [
            (rows_twice, {("expect_compound_columns_to_be_unique", None)}),
            (weather_twice, {("expect_compound_columns_to_be_unique", None)}),
            (storm_of_1048_miles_per_hour, {("expect_column_values_to_be_between", "wind_speed")}),
            (
                local_time_written_as_utc,  # and so the impossible wind of 12 February meets flights
                {
                    ("expect_column_values_to_be_in_set", "utc_offset"),
                    ("expect_column_values_to_be_between", "wind_speed"),
                },
            ),
            (kilometres, {("expect_column_values_to_be_between", "distance")}),
            (labels_missing(days=1), {("expect_column_values_to_be_in_set", "day_labelled")}),
            (
                labels_missing(days=8),
                {
                    ("expect_column_values_to_be_in_set", "day_labelled"),
                    ("expect_column_values_to_not_be_null", "late"),
                },
            ),
            (minutes_of_the_day, {("expect_column_values_to_be_between", "clock_minute")}),
            (humidity_as_fraction, {("expect_column_mean_to_be_between", "humid")}),
            (
                carrier_lost,  # and with it a third of the flights from Newark
                {
                    ("expect_column_distinct_values_to_contain_set", "carrier"),
                    ("expect_column_kl_divergence_to_be_less_than", "origin"),
                },
            ),
            (celsius, {("expect_column_mean_to_be_between", "temp")}),
        ],
        ids=lambda value: getattr(value, "__qualname__", "").removesuffix(".<locals>.fault"),
    )
    def test_planted_fault_breaks_what_it_should(
        self, broken: Validate, fault: Fault, expectations: set[tuple[str, str | None]]
    ) -> None:
        asked = window(datetime(2026, 9, 1, tzinfo=UTC))
        tables = flights(**asked), weather(**asked)
        faulty = fault(*(table.to_pandas() for table in tables))
        spoilt = [
            pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)
            for frame, table in zip(faulty, tables, strict=True)
        ]
        assert broken(prepare(*spoilt)) == expectations
