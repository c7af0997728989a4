"""Every test session has an Airflow home, a store and servers of its own."""

from __future__ import annotations

import os
import tempfile

# Before the first import of Airflow and of numpy: they read these once.
_HOME = tempfile.mkdtemp(prefix="airflow-mlops-tests-")
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=os.path.join(_HOME, "dags"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
    # Unit-test mode turns Airflow 2's intervals on, which production has off.
    AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS="False",
    AIRFLOW__MLOPS__STORE=os.path.join(_HOME, "store"),
    # How wide what we print is must not depend on who runs the tests: a person, CI, or a worker of pytest-xdist.
    COLUMNS="100",
    MLFLOW_DISABLE_TELEMETRY="true",
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
)
os.makedirs(os.path.join(_HOME, "dags"), exist_ok=True)

import json  # noqa: E402
import math  # noqa: E402
import random  # noqa: E402
import shutil  # noqa: E402
import threading  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Callable, Generator, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from upath import UPath  # noqa: E402

from airflow_mlops.clients.databricks import DatabricksClient, DatabricksSettings  # noqa: E402
from airflow_mlops.clients.mlflow import MlflowClient, MlflowSettings  # noqa: E402
from airflow_mlops.core.registry import Registry  # noqa: E402
from airflow_mlops.testing.registry import InMemoryRegistry  # noqa: E402

# The first example of a property pays the imports, and a busy machine is slow at any.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

#: The part of the full count of faults to run, 1 for all of it; without it each test of faults runs once.
FAULT_SHARE = float(os.environ.get("AIRFLOW_MLOPS_FAULT_SHARE", "0"))
#: Chooses the part, and what is random in the tests.
FAULT_SEED = int(os.environ.get("AIRFLOW_MLOPS_FAULT_SEED") or (random.randrange(10**6) if FAULT_SHARE else 0))
#: The workers of one session collect the same tests, so they share what chooses them.
os.environ["AIRFLOW_MLOPS_FAULT_SEED"] = str(FAULT_SEED)
#: Of each case of faults: how often it ran, and how often it failed, in all workers.
_FAULTS: dict[str, dict[str, Any]] = {}


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_report_header() -> str:
    count = f"{FAULT_SHARE:.0%} of the full count" if FAULT_SHARE else "once each"
    return f"faults: {count}, AIRFLOW_MLOPS_FAULT_SEED={FAULT_SEED}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test of faults: ``rounds`` of its marker are the full count."""
    marker = metafunc.definition.get_closest_marker("faults")
    rounds = marker.kwargs.get("rounds", 5) if marker and FAULT_SHARE else 1
    if rounds > 1:
        if "fault_round" not in metafunc.fixturenames:
            metafunc.fixturenames.append("fault_round")
        metafunc.parametrize("fault_round", range(rounds))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the asked-for share of each test of faults, on each database."""
    if not 0 < FAULT_SHARE < 1:
        return
    groups: dict[tuple[str, Any], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("faults"):
            chosen = item.callspec.params if hasattr(item, "callspec") else {}
            groups.setdefault((item.nodeid.partition("[")[0], chosen.get("mlflow_uri")), []).append(item)
    chance = random.Random(FAULT_SEED)
    left_out = {
        item
        for group in groups.values()
        for item in chance.sample(group, len(group) - math.ceil(FAULT_SHARE * len(group)))
    }
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the report of a test of faults which case it is."""
    report = yield
    if marker := item.get_closest_marker("faults"):
        chosen = item.callspec.params if hasattr(item, "callspec") else {}
        of = [str(value) for name, value in chosen.items() if name != "fault_round"]
        report.fault = " ".join([*(marker.args or [item.originalname]), *of])
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the repetitions of each test of faults (its property ``repetitions``, else one), and those that failed."""
    case = getattr(report, "fault", None)
    if case and (report.when == "call" or report.failed):
        entry = _FAULTS.setdefault(case, {"case": case, "repetitions": 0, "violations": 0})
        entry["repetitions"] += dict(report.user_properties).get("repetitions", 1) if report.when == "call" else 0
        entry["violations"] += report.failed


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write ``build/test/faults.json``; what another run counted of other cases stays. Once each is no count."""
    if FAULT_SHARE and _FAULTS and not hasattr(session.config, "workerinput"):
        path = session.config.rootpath / "build/test/faults.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(path.read_text()) if path.exists() else []
        cases = {entry["case"]: entry for entry in before} | _FAULTS
        path.write_text(json.dumps([cases[case] for case in sorted(cases)], indent=1))


