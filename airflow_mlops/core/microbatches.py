"""Small batches that events ask for: new files, and messages of a queue. The same event again is the same batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from airflow_mlops.exceptions import ConfigurationError, UntrustedRecord


def batches_of(payloads: Iterable[Mapping[str, Any]], below: str) -> list[dict[str, str]]:
    """Arguments of a ``BatchScoreOperator`` for each batch that some events ask for, once each, in their order.

    An event is a payload of ``NewDataEventTrigger``, or of Airflow's trigger of a message queue. The body of a message
    is a path, ``{"rows": path}``, or what S3 writes about new objects.

    :param below: the folder that the rows lie in: whoever may write a message may not choose among all files
    :raises UntrustedRecord: one names rows elsewhere

    >>> message = {"MessageId": "7f", "Body": '{"rows": "day=1/a.parquet"}'}
    >>> batches_of([{"message_batch": [message]}, {"message_batch": [message]}], "s3://landing/flights")
    [{'rows': 's3://landing/flights/day=1/a.parquet', 'message_id': '7f'}]
    >>> batches_of([{"names": ["day=2/b.parquet"], "count": 1}], "s3://landing/flights")
    [{'rows': 's3://landing/flights/day=2/b.parquet', 'interval': 's3://landing/flights/day=2/b.parquet'}]
    """
    below = below.rstrip("/")
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for payload in payloads:
        for batch in _of_messages(payload, below) if "message_batch" in payload else _of_files(payload, below):
            found.setdefault((batch["rows"], batch.get("message_id", "")), batch)
    return list(found.values())


def receipts_of(payloads: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What the queue must be told to forget, once all is scored: entries of ``delete_message_batch``, ten at most.

    >>> receipts_of([{"message_batch": [{"MessageId": "7f", "ReceiptHandle": "r", "Body": "a.parquet"}]}])
    [{'Id': '7f', 'ReceiptHandle': 'r'}]
    """
    messages = (message for payload in payloads for message in payload.get("message_batch", ()))
    # Of a message that came twice only the last handle counts.
    return [*{m["MessageId"]: {"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages}.values()]


def _of_files(payload: Mapping[str, Any], below: str) -> list[dict[str, str]]:
    try:
        names, count = list(payload["names"]), int(payload["count"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"An event that names no files cannot be scored: {sorted(payload)}.") from error
    if count > len(names):
        raise ConfigurationError(
            f"An event tells {len(names)} of {count:,} new files: look more often, or score them by a schedule."
        )
    paths = [_within(name, below) for name in names]
    return [{"rows": path, "interval": path} for path in paths]


def _of_messages(payload: Mapping[str, Any], below: str) -> list[dict[str, str]]:
    batches = []
    for message in payload["message_batch"]:
        paths = [_within(path, below) for path in _named(str(message["Body"]))]
        ids = [message["MessageId"]] if len(paths) == 1 else [f"{message['MessageId']}/{path}" for path in paths]
        batches += [{"rows": path, "message_id": id_} for path, id_ in zip(paths, ids, strict=True)]
    return batches


def _named(body: str) -> list[str]:
    """The paths that a message names; none where S3 only says that it may send messages."""
    try:
        said = json.loads(body)
    except ValueError:
        return [body.strip()]
    if isinstance(said, str):
        return [said]
    if isinstance(said, dict) and said.get("Event") == "s3:TestEvent":
        return []
    try:
        if "Records" in said:
            objects = [record["s3"] for record in said["Records"]]
            return [f"s3://{one['bucket']['name']}/{unquote_plus(one['object']['key'])}" for one in objects]
        return [str(said["rows"])]
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            'A message names no rows: its body is a path, {"rows": path}, or what S3 writes about new objects.'
        ) from error


def _within(name: str, below: str) -> str:
    """The path of rows, with the connection that ``below`` names."""
    folder = _without_connection(below)
    path = _without_connection(name)
    if "://" not in path and not path.startswith("/"):
        path = f"{folder}/{path}"
    if not path.startswith(f"{folder}/") or ".." in path.split("/"):
        raise UntrustedRecord(f"An event names rows outside {below}: it is not scored.")
    return below + path.removeprefix(folder)


def _without_connection(path: str) -> str:
    scheme, there, rest = path.partition("://")
    if not there:
        return path
    host, slash, key = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{key}"
