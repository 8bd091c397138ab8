"""What a server can do wrong, and a stand-in that does it: with `faults.yaml`, by name and share."""

import asyncio
import contextlib
import gzip
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel
from tornado.iostream import StreamClosedError

from afanalysis import __version__
from afanalysis.standin.answers import uniform
from afanalysis.standin.handlers import STANDIN_HEADER
from afanalysis.standin.state import StandIn, error_body, result_line
from afanalysis.study.files import read_yaml

# The message of an error that was made on purpose.
FAULT = "one of the stand-in's deliberate faults"


class Fault(BaseModel, extra="forbid", frozen=True):
    """One thing that can go wrong; `faults.yaml` has all of them, and says what the fields mean."""

    where: Literal["call", "batched", "create", "list", "status", "results"] = "call"
    billed: bool = False
    status: int = 200
    headers: dict[str, str] = {}
    body: str | None = None
    repeat: int = 1
    replace: dict[str, str] = {}
    keep: float = 1.0
    pad: int = 0
    gzip: bool = False
    pause: float = 0.0
    times: int | None = None

    def content(self, answer: bytes) -> bytes:
        """The body that is sent instead of an answer."""
        text = answer.decode("latin-1") if self.body is None else self.body * self.repeat
        for pattern, replacement in self.replace.items():
            text = re.sub(pattern, replacement, text)
        content = text.encode("latin-1") + b" " * self.pad
        return gzip.compress(content) if self.gzip else content

    def kept(self, content: bytes) -> bytes:
        """As much of a body as is sent."""
        return content[: round(len(content) * self.keep)]


@cache
def table_of_faults() -> dict[str, Fault]:
    """All faults, by name."""
    table = read_yaml(Path(__file__).with_name("faults.yaml"), "a table of faults")
    return {name: Fault(**fields) for name, fields in table.items()}


@dataclass
class FaultyStandIn(StandIn):
    """A stand-in that goes wrong on purpose.

    Attributes
    ----------
    shares
        Of each fault by its name: how often it happens.
    tries
        How often each call or batch was tried, and met each fault.
    """

    shares: dict[str, float] = field(default_factory=dict)
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)

    def fault(self, where, key) -> Fault | None:
        """What goes wrong with this try of a call or batch, if anything does."""
        self.tries[where, key] += 1
        chance = uniform(self.seed, where, key, self.tries[where, key])
        for name, share in self.shares.items():
            fault = table_of_faults()[name]
            if fault.where != where or self.tries[name, key] == fault.times:
                continue
            if chance < share:
                self.tries[name, key] += 1
                self.asked[f"fault {name}"] += 1
                return fault
            chance -= share
        return None

    async def respond(self, handler, part, key, make):
        fault = self.fault(part, key)
        if fault is None:
            handler.reply(make())
        else:
            content = make() if fault.billed else handler.error(fault.status, FAULT)
            answer = content if isinstance(content, bytes) else json.dumps(content).encode()
            await fail(handler, fault, answer)

    def result(self, batch, request):
        custom_id, params = request["custom_id"], request["params"]
        failure, fault = self.fault("batched", custom_id), self.fault("call", custom_id)
        fails = failure or (fault and not fault.billed)
        if failure and not failure.status:
            return result_line(custom_id, {"type": "expired"})
        if fails and not self.problem(params, batch.version):
            refused = fault and fault.status in (400, 413, 422)
            error = error_body(400 if refused else 500, FAULT)
            return result_line(custom_id, {"type": "errored", "error": error})
        kind, line = super().result(batch, request)
        if fault and kind == "succeeded":
            line = fault.kept(fault.content(line.removesuffix(b"\n"))) + b"\n"
        return kind, line


async def fail(handler, fault: Fault, answer: bytes):
    """Send what a fault makes of an answer, byte by byte if need be, and close the connection."""
    content = fault.content(answer)
    headers = {"content-type": "application/json", "content-length": str(len(content))}
    if fault.gzip:
        headers["content-encoding"] = "gzip"
    headers |= {"request-id": handler.request_id, STANDIN_HEADER: __version__}
    headers |= fault.headers | {"connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    stream = handler.detach()
    with contextlib.suppress(StreamClosedError):
        if fault.status:
            await stream.write(f"HTTP/1.1 {fault.status} Fault\r\n{head}\r\n".encode())
            content = fault.kept(content)
            step = 1 if fault.pause else max(len(content), 1)
            for start in range(0, len(content), step):
                await stream.write(content[start : start + step])
                await asyncio.sleep(fault.pause)
            await asyncio.sleep(60 if fault.pause else 0)
    stream.close()
