"""Whatever is sent: a refusal or an answer, and the server goes on."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

from tests.serving.conftest import Running, running
from tests.serving.models import Shelf, pipeline, records, rows_of

LIMITS = {"header_seconds": 0.5, "body_seconds": 0.5, "idle_seconds": 1, "body": 20_000}
#: Of raw requests at once.
AT_ONCE = 32
BODY = (
    b'{"dataframe_split":{"columns":["n0","n1","n2","n3","w0","w1"],'
    b'"data":[[0.5,null,1e3,-2,"red","blue"],[1,2,3,4,null,"green"]]}}'
)
SEEDS = (
    BODY,
    b'{"dataframe_records":[{"n0":1.5,"n1":2,"w0":"a"},{"n0":1}],"params":{}}',
    b'{"instances":[[1,2,3,4,"a","b"]]}',
    b'{"inputs":{"n0":[1,2],"w0":["a",null]}}',
    b"n0,n1,n2,n3,w0,w1\n1,2,3,4,a,b\n,,,,,\n",
    b'{"version":1,"mode":"canary","share":0.5}',
)
#: What parsers stumble over.
PIECES = (
    b"NaN", b"Infinity", b"-", b"1e999", b"9" * 400, b"true", b"null", b"{}", b"[]", b"[[[[", b"]", b"}", b'"', b"\\",
    b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"\r\n", b"\r\n\r\n", b"0x", b",,", b":", b"'", b"%00", b"..",
    b"\xe2\x80\xae",
)  # fmt: skip
VALUES = (
    b"1", b"-0.5", b'"x"', b"null", b"true", b"[]", b"{}", b"9007199254740993", b"1e308", b'""', b'"NaN"', b'"\\u0000"',
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.set_alias("m", "champion", shelf.publish(pipeline()))
    with running(shelf, tmp_path_factory.mktemp("keep"), limits=LIMITS) as server:
        assert server.ready()
        yield server


def mutated(chance: random.Random, text: bytes) -> bytes:
    for _ in range(chance.randint(1, 6)):
        at, end = sorted(chance.choices(range(len(text) + 1), k=2))
        end = min(end, at + 12)
        deed = chance.randrange(4)
        if deed == 0:
            text = text[:at] + text[end:]
        elif deed == 1:
            text = text[:at] + chance.choice(PIECES) + text[end:]
        elif deed == 2:
            text = text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        else:
            text = text[:end] + text[at:end] * chance.randint(1, 3) + text[end:]
    return text


def request(chance: random.Random) -> bytes:
    """A request of which the body, the head or all is wrong."""
    how = chance.random()
    if how < 0.4:  # JSON of the right form with values of the wrong kinds
        body = b'{"instances":[[%s]]}' % b",".join(chance.choices(VALUES, k=chance.choice([6] * 9 + [0, 5, 7])))
    elif how < 0.9:
        body = mutated(chance, chance.choice(SEEDS))
    else:
        body = chance.randbytes(chance.randint(0, 300))
    path = chance.choice(["/invocations"] * 8 + ["/deploy", "/invocations?explain=true", "/candidate", "/version"])
    kind = chance.choice(["application/json"] * 6 + ["text/csv", "text/plain", "multipart/form-data", ""])
    method = chance.choice(["POST"] * 30 + ["GET", "PUT", "DELETE", "OPTIONS"])
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    return (mutated(chance, head) if chance.random() < 0.2 else head) + body


async def status_of(port: int, sent: bytes) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        found = await asyncio.wait_for(reader.read(-1), 60)
    except ConnectionError:
        return "closed", b""
    finally:
        writer.close()
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", found)
    return (status[1].decode() if status else "closed"), found


async def send_all(port: int, requests: list[bytes]) -> list[tuple[str, bytes]]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(sent: bytes) -> tuple[str, bytes]:
        async with gate:
            return await status_of(port, sent)

    return await asyncio.gather(*map(one, requests))


def check(server: Running, count: int, seed: int) -> None:
    chance = random.Random(seed)
    found = asyncio.run(send_all(server.port, [request(chance) for _ in range(count)]))
    statuses = Counter(status for status, _ in found)
    assert not [answer for status, answer in found if status.startswith("5")], statuses
    assert not [answer for _, answer in found if b"Traceback" in answer or b'File "' in answer]
    assert max(len(answer) for status, answer in found if status.startswith("4")) < 1_000
    assert sum(statuses[status] for status in ("400", "422")) > count / 2, statuses
    assert server.ask(records(rows_of(3))).status_code == 200


def test_hundreds_of_malformed_requests(server: Running) -> None:
    check(server, 400, seed=1)


@pytest.mark.integration
def test_thousands_of_malformed_requests(server: Running) -> None:
    ours = psutil.Process()
    check(server, 500, seed=2)
    before = ours.memory_info().rss
    check(server, 8_100, seed=3)
    assert ours.memory_info().rss - before < 50e6


@pytest.mark.integration
def test_what_schemathesis_makes_of_the_schema(server: Running) -> None:
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(server.app.openapi())
    statuses: Counter[int] = Counter()
    works = [("/invocations", "POST", 800), ("/deploy", "POST", 150), ("/version", "GET", 50)]
    for path, method, count in works:
        for mode in (GenerationMode.NEGATIVE, GenerationMode.POSITIVE):

            @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=schema[path][method].as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                answer = case.call(base_url=server.url)
                statuses[answer.status_code] += 1
                assert answer.status_code < 500
                assert "Traceback" not in answer.text

            if mode is GenerationMode.POSITIVE or path != "/version":
                ask()
    assert sum(statuses.values()) > 1_500, statuses
    assert server.ask(records(rows_of(3))).status_code == 200
