"""``make up``: the same servers as in the demo, with nothing run yet, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from airflow_mlops.exceptions import MlopsError
from airflow_mlops.testing.servers import LocalStack, local_stack
from demo.console import Progress, end_on_signals

WELCOME = """
  Airflow   {airflow}     user {user}, password {password}
  MLflow    {mlflow}
  Scoring   {serving}     waits for a deployment, token in {token}
  Logs      {logs}
  Reports   {store}

Switch a DAG on in Airflow and it trains at once; with continuous_deployment__flight_delays on as well, its champion
answers at the scoring server. Edit the files in dags/ and Airflow follows.
Ctrl-C stops everything; the databases are gone then (docker-compose.yml is for what should stay).
"""


def main() -> int:
    end_on_signals()
    progress = Progress()
    try:
        with local_stack(Path("build/up"), Path("dags"), serving="flight_delays", say=progress.say) as stack:
            progress.done("everything runs")
            print(welcome(stack), flush=True)
            while not (dead := stack.dead()):
                time.sleep(1)
            for process in dead:
                print(
                    f"{process.name} ended by itself. The end of {process.log}:\n{process.log_tail()}", file=sys.stderr
                )
            return 1
    except MlopsError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def welcome(stack: LocalStack) -> str:
    return WELCOME.format(
        airflow=stack.airflow.url,
        user=stack.airflow.username,
        password=stack.airflow.password,
        mlflow=stack.mlflow.url,
        serving=stack.serving.url if stack.serving else "–",
        token=stack.folder / "serving" / "token",
        logs=stack.airflow.logs,
        store=stack.folder / "store",
    )


if __name__ == "__main__":
    sys.exit(main())
