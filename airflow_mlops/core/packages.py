"""A model that may answer: which one it is, what it must hash to, what it takes and what it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from airflow_mlops.core import tags
from airflow_mlops.core.names import check_alias, check_name
from airflow_mlops.core.signatures import Column
from airflow_mlops.exceptions import ConfigurationError, UntrustedModel

#: The model itself, whatever the model says that it is called.
MODEL_FILE: Final = "model.skops"
#: All that we write beside it; nothing else belongs to a package.
FILES: Final = frozenset(
    {
        MODEL_FILE, "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt",
        "input_example.json", "serving_input_example.json",
    }
)  # fmt: skip
#: What the flavours of a package may say of how it is loaded; who reads it is MLflow, for we do not.
_FLAVOURS: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "python_function": {
        "loader_module": (None, "mlflow.sklearn"), "model_path": (None, MODEL_FILE), "code": (None,), "data": (None,),
    },
    "sklearn": {"pickled_model": (None, MODEL_FILE), "serialization_format": (None, "skops"), "code": (None,)},
}  # fmt: skip
_URI = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[1-9]\d*)|@(?P<alias>[^/@]+))")


@dataclass(frozen=True)
class ModelRef:
    """A registered model by its name and either a version or an alias.

    >>> ModelRef.parse("models:/flight_delays@champion")
    ModelRef(name='flight_delays', version=None, alias='champion')
    >>> str(ModelRef.parse("models:/flight_delays/3"))
    'models:/flight_delays/3'
    """

    name: str
    version: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, uri: str) -> ModelRef:
        """Read MLflow's URI of a version.

        :raises ConfigurationError: it is none
        """
        found = _URI.fullmatch(uri) if isinstance(uri, str) else None
        if found is None:
            raise ConfigurationError(f"{uri!r} names no version: write models:/NAME@champion or models:/NAME/3.")
        version, alias = found["version"], found["alias"]
        return cls(check_name(found["name"]), int(version) if version else None, check_alias(alias) if alias else None)

    @classmethod
    def of(cls, name: str, which: int | str = "champion") -> ModelRef:
        """A model by its name, and the number of a version or an alias.

        >>> ModelRef.of("churn", "3"), ModelRef.of("churn")
        (ModelRef(name='churn', version=3, alias=None), ModelRef(name='churn', version=None, alias='champion'))
        """
        number = str(which).isdecimal()
        return cls(check_name(name), int(which) if number else None, None if number else check_alias(str(which)))

    def __str__(self) -> str:
        return f"models:/{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")


@dataclass(frozen=True)
class Package:
    """A version's manifest.

    :param digest: SHA-256 over its files, as it was registered
    :param task: ``classification``, ``regression`` or another
    :param columns: what it takes, in the model's order
    :param output: MLflow type of a prediction
    :param facts: its tags, see :mod:`airflow_mlops.core.tags`
    """

    name: str
    version: int
    model_id: str
    digest: str
    task: str
    columns: tuple[Column, ...]
    output: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"version {self.version} of model {self.name}"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def sensitive(self) -> list[str]:
        """Columns whose values may not leave the data store."""
        return list(json.loads(self.facts.get(tags.SENSITIVE) or "[]"))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "columns": [asdict(column) for column in self.columns], "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Package:
        """Read it back.

        >>> known = Package("m", 1, "m-1", "d", "regression", (Column("a", "double"),), "double")
        >>> Package.from_json(known.to_json()) == known
        True
        """
        return cls(**{**data, "columns": tuple(Column(**column) for column in data["columns"])})


def signature_of(mlmodel: Mapping[str, Any]) -> tuple[tuple[Column, ...], str]:
    """Input columns and type of the output from an ``MLmodel`` file, whose digest is verified before it is believed.

    >>> text = '[{"type": "double", "name": "a", "required": true}]'
    >>> signature_of({"signature": {"inputs": text, "outputs": '[{"type": "long", "required": true}]'}})
    ((Column(name='a', type='double', required=True),), 'long')
    """
    try:
        signature = mlmodel["signature"]
        inputs, outputs = json.loads(signature["inputs"]), json.loads(signature["outputs"])
        columns = tuple(Column(str(c["name"]), str(c["type"]), bool(c.get("required", True))) for c in inputs)
        return columns, str(outputs[0]["type"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UntrustedModel("The model has no signature of named columns: train it again.") from error


def check_layout(files: Iterable[str], mlmodel: Any, subject: str) -> None:
    """Refuse a package that is not laid out as ours are: with code, a pickle, or a loader of its own.

    :param files: its files, by their paths below it
    :param mlmodel: what its ``MLmodel`` says
    :raises UntrustedModel: it holds or names more than we write

    >>> check_layout(["MLmodel", "model.skops", "code/own.py"], {}, "version 3 of model m")
    Traceback (most recent call last):
    ...
    airflow_mlops.exceptions.UntrustedModel: Among the files of version 3 of model m is code/own.py: refused.
    """
    strange = sorted(set(files) - FILES)
    if strange:
        raise UntrustedModel(f"Among the files of {subject} is {strange[0]}: refused.")
    named = subject[:1].upper() + subject[1:]
    flavours = mlmodel.get("flavors", {}) if isinstance(mlmodel, Mapping) else None
    if not isinstance(flavours, Mapping):
        raise UntrustedModel(f"The MLmodel file of {subject} cannot be read: refused.")
    for name, told in flavours.items():
        known = _FLAVOURS.get(name)
        if known is None or not isinstance(told, Mapping):
            raise UntrustedModel(f"{named} is of flavour {name}, which is none of ours: refused.")
        for key, allowed in known.items():
            if told.get(key) not in allowed:
                raise UntrustedModel(f"{named} names a {key} of its own: refused.")
