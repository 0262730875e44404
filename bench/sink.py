"""An SMTP server that throws everything away, as fast as Python can: the ground both senders are measured on.

Run as a process of its own: `python -m bench.sink PORT`. Where postfix is installed, bench/__main__.py uses its smtp-sink instead.
"""

from __future__ import annotations

import asyncio
import sys

_REPLIES = {
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 ok\r\n",
    b"RCPT": b"250 ok\r\n",
    b"RSET": b"250 ok\r\n",
    b"NOOP": b"250 ok\r\n",
}


class Sink(asyncio.Protocol):
    """One connection: envelope commands answered, bodies scanned for their closing dot and forgotten."""

    def __init__(self) -> None:
        self.pending = b""
        self.in_body = False
        self.is_leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.pending += data
        answers = []
        while self.pending:
            if self.in_body:
                end = self.pending.find(b"\r\n.\r\n")
                if end < 0:
                    self.pending = self.pending[-4:]
                    break
                self.pending = self.pending[end + 5 :]
                self.in_body = False
                answers.append(b"250 ok\r\n")
                continue
            line, found, rest = self.pending.partition(b"\r\n")
            if not found:
                break
            self.pending = rest
            answers.append(self.answer(line[:4].upper()))
        if answers:
            self.transport.write(b"".join(answers))
        if self.is_leaving:
            self.transport.close()

    def answer(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        if verb == b"DATA":
            self.in_body = True
            return b"354 go\r\n"
        if verb == b"QUIT":
            self.is_leaving = True
            return b"221 bye\r\n"
        return _REPLIES.get(verb, b"502 no\r\n")


async def serve(port: int) -> None:
    """Listens until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