@pytest.fixture
def fault_round() -> int:
    """Which repetition of a test of faults this is."""
    return 0


@pytest.fixture
def chance(fault_round: int) -> random.Random:
    """What is random in a test of faults: the same for the same seed and round."""
    return random.Random(f"{FAULT_SEED} {fault_round}")


@pytest.fixture
def store(tmp_path: Path) -> UPath:
    return UPath(tmp_path) / "store"


@pytest.fixture(scope="session")
def mlflow_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server on SQLite, one for the session."""
    from airflow_mlops.testing.servers import MlflowServer

    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.url


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_on_sqlite: str) -> str:
    return mlflow_on_sqlite


@pytest.fixture
def client(mlflow_uri: str) -> Iterator[MlflowClient]:
    with MlflowClient(MlflowSettings(mlflow_uri)) as client:
        yield client


@pytest.fixture(params=["memory", "mlflow", "mlflow-client"])
def registry(request: pytest.FixtureRequest) -> Registry:
    """The in-memory twin, and a real MLflow server by both clients."""
    if request.param == "memory":
        return InMemoryRegistry()
    if request.param == "mlflow-client":
        return DatabricksClient(DatabricksSettings(request.getfixturevalue("mlflow_uri"))).registry
    client: MlflowClient = request.getfixturevalue("client")
    return client.registry


@pytest.fixture
def model_name() -> str:
    """A model name of the test's own, so that tests share a server and nothing else."""
    return f"m-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An S3 that lives as long as a module's tests: its address.

    S3 decides about a conditional write in one moment. Moto asks and then writes, which a lock makes one step.
    """
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    put, lock = S3Response.put_object, threading.Lock()

    def put_one(response: S3Response) -> Any:
        with lock:
            return put(response)

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", put_one)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, which ``dag.test()`` needs."""
    from airflow.utils import db

    db.initdb()


@pytest.fixture(scope="session")
def run_dag(airflow_database: None, mlflow_uri: str) -> Callable[..., Any]:
    """Run a DAG in this process with ``dag.test(**how)``; the DagRun, which may be of another type than manual."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from sqlalchemy import event

    def run(dag: Any, run_type: str = "manual", **how: Any) -> Any:
        def of_type(_: Any, __: Any, dag_run: Any) -> None:
            dag_run.run_type = run_type
            dag_run.run_id = f"{run_type}__{dag_run.run_id.partition('__')[2]}"

        with create_session() as session:
            if not session.get(DagBundleModel, "testing"):
                session.add(DagBundleModel(name="testing"))
                session.flush()
            lazy = LazyDeserializedDAG.from_dag(dag)
            SerializedDAG.bulk_write_to_db("testing", None, [lazy], session=session)
            SerializedDagModel.write_dag(lazy, bundle_name="testing", session=session)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": mlflow_uri}))
            event.listen(DagRun, "before_insert", of_type)
            try:
                return dag.test(**how)
            finally:
                event.remove(DagRun, "before_insert", of_type)

    return run


@pytest.fixture
def states() -> Callable[[Any], dict[str, str]]:
    """Of a DagRun: the state of each task."""
    return lambda run: {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


@pytest.fixture
def outputs(airflow_database: None) -> Callable[[Any], dict[str, Any]]:
    """Of a DagRun: what each task returned."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    def read(run: Any) -> dict[str, Any]:
        mine = XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id, XComModel.key == "return_value"
        with create_session() as session:
            return {
                row.task_id: XComModel.deserialize_value(row) for row in session.scalars(select(XComModel).where(*mine))
            }

    return read
