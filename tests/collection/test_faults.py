"""What must hold whatever the server does, for each fault of `faults.yaml`, alone and all together."""

import json

import pytest

from afanalysis.collection import batches, live, responses
from afanalysis.errors import InputError
from afanalysis.study.design import Study
from afanalysis.study.journal import read_records
from afanalysis.study.ledger import Budget, Ledger
from tests.helpers import billed, keys, planned, put, standing_in
from tests.standin.faults import table_of_faults

STUDY = Study(
    name="faults",
    samples=1,
    settings=["helpful-only"],
    prompts={"helpful-only": {"first": 10}},
    sampling={"max_tokens": 500},
)
OF_CALLS = sorted(name for name, fault in table_of_faults().items() if fault.where == "call")
OF_BATCHES = sorted(set(table_of_faults()) - set(OF_CALLS))

# Of these, results are lost for good.
LOST = {"status_gone", "results_expired", "results_gone", "results_half_for_good"}

# In a batch these leave no line at all, as if the result were gone.
EMPTY = {"body_empty", "headers_only", "no_content", "not_modified", "redirect_loop"}

GROUPS = 3
MODES = {"live": {}, "batch": {"batch": True, "batch_size": 10}}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    for module, name, seconds in (
        (live, "FIRST_WAIT", 0.001),
        (live, "LAST_WAIT", 0.01),
        (responses, "LONGEST_WAIT", 0.01),
        (responses, "CALL_SECONDS", 0.5),
        (batches, "CALL_SECONDS", 0.5),
        (batches, "LONGEST_PAUSE", 0.01),
    ):
        monkeypatch.setattr(module, name, seconds)


class Payer:
    """Collects with a budget, and checks after each run that the ledger covers what was billed."""

    def __init__(self, study, folder, address, standin, **options):
        self.study, self.folder, self.address, self.standin = study, folder, address, standin
        self.options = {"concurrency": 4, "poll_seconds": 0.002, "source": "live"} | options
        self.exact = True

    def run(self, usd, **options):
        budget = Budget(usd=usd)
        try:
            summary = put(
                self.study, self.folder, self.address, budget=budget, **(self.options | options)
            )
        except InputError:
            summary = None
        else:
            self.exact &= not summary.at_worst_case
        ledger = Ledger(self.folder, Budget(usd=usd))
        covered = ledger.budget.spend.usd + ledger.budget.reserved.usd
        assert billed(self.standin) <= covered + 1e-9
        assert covered <= usd + 1e-9
        if self.exact and summary and not round(ledger.budget.reserved.usd, 9):
            assert billed(self.standin) == pytest.approx(covered)
        return summary

    def run_until_complete(self, usd=50, runs=12, **options):
        for _ in range(runs):
            summary = self.run(usd, **options)
            if summary and summary.complete:
                break
        else:
            raise AssertionError(summary)
        assert sorted(keys(self.folder)) == sorted(planned(self.study))
        json.dumps(list(read_records(self.folder / "rollouts.jsonl")), allow_nan=False)
        return summary


def check_calls(names, size, folder, **options):
    shares = dict.fromkeys(names, 0.3 / len(names))
    study = STUDY.model_copy(update={"samples": size // STUDY.size})
    with standing_in(**shares) as (address, standin):
        payer = Payer(study, folder, address, standin, **options)
        payer.run(0.04)
        payer.run_until_complete(resend=bool(EMPTY & set(names)))
        return {name for name in names if standin.asked[f"fault {name}"]}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("group", range(GROUPS))
def test_groups_of_faults_lose_no_answer_and_no_cent(group, mode, tmp_path):
    """M2, M3, M4 and M11, and all other faults of calls."""
    names = OF_CALLS[group::GROUPS]
    struck = check_calls(names, 80, tmp_path, **MODES[mode])
    assert len(struck) > len(names) / 2


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OF_CALLS)
def test_no_fault_of_a_call_loses_an_answer_or_a_cent(name, mode, tmp_path):
    assert check_calls([name], 20, tmp_path, **MODES[mode])


def check_batches(names, folder):
    others = {"create_dropped"} if any("list" in name for name in names) else set()
    with standing_in(**dict.fromkeys({*names, *others}, 1)) as (address, standin):
        payer = Payer(STUDY, folder, address, standin, **MODES["batch"])
        payer.run(0.03)
        for _ in range(2 if LOST & set(names) else 0):
            summary = payer.run(50)
            assert any("--resend" in reason for reason in summary.failed)
            assert standin.asked["batched"] == STUDY.size
        standin.shares.update(dict.fromkeys(LOST, 0))
        payer.run_until_complete(resend=bool(LOST & set(names)))
        if not LOST & set(names):
            failed = standin.asked["fault expired"] + standin.asked["fault errored"]
            assert standin.asked["batched"] == STUDY.size + failed
        assert all(standin.asked[f"fault {name}"] for name in names)


@pytest.mark.slow
def test_a_server_with_every_fault_of_batches_loses_no_answer_and_no_cent(tmp_path, monkeypatch):
    """M8, M9 and M10, and all other faults of batches."""
    monkeypatch.setattr(batches, "FETCHES", 30)
    check_batches([name for name in OF_BATCHES if table_of_faults()[name].times], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_BATCHES)
def test_no_fault_of_batches_loses_an_answer_or_pays_twice_without_consent(name, tmp_path):
    check_batches([name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_ten_thousand_calls_through_all_faults_together_lose_nothing(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(responses, "CALL_SECONDS", 10.0)
    monkeypatch.setattr(batches, "CALL_SECONDS", 10.0)
    study = STUDY.model_copy(update={"samples": 500})
    assert study.size == 10_000
    with standing_in(**dict.fromkeys(OF_CALLS, 0.01 / len(OF_CALLS))) as (address, standin):
        options = MODES[mode] | {"batch_size": 1000, "concurrency": 32}
        payer = Payer(study, tmp_path, address, standin, **options)
        payer.run(5)
        payer.run_until_complete(usd=100, resend=True)
        struck = [name for name in OF_CALLS if standin.asked[f"fault {name}"]]
        faults = sum(standin.asked[f"fault {name}"] for name in struck)
        budget = Ledger(tmp_path, Budget(usd=100)).budget
        print(
            f"{mode}: {len(keys(tmp_path)):,} answers, {faults} faults of {len(struck)} kinds; "
            f"billed ${billed(standin):.2f}, counted ${budget.spend.usd + budget.reserved.usd:.2f}"
        )
    assert len(struck) > len(OF_CALLS) / 2
