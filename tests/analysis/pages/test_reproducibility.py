from dataclasses import replace

import pytest

from analysis.contract.record import TrialRecord
from analysis.numbers.endpoint import endpoint_values
from analysis.numbers.tables import cells
from analysis.pages.compute import compute_table, spent
from analysis.pages.contents import Section
from analysis.pages.reproducibility import SweepEvidence, mixed, reproducibility
from analysis.paper.deviations import DEVIATIONS, LICENCES
from trainers.data.catalog import CATALOG

CONFIG = {"dataset": "omniglot", "inner_lr": 0.4, "eval_episodes": 100, "outer_steps": 60, "seed": 0, "eval_every": 20}
ORIGINS = {
    "dataset": "protocol omniglot",
    "inner_lr": "protocol omniglot",
    "eval_episodes": "x.yaml:7",
    "outer_steps": "x.yaml:7",
    "seed": "x.yaml:9",
    "eval_every": "default",
}


def attempt(number: int = 1, time_ms: int = 1_000_000, **changes) -> dict:
    return {
        "attempt": number,
        "time_ms": time_ms,
        "recipe": {"core": 1},
        "digest": "d" * 64,
        "pack": 1,
        "engine": "loop",
        "device": "cpu",
        "processor": "A processor",
        "commit": "abc",
        "dirty": False,
        "versions": {"python": "3.11", "torch": "2.15.0"},
    } | changes


def trained(record: TrialRecord, steps: list[int], times_ms: list[int], *attempts: dict) -> TrialRecord:
    record["config"] = {"dataset": "omniglot"}
    record["training"] = {"step": steps, "time_ms": times_ms, "query_loss": [], "query_accuracy": []}
    record["probes"] = []
    record["attempts"] = list(attempts)
    for evaluation in record["evaluations"]:
        evaluation["time_ms"] = times_ms[-1]
    return record


@pytest.fixture
def record(make_trial, make_record) -> TrialRecord:
    """Attempt 1 trains steps 1 to 4 in 8 s and dies. Later, attempt 2, in a pack of 2, trains 5 to 10 in 20 s."""
    trial = make_trial({"a": "1"})
    steps = list(range(1, 11))
    times = [2_000 + 1_000_000 + 2_000 * n for n in range(4)] + [9_000_000 + 2_000 * n for n in range(5, 11)]
    first, second = attempt(1, 1_000_000), attempt(2, 9_000_000, pack=2, device="cuda")
    return trained(make_record(trial, {}), steps, times, first, second)


def test_time_between_attempts_is_nobodys_and_a_pack_shares(record) -> None:
    assert [(share.ms, share.steps) for share in spent(record)] == [(8_000, 4), (10_000, 6)]


def test_an_attempt_that_left_nothing_costs_nothing(record) -> None:
    record["attempts"].append(attempt(3, 99_000_000))
    assert [(share.ms, share.steps) for share in spent(record)][2] == (0, 0)


def test_compute_is_summed_by_data_set_and_machine(record) -> None:
    table = compute_table([record, record])
    assert table.rows == (
        ("omniglot", "cpu", "A processor", "2", "2", "0.00", "8", "0.50"),
        ("omniglot", "cuda", "A processor", "2", "2", "0.01", "12", "0.60"),
    )
    assert table.caption.startswith("0.01 hours")  # 36 s


def runs(make_trial, make_record, **changes) -> dict[str, TrialRecord]:
    """Three trials; the attempt of the last one is changed."""
    made = {}
    for seed in range(3):
        trial = make_trial({"a": "1"}, seed)
        facts = attempt(**(changes if seed == 2 else {}))
        made[trial.trial_id] = trained(make_record(trial, {60: 0.5}), [60], [2_000_000], facts)
    return made


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": "def"}, "commit def: 1-s2; 2 trials have abc."),
        ({"device": "cuda"}, "device cuda: 1-s2; 2 trials have cpu."),
        ({"recipe": {"core": 2}}, "recipe core 2: 1-s2; 2 trials have 1."),
        ({"digest": "e"}, f"digest of omniglot e: 1-s2; 2 trials have {'d' * 64}."),
        ({"versions": {"torch": "2.14"}}, "torch 2.14: 1-s2; 2 trials have 2.15.0."),
        ({"dirty": True}, "Trained from a checkout with uncommitted changes: 1-s2."),
    ],
)
def test_a_run_that_differs_from_the_others_is_named(make_trial, make_record, changes, said: str) -> None:
    found = mixed(runs(make_trial, make_record, **changes))
    assert found.items == (said,) and found.paragraphs == ()


