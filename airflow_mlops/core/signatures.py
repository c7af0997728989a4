"""A model's signature in MLflow's types, from the declared schema and never from rows."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_mlops.core.training import TrainingSpec
from airflow_mlops.exceptions import TrainingError

#: MLflow's column type for each Arrow type, by the beginning of its name.
_MLFLOW_TYPES: Final = {
    "bool": "boolean", "int64": "long", "uint32": "long", "uint64": "long", "int": "integer", "uint": "integer",
    "halffloat": "float", "float": "float", "double": "double", "decimal": "double", "timestamp": "datetime",
    "date": "datetime", "string": "string", "large_string": "string", "dictionary": "string",
}  # fmt: skip
_EXAMPLES: Final = {"boolean": False, "string": "a", "datetime": "2000-01-01T00:00:00"}


@dataclass(frozen=True)
class Column:
    """A column that a model takes.

    :param type: MLflow's word for it
    :param required: whether a value may not be missing
    """

    name: str
    type: str
    required: bool = True


def output_type(schema: Iterable[Mapping[str, Any]], spec: TrainingSpec) -> str:
    """MLflow type of a prediction: a number, or a label as the target has it.

    >>> output_type([{"name": "kind", "type": "string"}], TrainingSpec("m", "a.b", target="kind"))
    'string'
    """
    types = {column["name"]: _mlflow_type(column["type"]) for column in schema}
    if spec.task == "classification":
        kind = types[spec.target or ""]
        return kind if kind in ("string", "boolean", "double") else "long"
    return "double" if spec.task == "regression" else "long"


def _mlflow_type(arrow: str) -> str | None:
    return next((kind for prefix, kind in _MLFLOW_TYPES.items() if arrow.startswith(prefix)), None)


def signature_columns(
    schema: Iterable[Mapping[str, Any]], features: list[str], missing: Container[str] = ()
) -> list[Column]:
    """What the model takes, by the snapshot's schema: never by a look at values.

    A feature that was never missing in training is required. Whole numbers become ``double``: no integer can be
    missing, and what pandas makes of one that was is a float.

    >>> signature_columns([{"name": "a", "type": "int64"}, {"name": "b", "type": "large_string"}], ["b", "a"], ["a"])
    [Column(name='b', type='string', required=True), Column(name='a', type='double', required=False)]
    """
    types = {column["name"]: column["type"] for column in schema}
    columns = []
    for name in features:
        kind = _mlflow_type(types[name])
        if kind is None:
            raise TrainingError(
                f"Feature {name} has type {types[name]}: a model takes numbers, text, booleans and times."
            )
        known = "double" if kind in ("integer", "long", "float") else kind
        columns.append(Column(name, known, required=name not in missing))
    return columns


def synthetic_example(columns: Iterable[Column]) -> dict[str, Any]:
    """One made-up row of the right types, for the model's page: real rows stay in the data store.

    >>> synthetic_example([Column("a", "double"), Column("b", "string")])
    {'a': 0.0, 'b': 'a'}
    """
    return {column.name: _EXAMPLES.get(column.type, 0.0) for column in columns}
