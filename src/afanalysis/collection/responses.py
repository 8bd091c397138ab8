"""What the API sends back, turned into an answer or a failed call, whatever it is."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from afanalysis.errors import InputError
from afanalysis.study.journal_sql import without_surrogates
from afanalysis.study.ledger import TOKENS, read_usage
from afanalysis.text.untrusted import escape_invisible

if TYPE_CHECKING:
    import anthropic

# One deadline for all of a call: connecting, the answer's first byte and its last.
CALL_SECONDS = 600.0

# Of an error's body, in bytes.
ERROR_BYTES = 1 << 16

# Nothing is waited for longer than this, whatever a header demands.
LONGEST_WAIT = 60.0

_NOT_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "UnsupportedProtocol",
    "LocalProtocolError",
)


@dataclass(frozen=True)
class Answer:
    """The answer to a call, in plain types.

    Attributes
    ----------
    usage
        Numbers of tokens by name; None if the API's cannot be believed.
    """

    text: str
    thinking: str
    stop_reason: str | None
    usage: dict[str, int] | None
    attempts: int = 1
    latency_s: float = 0.0
    finished_at: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds")
    )

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers of tokens for a record: missing where they cannot be believed."""
        return {**self.usage} if self.usage else dict.fromkeys(TOKENS)


@dataclass(frozen=True)
class Failure:
    """A call that brought no answer.

    Attributes
    ----------
    reason
        In the API's words where it has any.
    usage
        The tokens that it was billed for: `{}` for none, None if nobody can say.
    again
        Whether the same call may succeed later.
    pushed_back
        Whether the API asks for fewer calls (429, 529, a time-out).
    wait
        How many seconds the API asks to wait, at most `LONGEST_WAIT`.
    status
        The HTTP status; None if no response came.
    """

    reason: str
    usage: dict[str, int] | None
    again: bool = True
    pushed_back: bool = False
    wait: float | None = None
    status: int | None = None


class Response(Exception):
    """A response as it came; raised by the middleware for one that is an error."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body

    @property
    def calls_left(self) -> int | None:
        """How many more calls the API will accept in this minute, if it says so."""
        left = hint(self.headers, "anthropic-ratelimit-requests-remaining")
        return None if left is None else int(left)


def prepared(client: anthropic.AsyncAnthropic) -> anthropic.AsyncAnthropic:
    """The client as calls are made here: each is tried once, and the body of an error is bounded."""
    import anthropic

    async def bound_errors(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        if response.status_code < 400:
            return response
        body = b""
        async for chunk in response.iter_bytes():
            body += chunk
            if len(body) > ERROR_BYTES:
                break
        await response.close()
        raise Response(response.status_code, response.headers, body[:ERROR_BYTES])

    timeout = anthropic.Timeout(CALL_SECONDS, connect=10)
    return client.with_options(max_retries=0, timeout=timeout, middleware=[bound_errors])


async def receive(
    opening: AbstractAsyncContextManager[Any], limit: int, seconds: float | None = None
) -> Response | Failure:
    """Send a request of the SDK and read its response, of whatever status.

    Parameters
    ----------
    opening
        What a method of `with_streaming_response` returns.
    limit
        The most bytes that the response can have.
    seconds
        The deadline for all of it, `CALL_SECONDS` by default.
    """
    body = bytearray()

    def take(chunk: bytes) -> bool:
        body.extend(chunk)
        return len(body) <= limit

    response = await _read(opening, take, seconds or CALL_SECONDS)
    if isinstance(response, Response) and body:
        response.body = bytes(body)
    return response


async def receive_lines(
    opening: AbstractAsyncContextManager[Any], limit: int, seconds: float, take: Callable[[bytes], None]
) -> Response | Failure:
    """The same, with each line going to `take` as it comes; none can be longer than `limit` bytes."""
    rest = b""

    def split(chunk: bytes) -> bool:
        nonlocal rest
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            take(line)
        return len(rest) <= limit

    response = await _read(opening, split, seconds)
    take(rest)
    return response


async def _read(
    opening: AbstractAsyncContextManager[Any], take: Callable[[bytes], bool], seconds: float
) -> Response | Failure:
    try:
        async with asyncio.timeout(seconds), opening as response:
            async for chunk in response.iter_bytes():
                if not take(chunk):
                    return Failure("the answer is longer than any that was asked for", usage=None)
            return Response(response.status_code, response.headers, b"")
    except Response as response:
        return response
    except InputError:  # of what takes it in
        raise
    except Exception as error:
        cause = error.__cause__ or error
        kind = type(cause).__name__
        late = isinstance(error, TimeoutError) or "Timeout" in kind
        reason = f"no answer within {seconds:g} s" if late else f"{error} ({cause or kind})"
        return Failure(_one_line(reason), {} if kind in _NOT_SENT else None, pushed_back=late)


def read_answer(status: int, headers: Mapping[str, str], content: object) -> Answer | Failure:
    """The answer that a response holds, or why it holds none; never an error.

    Parameters
    ----------
    status, headers
        The response's.
    content
        Its body (bytes), or what a body or a line of a batch's results was decoded to.
    """
    message, wait = decode(content), hint(headers, "retry-after")
    if not 200 <= status < 300:
        return Failure(
            error_message(message) or f"status {status}",
            {} if status >= 400 else None,
            again=status in (408, 409, 429) or status >= 500,
            pushed_back=status in (429, 529),
            wait=None if wait is None else min(wait, LONGEST_WAIT),
            status=status,
        )
    if not isinstance(message, dict):
        return Failure("the answer is not a JSON object", None, status=status)
    blocks, counts = message.get("content"), message.get("usage")
    usage = None
    if isinstance(counts, dict):
        written, read = counts.get("cache_creation_input_tokens"), counts.get("cache_read_input_tokens")
        usage = read_usage(counts | {"cache_write_tokens": written, "cache_read_tokens": read})
    if usage and sum(usage.values()) == usage["output_tokens"]:
        usage = None  # something was read
    if not isinstance(blocks, list):
        reason = error_message(message) or "the answer has no content"
        return Failure(reason, usage, status=status)
    texts: dict[str, list[str]] = {"text": [], "thinking": []}
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in ("text", "thinking"):  # others are none of ours
            if not isinstance(block.get(kind), str):
                return Failure(f"a block of the answer has no {kind}", usage, status=status)
            texts[kind].append(block[kind])
    text, thinking = (without_surrogates("".join(parts)) for parts in texts.values())
    if usage and text and not usage["output_tokens"]:
        usage = None  # something was written
    stop = message.get("stop_reason")
    return Answer(text, thinking, without_surrogates(stop) if isinstance(stop, str) else None, usage)


def decode(content: object) -> Any:
    """What JSON holds, as far as it can be read; None if it is none."""
    if not isinstance(content, bytes | bytearray):
        return content
    try:
        return json.loads(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def error_message(message: Any) -> str:
    """The API's own words for an error, on one line; empty if there are none."""
    error = message.get("error") if isinstance(message, dict) else None
    words = error.get("message") if isinstance(error, dict) else None
    return _one_line(words) if isinstance(words, str) else ""


def hint(headers: Mapping[str, str], name: str) -> float | None:
    """The number in a header, at most a million; None if there is none that makes sense."""
    try:
        number = float(headers.get(name) or "")
    except (ValueError, TypeError):
        return None
    return None if math.isnan(number) or number < 0 else min(number, 1e6)


def _one_line(text: str) -> str:
    return escape_invisible(" ".join(text[:2000].split()), 300)
