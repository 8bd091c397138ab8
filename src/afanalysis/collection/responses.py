"""What the API sends back, turned into an answer or a failed call, whatever it is."""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anthropic

from afanalysis.errors import InputError
from afanalysis.study.ledger import HOUR, TOKENS, read_usage
from afanalysis.text.untrusted import escape_invisible, without_surrogates

# One deadline for all of a call: connecting, the answer's first byte and its last.
CALL_SECONDS = 600.0

# The most bytes of an answer, for each of its tokens and for what surrounds them, and of anything else.
TOKEN_BYTES = 256
OTHER_BYTES = 1 << 22

# Nothing is waited for longer than this, whatever a header demands.
LONGEST_WAIT = 60.0

# The errors of a connection that was never made.
_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "LocalProtocolError"}


@dataclass(frozen=True)
class Answer:
    """The answer to a call, in plain types.

    Attributes
    ----------
    usage
        Numbers of tokens by name; None if the API's cannot be believed.
    model
        The model that the server names; empty if it names none.
    blocked
        The category of the safety classifier that stopped the answer, `unspecified` if the API names
        none; empty if none did.
    """

    text: str
    thinking: str
    stop_reason: str | None
    usage: dict[str, int] | None
    model: str = ""
    attempts: int = 1
    latency_s: float = 0.0
    finished_at: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds")
    )
    blocked: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of every answer; tokens are missing where they cannot be believed."""
        tokens = self.usage or dict.fromkeys(TOKENS)
        return {"stop_reason": self.stop_reason, **tokens, "attempts": self.attempts}


@dataclass
class Failure(Exception):
    """A request that did not bring what it should.

    Attributes
    ----------
    reason
        In the API's words where it has any.
    usage
        The tokens that it was billed for: `{}` for none, None if nobody can say.
    again
        Whether the same request may succeed later.
    pushed_back
        Whether the API asks for fewer calls (429, 529, a time-out).
    wait
        How many seconds the API asks to wait, at most `LONGEST_WAIT`.
    status
        The HTTP status of a refusal; None if none came.
    """

    reason: str
    usage: dict[str, int] | None
    again: bool = True
    pushed_back: bool = False
    wait: float | None = None
    status: int | None = None


def longest(tokens: int) -> int:
    """The most bytes that an answer of at most so many tokens can have."""
    return OTHER_BYTES + TOKEN_BYTES * tokens


def prepared(client: anthropic.AsyncAnthropic) -> anthropic.AsyncAnthropic:
    """The client as it is used here: a request is sent once and nowhere else; errors are bounded."""

    async def bound_errors(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        if 200 <= response.status_code < 300:
            return response
        body = b""
        async for chunk in response.iter_bytes():
            body += chunk
            if len(body) > OTHER_BYTES:
                break
        await response.close()
        if len(client.api_key or "") > 7:  # some servers repeat it
            body = body.replace(str(client.api_key).encode(), b"(the key)")
        raise read_refusal(response.status_code, response.headers, body)

    client._client.follow_redirects = False  # each hop would be billed; the SDK has no setting for it
    timeout = anthropic.Timeout(CALL_SECONDS, connect=10)
    return client.with_options(max_retries=0, timeout=timeout, middleware=[bound_errors])


async def receive(
    opening: AbstractAsyncContextManager[Any],
    limit: int = OTHER_BYTES,
    seconds: float | None = None,
    take: Callable[[bytes], None] | None = None,
) -> tuple[Mapping[str, str], bytes] | Failure:
    """Send a request of the SDK and read its response.

    Parameters
    ----------
    opening
        What a method of `with_streaming_response` returns.
    limit
        The most bytes that the response can have.
    seconds
        The deadline for all of it, `CALL_SECONDS` by default.
    take
        Gets each line as it comes; then the limit is that of a line, which is cut.

    Returns
    -------
    tuple or Failure
        The headers and the body, or what went wrong.
    """
    seconds, body = seconds or CALL_SECONDS, bytearray()
    try:
        async with asyncio.timeout(seconds), opening as response:
            async for chunk in response.iter_bytes():
                body += chunk
                if take:
                    *ended, body = body.split(b"\n")
                    for line in ended:
                        take(bytes(line))
                    del body[limit:]
                elif len(body) > limit:
                    return Failure("the answer is longer than any that was asked for", None)
            if take:
                take(bytes(body))
            return response.headers, bytes(body)
    except Failure as failure:
        return failure
    except InputError:  # of what takes the lines
        raise
    except Exception as error:
        cause = error.__cause__ or error
        kind = type(cause).__name__
        late = isinstance(error, TimeoutError) or "Timeout" in kind
        reason = f"no answer within {seconds:g} s" if late else f"{error} ({cause or kind})"
        return Failure(_one_line(reason), {} if kind in _UNSENT else None, pushed_back=late)


def read_answer(content: object) -> Answer | Failure:
    """The answer that a response holds, or why it holds none; never an error.

    Parameters
    ----------
    content
        The response's body (bytes), or what JSON has been read from it.
    """
    message = decode(content)
    blocks, counts = message.get("content"), decode(message.get("usage"))
    written, read = counts.get("cache_creation_input_tokens"), counts.get("cache_read_input_tokens")
    hour = decode(counts.get("cache_creation")).get("ephemeral_1h_input_tokens")
    cached = {"cache_write_tokens": written, "cache_read_tokens": read, HOUR: hour}
    usage = read_usage(counts | cached)
    if usage and sum(usage.values()) == usage["output_tokens"]:
        usage = None  # something was read
    if not isinstance(blocks, list):
        reason = error_message(message) or _kind_of_page(content) or "the answer has no content"
        return Failure(reason, usage)
    texts: dict[str, list[str]] = {"text": [], "thinking": []}
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in ("text", "thinking"):  # others are none of ours
            if not isinstance(block.get(kind), str):
                return Failure(f"a block of the answer has no {kind}", usage)
            texts[kind].append(block[kind])
    text, thinking = (without_surrogates("".join(parts)) for parts in texts.values())
    if usage and text and not usage["output_tokens"]:
        usage = None  # something was written
    stop = message.get("stop_reason")
    stop = without_surrogates(stop) if isinstance(stop, str) else None
    category = _one_line(decode(message.get("stop_details")).get("category"))
    blocked = (category or "unspecified") if stop == "refusal" else ""
    return Answer(text, thinking, stop, usage, _one_line(message.get("model")), blocked=blocked)


def read_refusal(status: int, headers: Mapping[str, str], content: object) -> Failure:
    """Why a response with another status than 2xx holds no answer."""
    page = _kind_of_page(content)
    return Failure(
        error_message(content) or f"status {status}" + (page and f": {page}"),
        {} if status >= 400 else None,
        again=status in (408, 409, 429) or status >= 500,
        pushed_back=status in (429, 529),
        wait=hint(headers, "retry-after", LONGEST_WAIT),
        status=status,
    )


def decode(content: object) -> dict[str, Any]:
    """The JSON object that bytes hold; empty if they hold none."""
    try:
        if isinstance(content, bytes):
            content = json.loads(content.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def error_message(content: Any) -> str:
    """The API's own words for an error, on one line; empty if there are none."""
    content = decode(content)
    error = content.get("error")  # other servers put their words elsewhere
    places = (decode(error).get("message"), error, content.get("message"), content.get("detail"))
    words = next((words for words in places if isinstance(words, str)), "")
    # a gateway puts what the server behind it sent into words of its own
    _, brace, nested = words.partition('{"error":')
    with contextlib.suppress(ValueError, RecursionError):
        inner, _ = json.JSONDecoder().raw_decode(brace + nested)
        return error_message(inner) or _one_line(words)
    return _one_line(words)


def _kind_of_page(content: object) -> str:
    """What a response is that is none of the Messages API's, if that can be seen."""
    if isinstance(content, bytes) and content.lstrip()[:1] == b"<":
        return "a web page (HTML), not an answer of the Messages API"
    return "an answer in the form of OpenAI's API" if "choices" in decode(content) else ""


def hint(headers: Mapping[str, str], name: str, most: float) -> float | None:
    """The number in a header, or `most` if it is larger; None if there is none that makes sense."""
    try:
        number = float(headers.get(name) or "")
    except (ValueError, TypeError):
        return None
    return None if math.isnan(number) or number < 0 else min(number, most)


def _one_line(text: object) -> str:
    return escape_invisible(" ".join(text[:2000].split()), 300) if isinstance(text, str) else ""
