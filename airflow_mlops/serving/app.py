"""The server's routes."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_mlops import __version__
from airflow_mlops.exceptions import MlopsError, TransientError
from airflow_mlops.serving import schema
from airflow_mlops.serving.bodies import Refused
from airflow_mlops.serving.director import Director
from airflow_mlops.serving.log import PredictionLog
from airflow_mlops.serving.metrics import Metrics
from airflow_mlops.serving.scoring import Scorer
from airflow_mlops.serving.settings import Settings

#: Bytes that are read and thrown away, so that a client that sends too much hears why.
_DRAINED = 16 << 20
#: Bytes of what ``/deploy`` takes.
_SMALL = 4 << 10


class Deploy(BaseModel):
    """What ``/deploy`` takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(ge=1, lt=2**31)
    mode: Literal["champion", "canary", "shadow"] = "champion"
    share: float = Field(default=0.1, gt=0, le=1, allow_inf_nan=False)


def build(settings: Settings) -> FastAPI:
    """The application for one model; it starts to bring it up when the server starts."""
    metrics = Metrics()
    director = Director(settings, metrics.batch.observe)
    log = PredictionLog(settings) if settings.log else None
    scorer = Scorer(director, metrics, log, settings.limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if log:
            log.start()
        following = asyncio.create_task(director.run())
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await director.close()
        if log:
            await asyncio.to_thread(log.close)

    app = FastAPI(
        title="airflow-mlops", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.director, app.state.scorer = director, scorer
    app.add_exception_handler(Refused, _refused)
    _scoring(app, settings, scorer)
    _telling(app, settings, scorer)
    _control(app, settings, director)
    return app


def _scoring(app: FastAPI, settings: Settings, scorer: Scorer) -> None:
    limits, metrics = settings.limits, scorer.metrics
    statuses = {status: metrics.requests.labels(str(status)) for status in (200, 400, 413, 422, 429)}

    @app.post("/invocations", openapi_extra=schema.INVOCATIONS, responses=schema.REFUSALS)
    async def invocations(request: Request) -> Response:
        """Predict."""
        status = 200
        begin = asyncio.get_running_loop().time()
        if scorer.waiting >= limits.waiting:
            statuses[429].inc()
            raise Refused(429, "busy", f"{limits.waiting} requests wait already.", Retry_After="1", Connection="close")
        scorer.waiting += 1
        try:
            _authorize(request, settings, settings.closed)
            body = await _body(request, limits.body, limits.body_seconds)
            explained = request.query_params.get("explain", "false").lower() in ("true", "1")
            reply = await scorer.answer(body, request.headers, explained)
        except Refused as error:
            status = error.status
            raise
        finally:
            scorer.waiting -= 1
            (statuses.get(status) or metrics.requests.labels(str(status))).inc()
            metrics.seconds.observe(asyncio.get_running_loop().time() - begin)
        headers = {"X-Model-Version": str(reply.version), "X-Request-Id": reply.id}
        return Response(reply.body, media_type="application/json", headers=headers)


def _telling(app: FastAPI, settings: Settings, scorer: Scorer) -> None:
    director, metrics = scorer.director, scorer.metrics

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The server is alive, whatever it serves."""
        return {"status": "alive"}

    @app.get("/ready", responses=schema.NOT_READY)
    async def ready() -> Response:
        """Whether a model serves."""
        return _json({"ready": True}) if director.now.champion else _json({"ready": False}, 503)

    @app.get("/version", responses=schema.REFUSALS)
    async def version(request: Request) -> dict[str, Any]:
        """What serves: its data, its code, its environment and who made it."""
        _authorize(request, settings, settings.closed)
        return director.to_json()

    @app.get("/rollout", responses=schema.REFUSALS)
    async def rollout(request: Request) -> dict[str, Any]:
        """What both sides did since the candidate came."""
        _authorize(request, settings, settings.closed)
        return director.now.rollout.to_json()

    @app.get("/metrics", responses=schema.REFUSALS)
    async def prometheus(request: Request) -> Response:
        """For Prometheus."""
        _authorize(request, settings, settings.closed)
        now = director.now
        for role, side in (("champion", now.champion), ("candidate", now.candidate)):
            metrics.version.labels(role).set(side.version if side else 0)
        metrics.waiting.set(scorer.waiting)
        metrics.swaps.set(director.swaps)
        if scorer.log:
            metrics.logged.set(scorer.log.written)
            metrics.unlogged.set(scorer.log.dropped)
        return Response(metrics.text(), headers={"Content-Type": metrics.content_type})


def _control(app: FastAPI, settings: Settings, director: Director) -> None:
    @app.post("/deploy", openapi_extra=schema.body_of(Deploy), responses=schema.REFUSALS)
    async def deploy(request: Request) -> dict[str, Any]:
        """Let a version serve; answers when it does, or when it was refused and what served before serves on."""
        _authorize(request, settings, True)
        try:
            wanted = Deploy.model_validate_json(await _body(request, _SMALL, settings.limits.body_seconds))
        except ValidationError as error:  # its own text repeats what was sent
            names = sorted({str(part) for one in error.errors() for part in one["loc"]} & set(Deploy.model_fields))
            raise Refused(422, "format", f"Not what is asked for here: {', '.join(names) or 'the body'}.") from None
        try:
            await director.deploy(wanted.version, wanted.mode, wanted.share)
        except TransientError:
            raise Refused(409, "ServiceUnavailable", "The registry is away.", Retry_After="5") from None
        except MlopsError as error:
            raise Refused(409, type(error).__name__, (str(error).splitlines() or [""])[0][:300]) from None
        return director.to_json()

    @app.delete("/candidate", responses=schema.REFUSALS)
    async def take_back(request: Request) -> dict[str, Any]:
        """Take the canary or the shadow back."""
        _authorize(request, settings, True)
        await director.take_back()
        return director.to_json()


def _authorize(request: Request, settings: Settings, needed: bool) -> None:
    if not needed:
        return
    if not settings.token:
        raise Refused(403, "token", "This server was started without a token: nobody may do this.")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.token}".encode()):
        raise Refused(401, "token", "Send the server's token.", WWW_Authenticate="Bearer")


async def _body(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, as far as it is not too large and not too slow."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "encoding", "Send the body as it is, not compressed.", Connection="close")
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size <= most:
                    parts.append(part)
                elif size > _DRAINED:
                    break
    except TimeoutError:
        raise Refused(408, "slow", f"The body did not come within {seconds:g} s.", Connection="close") from None
    except Exception as error:  # the client has gone; nobody reads the answer
        raise Refused(400, "gone", "The body did not come.", Connection="close") from error
    if size > most:
        raise Refused(413, "body", f"At most {most} bytes in a request.", Connection="close")
    return b"".join(parts)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return _json({"error": error.reason, "code": error.code}, error.status, error.headers)


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    import orjson

    return Response(orjson.dumps(data), status, headers, media_type="application/json")
