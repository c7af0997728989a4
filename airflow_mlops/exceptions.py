"""Everything that the package raises on purpose, sorted by what a retry would do.

::

    MlopsError
    ├── TransientError              a service is away: try again, with backoff
    │   └── ServiceUnavailable
    ├── DataError (ValueError)      a retry cannot help: fail, with the reason
    │   ├── ConfigurationError      a name, a parameter or a project file is wrong
    │   │   └── NoConnection        an Airflow connection that is named does not exist
    │   ├── NotEnoughData           nothing is wrong, this date has too little behind it: skip
    │   ├── GateRefused             nothing is wrong, the gate said no to this model: skip
    │   ├── SnapshotError           a snapshot is missing, incomplete or not what its manifest says
    │   ├── ProfileError            a profile cannot be read, or two cannot be put together
    │   ├── SuiteError              an expectation suite cannot be trusted to check what it says
    │   ├── ValidationFailed        the data broke a blocking expectation
    │   ├── DriftFound              the data differ from the baseline by more than the policy allows
    │   ├── TrainingError           the estimator refused its parameters or its data
    │   ├── PredictionError         a model refused rows, or its answer cannot be used
    │   ├── DeploymentError         a version was not taken by its target, or does not fit what stands there
    │   │   └── Outdated            nothing is wrong, the alias has moved on to another version: skip
    │   └── RegistryError           MLflow refused the request
    │       └── NotFound
    │           └── NoVersion       an alias names no version yet: skip where the DAG says so
    └── SecurityError               refuse, never retry
        ├── AccessDenied            401 or 403
        ├── UntrustedModel          a model file names types outside the allow-list
        ├── UntrustedRecord         a record names code or a source that the author of the DAG did not name
        └── DigestMismatch          bytes are not the bytes that were registered

The first line of a message says what, which model or column, and what to do next.
"""

from __future__ import annotations


class MlopsError(Exception):
    """Root of the tree."""


class TransientError(MlopsError):
    """A retry may help."""


class ServiceUnavailable(TransientError):
    """A server did not answer, answered too late, or said that it cannot now."""


class DataError(MlopsError, ValueError):
    """A retry with the same input gives the same error."""


class ConfigurationError(DataError):
    """What the user wrote (name, parameter, project file) cannot work."""


class NoConnection(ConfigurationError):
    """An Airflow connection that is named does not exist."""


class NotEnoughData(DataError):
    """The window holds too few rows to say anything; Airflow skips the task."""


class GateRefused(DataError):
    """The gate did not accept a model that was to be promoted; Airflow skips the task."""


class SnapshotError(DataError):
    """A snapshot is missing, incomplete or differs from its manifest."""


class ProfileError(DataError):
    """A profile cannot be made or read, or is of another plan than the one it meets."""


class SuiteError(DataError):
    """A suite is empty, or names what Great Expectations would drop without a word."""


class ValidationFailed(DataError):
    """The data broke a blocking expectation."""


class DriftFound(DataError):
    """The data differ from the baseline by more than the policy allows."""


class TrainingError(DataError):
    """The estimator refused its parameters or its data."""


class PredictionError(DataError):
    """A model refused rows that fit its signature, or gave what is no answer."""


class DeploymentError(DataError):
    """A target did not take a version, or the version does not fit what is asked of it."""


class Outdated(DeploymentError):
    """The alias has moved on since a version was chosen; Airflow skips the task."""


class RegistryError(DataError):
    """MLflow understood the request and refused it."""

    def __init__(self, message: str, *, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.code = code


class NotFound(RegistryError):
    """The named experiment, model, version or alias does not exist."""


class NoVersion(NotFound):
    """An alias names no version of the model, because none was promoted yet."""


class SecurityError(MlopsError):
    """Refuse and do not retry."""


class AccessDenied(SecurityError):
    """The server refused the credentials."""


class UntrustedModel(SecurityError):
    """A model file holds types that neither our allow-list nor the project names."""


class UntrustedRecord(SecurityError):
    """A record names code or a source that the author of the DAG did not name."""


class DigestMismatch(SecurityError):
    """The bytes differ from those that were registered."""