def test_a_trial_whose_attempts_differ_is_named_with_both(make_trial, make_record) -> None:
    found = runs(make_trial, make_record)
    found["1-s0"]["attempts"].append(attempt(2, 3_000_000, commit="def"))
    assert mixed(found).items == ("commit abc, then def: 1-s0; 2 trials have abc.",)


def test_runs_that_agree_are_said_to(make_trial, make_record) -> None:
    found = mixed(runs(make_trial, make_record))
    assert found.items == () and found.paragraphs[0].startswith("All runs agree")


def test_recipes_are_compared_only_where_both_use_the_entry(make_trial, make_record) -> None:
    assert mixed(runs(make_trial, make_record, recipe={"core": 1, "second_order": 3})).items == ()


@pytest.fixture
def page(make_trial, make_record, endpoint) -> dict[str, Section]:
    """Two cells of three seeds. In the first, one is done, one failed, one diverged; the second did not run."""
    plan = [
        replace(make_trial({"zeroing": name}, seed), config={**CONFIG, "seed": seed}, origins=ORIGINS)
        for name in ("none", "every step")
        for seed in range(3)
    ]
    records = {}
    for trial, status in zip(plan, ("done", "failed", "diverged"), strict=False):
        made = make_record(trial, {60: 0.5} if status == "done" else {}, status, 60 if status == "done" else 7)
        records[trial.trial_id] = trained(made, [7], [1_000_500], attempt())
    records["none-s1"]["message"] = 'Traceback (most recent call last):\n  File "x"\nValueError: no <such> thing\n'
    records["none-s2"]["message"] = "the loss is not finite"
    records["elsewhere"] = records["none-s0"]
    values = endpoint_values(plan, records, endpoint)
    evidence = SweepEvidence(
        sweep="x", plan=plan, cells=list(cells(values, ["zeroing"], ["zeroing"]).values()), why_not_run="no machine"
    )
    sections = reproducibility([evidence], records, {"python": "3.12", "scipy": "1.13"})
    return {section.title: section for section in sections}


def test_every_planned_seed_without_a_value_has_its_reason(page) -> None:
    assert page["Planned seeds without a value"].tables[0].rows == (
        ("x", "zeroing none", "1", "failed"),
        ("x", "zeroing none", "2", "diverged at step 7"),
        ("x", "zeroing every step", "0, 1, 2", "not run; no machine"),
    )


def test_a_bad_end_is_told_with_its_message_in_one_line(page) -> None:
    assert page["Failed and diverged runs"].tables[0].rows == (
        ("none-s1", "x: none", "1", "failed", "7", "ValueError: no <such> thing"),
        ("none-s2", "x: none", "2", "diverged", "7", "the loss is not finite"),
    )


def test_every_seeds_value_is_printed(page) -> None:
    assert page["Values per seed"].tables[0].rows == (("x", "zeroing none", "seed 0: 50.00"),)


def test_versions_of_the_report_and_of_the_runs_stand_apart(page) -> None:
    assert page["Versions"].tables[0].rows == (
        ("python", "3.12", "3.11"),
        ("scipy", "1.13", ""),
        ("torch", "", "2.15.0"),
    )


def test_data_come_with_digest_and_licence(page) -> None:
    assert page["Data"].tables[0].rows == (("omniglot", "d" * 64, "MIT (Brenden Lake, 2015)"),)


def test_every_hyper_parameter_has_its_origin_but_defaults(page) -> None:
    assert page["Where hyper-parameters come from"].tables[0].rows == (
        ("x", "dataset", "omniglot", "protocol omniglot"),
        ("x", "inner_lr", "0.4", "protocol omniglot"),
        ("x", "eval_episodes", "100", "x.yaml:7"),
        ("x", "outer_steps", "60", "x.yaml:7"),
    )


def test_compute_counts_planned_trials_only(page) -> None:
    assert page["Compute used"].tables[0].rows[0][3] == "3"


def test_every_data_set_has_deviations_and_a_licence() -> None:
    assert DEVIATIONS.keys() - {""} == LICENCES.keys() == CATALOG.keys()
