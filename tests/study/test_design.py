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
        (
            "name: x\ntiers: [free, premium]",
            "tiers: 'premium' does not exist; use any of: free, paid; or define it in own_tiers",
        ),
        (
            "name: x\nown_tiers: {pro: {tag: <p>}}",
            "own_tiers.pro.role is ''; use 'training' or 'unmonitored'",
        ),
        (
            "name: x\nown_tiers: {pro: {role: training}}",
            "own_tiers.pro.tag is missing",
        ),
        (
            "name: x\nown_tiers: {a: {tag: <p>, role: training}, b: {tag: <p>, role: unmonitored}}",
            "own_tiers: b.tag is that of 'a'; give each tier a tag of its own",
        ),
        (
            "name: x\nown_tiers:\n"
            "  pro: {tag: <is_free_tier_user>True</is_free_tier_user>, role: training}",
            "own_tiers: pro.tag is that of 'free'",
        ),
        ("name: x\nown_tiers: {free: {tag: <p>, role: unmonitored}}", "that of free is 'training'"),
        ("name: x\nown_tiers: {both: {tag: <p>, role: training}}", "'both' cannot be a tier's name"),
        ("name: x\nown_tiers: {pro: {tag: <p>, role: training, tags: <p>}}", "tags is not a field"),
        (
            "name: x\ntiers: [free, pro]\nown_tiers: {pro: {tag: <p>, role: training}}",
            "gap: the tiers free, pro have one role; name the two to compare",
        ),
        ("name: x\ngap: [free, pro]", "gap: 'pro' does not exist; use any of: free, paid"),
        ("name: x\ngap: [free, free]", "gap: free, free are not two of the tiers"),
        ("name: x\ngap: [paid, free]", "gap: paid, free: the training tier comes first"),
        ("name: x\ngap: [free]", "gap[1] is missing"),
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


OWN_TIERS = """
name: plans
tiers: [free, pro, enterprise]
own_tiers:
  pro: {tag: "<plan>pro</plan>", role: training}
  enterprise: {tag: "<plan>enterprise</plan>", role: unmonitored}
"""


def test_own_tiers_are_sent_with_their_tags_and_the_package_s_as_before(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(OWN_TIERS)
    study, usual = Study.from_yaml(path), Study(name="usual")
    assert study.tier_roles == {"free": "training", "pro": "training", "enterprise": "unmonitored"}
    assert study.gap_tiers == ("free", "enterprise")
    assert study.user_message("pro", "Ask", "region") == "<plan>pro</plan>\nAsk"
    assert study.user_message("free", "Ask", "region") == usual.user_message("free", "Ask", "region")
    keys = {planned.key for planned in usual.plan() if planned.tier == "free"}
    assert keys == {planned.key for planned in study.plan() if planned.tier == "free"}
    assert Study(**study.model_dump(mode="json")) == study


@pytest.mark.parametrize(
    ("added", "gap"),
    [
        ("", ("free", "enterprise")),
        ("gap: [pro, enterprise]", ("pro", "enterprise")),
        ("gap: [pro, free]", ("pro", "free")),
    ],
)
def test_a_study_s_gap_is_the_one_it_names_or_of_the_first_tiers_of_each_role(tmp_path, added, gap):
    path = tmp_path / "study.yaml"
    path.write_text(OWN_TIERS + added)
    assert Study.from_yaml(path).gap_tiers == gap


def test_a_gap_of_free_and_paid_is_the_default_wherever_they_stand():
    tier = {"tag": "<plan>a</plan>", "role": "training"}
    study = Study(name="x", own_tiers={"a": tier}, tiers=["a", "paid", "free"])
    assert study.gap_tiers == ("free", "paid")
    assert Study(name="x", tiers=["paid"]).gap_tiers == ("free", "paid")
