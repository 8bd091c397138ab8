"""A study folder that commit c4f074b wrote is read, and asks nothing again, whatever has changed since.

tests/fixtures/c4f074b/README.md says how it was made.
"""

import asyncio
import json
import shutil
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import pandas as pd
import pytest

import afanalysis as af
from afanalysis.collection.calls import CallOptions
from afanalysis.collection.endpoint import Endpoint
from afanalysis.collection.forecasting import forecast
from afanalysis.errors import InputError
from afanalysis.judging import model as judging
from afanalysis.study import design, prompts
from afanalysis.study.ledger import Prices
from afanalysis.study.manifest import Manifest, as_begun
from afanalysis.table.schema import SCHEMA

FIXTURE = Path(__file__).parents[1] / "fixtures" / "c4f074b"


@contextmanager
def recorded_api():
    """The API as far as the fixture needs it: its answers about the batches, and a count of the rest."""
    requests: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name, _, results = self.path.removeprefix("/v1/messages/batches/").partition("/")
            file = FIXTURE / "api" / (f"{name}.results.jsonl" if results else f"{name}.json")
            requests["looked at a batch" if file.exists() else self.path] += 1
            content = file.read_text() if file.exists() else "{}"
            content = content.replace('"/v1/', f'"http://127.0.0.1:{self.server.server_port}/v1/')
            self.send_response(200 if file.exists() else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def do_POST(self):
            requests["paid calls"] += 1
            self.send_error(400)  # not retried

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def resume(study: af.Study, raw: Path, **options) -> Counter[str]:
    """Collect and judge once more; returns the requests that reached the API."""

    async def run(address):
        async with anthropic.AsyncAnthropic(base_url=address, api_key="any", max_retries=0) as client:
            endpoint = Endpoint(client, "simulated")
            call_options = CallOptions(poll_seconds=0.01, **options)
            collected = await af.collect(study, endpoint, raw, call_options)
            judged = await af.judge(study.judge, endpoint, raw, call_options)
            assert not collected.failed
            assert not judged.failed

    with recorded_api() as (address, requests):
        asyncio.run(run(address))
    return requests


@pytest.fixture
def raw(tmp_path) -> Path:
    return Path(shutil.copytree(FIXTURE / "raw" / "kept", tmp_path / "kept"))


@pytest.fixture
def study() -> af.Study:
    return af.Study.from_yaml(FIXTURE / "study.yaml")


def expected(name: str) -> pd.DataFrame:
    table = pd.read_csv(FIXTURE / f"{name}.csv", dtype={"prompt_id": str}, keep_default_na=True)
    texts = {column: kind for column, kind in SCHEMA.items() if kind == "string" and column in table}
    return table.astype({column: SCHEMA[column] for column in table if column not in texts} | texts)


def assert_same(table: pd.DataFrame, name: str) -> None:
    old = expected(name)
    new = table[list(old.columns)]
    for column in old:  # a missing text is empty in CSV
        if SCHEMA[column] == "string":
            new = new.assign(**{column: new[column].fillna("")})
            old[column] = old[column].fillna("")
    pd.testing.assert_frame_equal(new, old)


def test_it_tidies_to_the_same_table(raw):
    assert_same(af.tidy(raw), "expected")


def test_it_asks_nothing_again_and_open_batches_are_fetched(study, raw):
    requests = resume(study, raw, batch=True)
    assert requests["paid calls"] == 0
    assert requests["looked at a batch"] == 6  # whether each of two has ended, and its results
    assert_same(af.tidy(raw), "expected_complete")
    assert not resume(study, raw, batch=True)
    assert not resume(study, raw)


def test_answers_of_an_open_batch_that_are_missing_are_fetched_and_not_asked(study, raw):
    lines = (raw / "rollouts.jsonl").read_text().splitlines(keepends=True)
    (raw / "rollouts.jsonl").write_text("".join(lines[:-10]))
    assert resume(study, raw, batch=True)["paid calls"] == 0
    assert_same(
        af.tidy(raw).assign(collected_at=expected("expected_complete")["collected_at"]),
        "expected_complete",
    )


def test_it_asks_nothing_again_when_our_defaults_have_changed(study, raw, monkeypatch):
    changed = {"models": ["claude-next"], "samples": 9, "settings": ["helpful-only"]}
    for name, default in changed.items():
        monkeypatch.setattr(af.Study.model_fields[name], "default", default)
    monkeypatch.setattr(af.Study.model_fields["sampling"], "default", design.Sampling(max_tokens=8000))
    monkeypatch.setattr(design.Sampling.model_fields["max_tokens"], "default", 8000)
    judge = design.JudgeSettings(model="judge-next", max_tokens=9000)
    monkeypatch.setattr(af.Study.model_fields["judge"], "default", judge)
    for model in (design.Sampling, design.JudgeSettings, af.Study):
        model.model_rebuild(force=True)
    try:
        now = af.Study.from_yaml(FIXTURE / "study.yaml")
        assert now.models == ["claude-next"]
        assert now.sampling.max_tokens == 8000
        requests = resume(now.model_copy(update={"judge": study.judge}), raw, batch=True)
        assert requests["paid calls"] == 0
        assert not resume(now.model_copy(update={"judge": study.judge}), raw)
        assert_same(af.tidy(raw), "expected_complete")
    finally:
        monkeypatch.undo()
        for model in (design.Sampling, design.JudgeSettings, af.Study):
            model.model_rebuild(force=True)


def change_texts(monkeypatch):
    """Change every text of this package that goes into a call, as a later version might."""
    system, requests, message = prompts.edited, prompts.requests, prompts.user_message
    monkeypatch.setattr(prompts, "edited", lambda *parts: system(*parts) + "\nMore.")
    monkeypatch.setattr(
        prompts,
        "requests",
        lambda setting: [
            prompts.Request(request.prompt_id, request.category, f"{request.text} Please.")
            for request in requests(setting)[1:]
        ],
    )
    later = judging.JudgePrompt(
        {name: f"{text} More." for name, text in judging.SHIPPED["joint"].instructions.items()},
        judging.SHIPPED["joint"].criteria,
        judging.SHIPPED["joint"].behaviours,
    )
    return message, later


def test_it_asks_nothing_again_when_our_texts_have_changed(study, raw, monkeypatch):
    change_texts(monkeypatch)
    assert resume(study, raw, batch=True)["paid calls"] == 0
    assert not resume(study, raw)
    assert_same(af.tidy(raw), "expected_complete")


def test_a_study_of_this_version_asks_nothing_again_either(study, raw, monkeypatch):
    """Once resumed, everything that goes into a call is recorded, the user message and judge too."""
    resume(study, raw, batch=True)
    message, later = change_texts(monkeypatch)
    monkeypatch.setattr(prompts, "user_message", lambda *parts: "Dear model,\n" + message(*parts))
    monkeypatch.setattr(judging, "SHIPPED", dict.fromkeys(judging.PARTS, later))
    assert not resume(study, raw)
    assert not resume(study, raw, batch=True)
    assert_same(af.tidy(raw), "expected_complete")


def test_the_forecast_of_a_finished_study_is_nothing(study, raw, monkeypatch):
    change_texts(monkeypatch)
    assert asyncio.run(forecast(study, raw, Prices.load(), None)).calls == 0


def test_what_the_study_file_itself_changes_is_asked_anew(study, raw):
    changed = study.model_copy(update={"sampling": design.Sampling(max_tokens=3000)})
    with recorded_api() as (address, requests):

        async def run():
            async with anthropic.AsyncAnthropic(
                base_url=address, api_key="any", max_retries=0
            ) as client:
                await af.collect(changed, Endpoint(client, "simulated"), raw)

        with pytest.raises(af.InputError):
            asyncio.run(run())
    assert requests["paid calls"] > 0


def test_a_run_that_asks_nothing_leaves_no_trace(study, raw):
    resume(study, raw, batch=True)
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    resume(study, raw)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before
    assert json.loads(before["manifest.json"])["begun"]["defaults"]["sampling"] == {"max_tokens": 4000}


@pytest.mark.parametrize(
    "content",
    [
        *({"begun": []}, {"begun": {}}, {"begun": {"defaults": {"models": 1}}}, {"current": []}),
        *(
            {"runs": 1},
            {"source": "simulated"},
            {"source": "simulated", "study": []},
            {"begun": {"requests": 1}},
        ),
    ],
)
def test_a_manifest_of_another_form_stops_a_run_with_one_sentence(content, small_study, tmp_path):
    """S10: never a KeyError."""
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"manifest\.json: is damaged") as raised:
        Manifest.open(tmp_path, as_begun(small_study, tmp_path), "simulated", "http://127.0.0.1")
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
