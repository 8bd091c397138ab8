"""Start and stop the stand-in on a loopback port."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from afanalysis.errors import InputError
from afanalysis.standin.handlers import BATCH_BYTES, application
from afanalysis.standin.state import StandIn
from afanalysis.study.design import Simulation

MAX_CONNECTIONS = 1024


class _Server(HTTPServer):
    """A server that hangs up on more connections than any run has."""

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            stream.close()
        else:
            super().handle_stream(stream, address)


async def serve(standin: StandIn, port: int = 0) -> None:
    """Serve on a loopback port (0: any free one) until cancelled; print the address first."""
    try:
        sockets = bind_sockets(port, "127.0.0.1", family=socket.AF_INET)
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}); try another") from error
    server = _Server(
        application(standin), max_buffer_size=BATCH_BYTES, body_timeout=300, idle_connection_timeout=300
    )
    server.add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def running(seed: int = 0, simulation: Simulation | None = None) -> Iterator[str]:
    """Run the stand-in in its own process within the block, which gets its address."""
    options = [seed, (simulation or Simulation()).model_dump()]
    command = [sys.executable, "-m", "afanalysis.standin.serving", json.dumps(options)]
    pipe = subprocess.PIPE  # as its input: closes when this process ends, however it ends
    with subprocess.Popen(command, stdout=pipe, stdin=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise InputError("the stand-in did not start; is a loopback port free?")
            yield address
        finally:
            process.kill()


async def _until_orphaned(standin: StandIn) -> None:
    server = asyncio.create_task(serve(standin))
    await asyncio.to_thread(sys.stdin.read)
    server.cancel()


if __name__ == "__main__":
    _seed, _simulation = json.loads(sys.argv[1])
    asyncio.run(_until_orphaned(StandIn(_seed, Simulation(**_simulation))))
