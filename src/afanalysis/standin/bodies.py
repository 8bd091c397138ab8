"""What a request's body must hold; other fields are accepted and ignored, as by a lenient server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError


class _Block(BaseModel):
    text: str = ""


class _Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Thinking(BaseModel):
    type: str


class _Behaviour(BaseModel):
    enum: tuple[str, str]


class _Properties(BaseModel):
    behaviour: _Behaviour


class _Verdict(BaseModel):
    properties: _Properties


class _Format(BaseModel):
    verdict: _Verdict = Field(alias="schema")


class _OutputConfig(BaseModel):
    format: _Format | None = None


class MessageBody(BaseModel):
    """The parameters of a message; the only structured output known here is the judge's verdict."""

    model: str
    messages: list[_Message]
    max_tokens: int = Field(strict=True, ge=1)
    system: str | list[_Block] = ""
    stream: bool = False
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None


class _BatchRequest(BaseModel):
    custom_id: str = Field(min_length=1, max_length=64)
    params: dict[str, Any]


class BatchBody(BaseModel):
    """The requests of a batch; what is wrong with their parameters shows in the results."""

    requests: Annotated[list[_BatchRequest], Field(min_length=1, max_length=100_000)]


def problem(model: type[BaseModel], body: dict[str, Any]) -> str | None:
    """What is wrong with a body, in the API's words, or None."""
    try:
        model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None
