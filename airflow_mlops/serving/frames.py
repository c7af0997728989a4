"""Messages between the server and the process of a model: a length, then that many bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

_LENGTH: Final = struct.Struct(">Q")


def packed(message: bytes) -> bytes:
    """A message as it is sent.

    >>> packed(b"ab")
    b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02ab'
    """
    return _LENGTH.pack(len(message)) + message


def receive(connection: socket.socket) -> bytes | None:
    """The next message, waiting for it; None when the other side is gone."""
    head = _exactly(connection, _LENGTH.size)
    return None if head is None else _exactly(connection, _LENGTH.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view, got = memoryview(buffer), 0
    while got < size:
        try:
            read = connection.recv_into(view[got:])
        except ConnectionError:
            return None
        if not read:
            return None
        got += read
    return bytes(buffer)


class Messages(asyncio.Protocol):
    """The server's end; :meth:`message` is called with each one, :meth:`lost` when the process is gone."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def send(self, message: bytes) -> None:
        self.transport.write(packed(message))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            message = bytes(memoryview(self._buffer)[_LENGTH.size : end])
            del self._buffer[:end]
            self.message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def message(self, message: bytes) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        raise NotImplementedError
