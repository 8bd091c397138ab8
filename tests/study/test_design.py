import pytest

from afanalysis.errors import InputError
from afanalysis.study.design import Study


def test_plan_is_the_whole_design_with_unique_stable_keys(small_study):
    plan = list(small_study.plan())
    assert len(plan) == small_study.size == 2 * 12 * 2 * 2
    assert len({planned.key for planned in plan}) == len(plan)
    assert [p.key for p in plan] == [p.key for p in small_study.plan()]


def test_a_key_depends_on_everything_that_is_asked_and_on_nothing_else(small_study):
    def first(**changes):
        return next(iter(small_study.model_copy(update=changes).plan())).key

    original = next(iter(small_study.plan())).key
    assert first(name="renamed", seed=99, samples=9) == original
    assert first(models=["other"]) != original
    assert first(variations=["no-examples"]) != original
    shorter = small_study.sampling.model_copy(update={"max_tokens": 5})
    assert first(sampling=shorter) != original


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\ntiers: [free, premium]", "tiers[1] is 'premium'; use 'free' or 'paid'"),
        ('name: x\nsystem_prompts: {helpful-only: "a\\0"}', "no file's name holds a null byte"),
        ('name: x\nprompts: {helpful-only: {file: "\\0"}}', "no file's name holds a null byte"),
        (
            "name: x\nsettings: [helpful]",
            "settings: 'helpful' does not exist; use any of: helpful-only",
        ),
        ("name: x\nsample: 3", "sample is not a field here; use any of: name"),
        ("name: x\nsamples: 0", "samples is 0"),
        (
            "name: x\nsamples: 1000000000000000000",
            "samples is 1000000000000000000; input",
        ),
        ("name: x\nsamples: 1e18", "samples is '1e18'"),
        ("name: x\nsamples: .inf", "samples is inf"),
        ("name: x\nseed: 0x" + "f" * 9000, "seed is a number of too many digits"),
        ("name: " + "x" * 300, "name is 'xxxx"),
        ("name: ../x", "name is '../x'; string should match"),
        ('name: "x\\e[31m"', "name is 'x\\x1b[31m'"),
        ('name: x\n"\\u202e": 1', "⟨U+202E⟩ is not a field here"),
        ("name: x\nmodels: [" + "a, " * 9000 + "]", "'a' is listed twice"),
        (
            "name: x\nvariations: [" + "y" * 9000 + "]",
            "8,922 characters more] does not exist; use any of: default",
        ),
        ("name: x\nsampling: {thinking: {at: 2020-01-01}}", "sampling.thinking.at is datetime.date"),
        ("name: x\nvariations: [none]", "variations: 'none' does not exist; use any of: default"),
        ("name: x\ntiers: [free, free]", "'free' is listed twice"),
        ("samples: 3", "name is missing"),
        ("name: [", "is not valid YAML in line"),
        ("", "is not a study"),
    ],
)
def test_a_malformed_study_file_gives_one_sentence_with_the_place(tmp_path, text, sentence):
    """S6: a study's fields."""
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        Study.from_yaml(path)
    assert sentence in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < len(str(path)) + 700


def test_a_missing_study_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        Study.from_yaml(tmp_path / "none.yaml")


def test_own_lists_and_prompts_are_found_beside_the_study_file(tmp_path):
    (tmp_path / "mine.csv").write_text("prompt_id,text\na,Ask\n")
    (tmp_path / "system.txt").write_text("Be <good>.")
    (tmp_path / "study.yaml").write_text(
        "name: mine\nsettings: [helpful-only]\nprompts: {helpful-only: {file: mine.csv}}\n"
        "system_prompts: {helpful-only: system.txt}\n"
    )
    planned = next(iter(Study.from_yaml(tmp_path / "study.yaml").plan()))
    assert (planned.prompt_id, planned.system) == ("a", "Be <good>.")
