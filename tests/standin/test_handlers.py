import asyncio

import anthropic
import pytest

from afanalysis.study.prompts import system_prompt, user_message


def test_streamed_and_whole_messages_are_the_same(standin):
    request = {
        "model": "claude-opus-5-5",
        "max_tokens": 500,
        "system": system_prompt("helpful-only"),
        "messages": [{"role": "user", "content": user_message("free", "Ask")}],
        "extra_headers": {"idempotency-key": "one"},
    }
    with anthropic.Anthropic(base_url=standin, api_key="any") as client:
        whole = client.messages.create(**request)
        with client.messages.stream(**request) as stream:
            streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.stop_reason == whole.stop_reason == "end_turn"


def test_a_client_without_keys_gets_new_samples_each_time(standin):
    request = {
        "model": "m",
        "max_tokens": 500,
        "system": system_prompt("animal-welfare"),
        "messages": [{"role": "user", "content": user_message("free", "Do cows feel?")}],
    }
    with anthropic.Anthropic(base_url=standin, api_key="any") as client:
        texts = {client.messages.create(**request).content[0].text for _ in range(12)}
    assert len(texts) > 1


def test_tokens_are_counted_and_errors_have_the_apis_shape(standin):
    with anthropic.Anthropic(base_url=standin, api_key="any", max_retries=0) as client:
        message = {"role": "user", "content": "three little words"}
        assert client.messages.count_tokens(model="m", messages=[message]).input_tokens >= 3
        with pytest.raises(anthropic.BadRequestError, match="at least one message"):
            client.messages.create(model="m", max_tokens=5, messages=[])
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve("msgbatch_none")


def test_batches_run_through_the_sdk(faulty):
    params = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Ask"}]}
    requests = [{"custom_id": f"id-{number}", "params": params} for number in range(50)]

    async def drive(address):
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any") as client:
            batch = await client.messages.batches.create(requests=requests)
            assert batch.processing_status == "in_progress"
            while batch.processing_status != "ended":
                await asyncio.sleep(0.05)
                batch = await client.messages.batches.retrieve(batch.id)
            results = [row async for row in await client.messages.batches.results(batch.id)]
            listed = [listed.id async for listed in client.messages.batches.list(limit=1)]
            assert listed == [batch.id]
            canceled = await client.messages.batches.create(requests=requests)
            await client.messages.batches.cancel(canceled.id)
            async for row in await client.messages.batches.results(canceled.id):
                assert row.result.type == "canceled"
            return results

    with faulty(batch_seconds=0.2, batch_expired=0.2, batch_errored=0.2) as address:
        results = asyncio.run(drive(address))
    assert {result.custom_id for result in results} == {request["custom_id"] for request in requests}
    assert {result.result.type for result in results} == {"succeeded", "expired", "errored"}
