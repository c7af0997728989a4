"""What OpenAPI says of ``/invocations``, whose body is read by hand, and of refusals."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

_ROW: Final = {"type": "array", "items": {}}
_RECORD: Final = {"type": "object"}
_SPLIT: Final = {
    "type": "object",
    "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": {"type": "array", "items": _ROW}},
    "required": ["columns", "data"],
}


def _form(name: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: content}, "required": [name], "additionalProperties": False}


INVOCATIONS: Final[dict[str, Any]] = {
    "parameters": [{"name": "explain", "in": "query", "schema": {"type": "boolean"}}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        _form("dataframe_split", _SPLIT),
                        _form("dataframe_records", {"type": "array", "items": _RECORD}),
                        _form("instances", {"type": "array", "items": {"oneOf": [_ROW, _RECORD]}}),
                        _form("inputs", {"type": "object", "additionalProperties": {"type": "array"}}),
                    ]
                }
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    },
}
_REASON: Final = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
    "required": ["error", "code"],
}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body of a model's schema, where it is read by hand."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def _reason(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _REASON}}}


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: _reason("Not JSON or CSV of a known form"),
    401: _reason("The token is missing or wrong"),
    403: _reason("The server was started without a token"),
    408: _reason("The body came too slowly"),
    409: _reason("The version was refused; what served before serves on"),
    413: _reason("Too many bytes or rows"),
    415: _reason("Neither JSON nor CSV, or compressed"),
    422: _reason("Not what the model takes"),
    429: _reason("Too many requests at once"),
    503: _reason("No model serves"),
}
NOT_READY: Final[dict[int | str, dict[str, Any]]] = {503: {"description": "No model serves yet"}}
