"""Load on an HTTP server, the same for every system: closed loop, kept-alive connections, requests made beforehand.

Prints one line of JSON: requests, failures, requests per second, and latencies in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Client(asyncio.Protocol):
    """One connection: sends the next request when the last one was answered."""

    def __init__(self, run: Run) -> None:
        self.run, self.buffer, self.number, self.end = run, b"", 0, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if self.run.over():
            self.transport.close()
            return
        self.number = self.run.next()
        self.begin = time.perf_counter()
        self.transport.write(self.run.requests[self.number])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            if not body.endswith(b"0\r\n\r\n"):
                return
        elif len(body) < int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self.run.add(self.begin, head, body, self.number)
        self.buffer = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.run.over():
            self.run.failures["connection lost"] += 1
        if not self.end.done():
            self.end.set_result(None)


class Run:
    """What all connections share.

    :param expected: of each version the score of each request; an answer of another score mixes two versions
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.requests = [
            (
                f"POST {given.path} HTTP/1.1\r\nHost: {given.host}:{given.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            + body
            for body in Path(given.bodies).read_bytes().splitlines()
        ]
        self.expected = json.loads(Path(given.expected).read_text()) if given.expected else None
        self.until, self.warm = Path(given.until) if given.until else None, given.warm
        self.start = time.perf_counter()
        self.stop = self.start + given.warm + given.seconds
        self.latencies: list[float] = []
        self.failures: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.looked, self.ended, self.count = 0.0, False, 0

    def over(self) -> bool:
        now = time.perf_counter()
        if self.until is None:
            return now > self.stop
        if now - self.looked > 0.1:
            self.looked, self.ended = now, self.until.exists()
        return self.ended

    def next(self) -> int:
        self.count += 1
        return self.count % len(self.requests)

    def add(self, begin: float, head: bytes, body: bytes, number: int) -> None:
        status = head[9:12].decode()
        if status != "200":
            self.failures[status] += 1
        if self.expected is not None and status == "200":
            told = json.loads(body)
            self.versions[told["version"]] += 1
            named = f"x-model-version: {told['version']}".encode() in head.lower()
            if (
                not named
                or abs((told["scores"] or told["predictions"])[0] - self.expected[told["version"]][number]) > 1e-9
            ):
                self.failures["mixed versions"] += 1
        if begin - self.start > self.warm:
            self.latencies.append(time.perf_counter() - begin)

    def told(self) -> dict[str, Any]:
        found = sorted(self.latencies)
        seconds = time.perf_counter() - self.start - self.warm

        def at(share: float) -> float | None:
            return round(found[min(int(share * len(found)), len(found) - 1)] * 1000, 3) if found else None

        return {
            "requests": len(found),
            "failures": sum(self.failures.values()),
            "why": dict(self.failures),
            "rps": round(len(found) / seconds, 1),
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "max_ms": at(1),
            "versions": dict(self.versions),
        }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--bodies", required=True, help="a file, a body a line")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--warm", type=float, default=1.0, help="seconds that are not counted")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--until", help="go on until this file is there, instead of for so many seconds")
    parser.add_argument("--expected", help="JSON: of each version the score (or prediction) of each body")
    given = parser.parse_args()
    run, loop = Run(given), asyncio.get_running_loop()
    ends = []
    for _ in range(given.clients):
        _, client = await loop.create_connection(lambda: Client(run), given.host, given.port)
        ends.append(client.end)
    await asyncio.gather(*ends)
    print(json.dumps(run.told()))


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
