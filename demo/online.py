"""The champion at the scoring server: brought there by its DAG, and asked about real flights."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.clients.serving import ServingClient, ServingSettings
from airflow_mlops.exceptions import ServiceUnavailable
from demo.facts import DemoError

if TYPE_CHECKING:
    from airflow_mlops.testing.servers import LocalStack
    from demo.console import Progress

DEPLOYMENT = "continuous_deployment__flight_delays"
#: Flights that are sent, evenly over the month, and how many wait for their answers at once.
FLIGHTS, CLIENTS = 1_000, 4


@dataclass(frozen=True)
class Traffic:
    """What came back of the requests; times are the client's, one flight a request."""

    version: str
    month: str
    clients: int
    requests: int
    errors: int
    late: int
    seconds: float
    p50_ms: float
    p99_ms: float

    def lines(self) -> list[str]:
        return [
            f"version    {self.version}, brought there by {DEPLOYMENT}",
            f"requests   {self.requests:,} flights of {self.month} from {self.clients} clients in {self.seconds} s",
            f"errors     {self.errors}",
            f"p99        {self.p99_ms} ms, p50 {self.p50_ms} ms",
            f"answers    {self.late:,} of them will arrive more than 15 minutes late, says the model",
        ]


def serving_client(stack: LocalStack) -> ServingClient:
    if stack.serving is None:
        raise DemoError("There is no scoring server.")
    return ServingClient(ServingSettings(stack.serving.url, stack.serving.token))


def wait_for_deployment(stack: LocalStack, progress: Progress) -> list[dict[str, Any]]:
    """Wait until every event of the champion was heard; what each run of the DAG did."""
    api, deadline = stack.airflow.api, time.monotonic() + 180
    progress.say("waiting for the deployment")
    while not (runs := api.runs(DEPLOYMENT)) or any(run["state"] not in ("success", "failed") for run in runs):
        if time.monotonic() > deadline:
            raise DemoError(f"{DEPLOYMENT} did not end in three minutes: {[run['state'] for run in runs]}.")
        time.sleep(0.5)
    told = []
    for run in runs:
        if run["state"] != "success":
            raise DemoError(f"Run {run['dag_run_id']} of {DEPLOYMENT} failed, see {stack.airflow.logs}.")
        outcome = api.xcom(DEPLOYMENT, run["dag_run_id"], "deploy") or {}
        told.append({"run_id": run["dag_run_id"], "version": outcome.get("version"), "changed": bool(outcome)})
    changed = [each for each in told if each["changed"]]
    if not changed:
        raise DemoError(f"No run of {DEPLOYMENT} deployed anything.")
    progress.done(f"version {changed[-1]['version']} was deployed to the scoring server")
    return told


def send_flights(stack: LocalStack, start: str, end: str) -> Traffic:
    """Ask about flights of ``[start, end)``, one by one over connections that stay open."""
    rows = flights_between(datetime.fromisoformat(start), datetime.fromisoformat(end))
    shares = [rows[number::CLIENTS] for number in range(CLIENTS)]
    with ServingClient(ServingSettings(serving_client(stack).settings.uri)) as client:
        _ask(client, rows[0])  # the first connection
        begin = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked = pool.map(lambda share: [_ask(client, row) for row in share], shares)
            answers = [answer for share in asked for answer in share]
        seconds = time.perf_counter() - begin
    times = sorted(milliseconds for _, _, milliseconds in answers)
    versions = sorted({version for version, _, _ in answers if version})
    return Traffic(
        version=" and ".join(versions) or "none",
        month=start[:7],
        clients=CLIENTS,
        requests=len(answers),
        errors=sum(not version for version, _, _ in answers),
        late=sum(late for _, late, _ in answers),
        seconds=round(seconds, 1),
        p50_ms=round(times[len(times) // 2], 1),
        p99_ms=round(times[int(len(times) * 0.99)], 1),
    )


def flights_between(start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The model's features of real flights, spread evenly over a span."""
    dags = str(Path("dags").absolute())
    if dags not in sys.path:
        sys.path.append(dags)
    from projects.flight_delays import FEATURES, flights, prepare, weather

    table = prepare(
        flights(start=start, end=end, as_of=end), weather(start=start - timedelta(days=1), end=end, as_of=end)
    )
    step = max(1, len(table) // FLIGHTS)
    return list(table.select(FEATURES).take(list(range(0, len(table), step))[:FLIGHTS]).to_pylist())


def _ask(client: ServingClient, row: dict[str, Any]) -> tuple[str, bool, float]:
    """The version that answered (none on an error), what it said, and how long it took."""
    begin = time.perf_counter()
    try:
        answer = client.invoke({"dataframe_records": [row]})
    except ServiceUnavailable:
        return "", False, (time.perf_counter() - begin) * 1000
    milliseconds = (time.perf_counter() - begin) * 1000
    if not answer.is_success:
        return "", False, milliseconds
    return answer.headers["X-Model-Version"], answer.json()["predictions"] == [1], milliseconds
