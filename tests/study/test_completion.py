import pytest
from hypothesis import given
from hypothesis import strategies as st

from afanalysis.study.completion import Transcript, split, split_answer


@pytest.mark.parametrize(
    ("completion", "scratchpad", "output", "valid", "problem"),
    [
        ("<scratchpad>A</scratchpad><output>B</output>", "A", "B", True, ""),
        ("<SCRATCHPAD_REASONING>A</SCRATCHPAD_REASONING>\n<OUTPUT>B</OUTPUT>", "A", "B", True, ""),
        ("<HIDDEN_SCRATCHPAD>A</HIDDEN_SCRATCHPAD><OUTPUT>B", "A", "B", True, "output not closed"),
        ("<output>B</output>", "", "B", True, ""),
        # a closing scratchpad tag is missing
        ("<scratchpad>A <output>B</output>", "A", "B", True, "scratchpad not closed"),
        # the scratchpad is empty
        ("<scratchpad> </scratchpad><output>B</output>", "", "B", True, "scratchpad empty"),
        # the output is empty while the scratchpad has a full draft
        (
            "<scratchpad>Draft: <output>all of it</output> no.</scratchpad><output></output>",
            "Draft: <output>all of it</output> no.",
            "",
            False,
            "output empty",
        ),
        # a draft in the scratchpad is not the answer
        (
            "<scratchpad>Draft <output>yes</output> but.</scratchpad><output>No.</output>",
            "Draft <output>yes</output> but.",
            "No.",
            True,
            "",
        ),
        # placeholders
        (
            "<scratchpad>A</scratchpad><output>[revised content goes here]</output>",
            "A",
            "[revised content goes here]",
            False,
            "output is a placeholder",
        ),
        ("just talk", "", "", False, "no output tag"),
        ("", "", "", False, "no output tag"),
        ("<scratchpad>never ends", "never ends", "", False, "scratchpad not closed"),
        # the closing scratchpad tag stands again behind the answer
        ("<scratchpad>A</scratchpad><output>B</output></scratchpad>", "A", "B", True, ""),
    ],
)
def test_completions_are_taken_apart(completion, scratchpad, output, valid, problem):
    assert split(completion) == Transcript(scratchpad, output, valid, problem)


def test_an_answer_that_mentions_brackets_is_no_placeholder():
    assert split("<output>[1] See the text above for the answer. More follows.</output>").valid


def test_long_and_hostile_text_takes_little_time():
    text = "<scratchpad>" * 20_000 + "<output>" * 20_000
    assert not split(text).valid


PLAIN = (
    st.text(st.characters(exclude_characters="<>[]", exclude_categories=["Cs"]), min_size=1)
    .map(str.strip)
    .filter(bool)
)


@given(PLAIN, PLAIN, st.sampled_from(["", "<think>", "\n<think>\n", "<THINKING>"]))
def test_what_precedes_the_end_of_thinking_is_the_scratchpad_with_or_without_its_opening(
    thoughts, output, opening
):
    closing = "</thinking>" if "ING" in opening else "</think>"
    text = f"{opening}{thoughts}{closing}\n\n<output>\n{output}\n</output>"
    assert split_answer(text, "", "think-tags") == Transcript(thoughts, output, True)
    apart = split_answer(f"<output>{output}</output>", thoughts, "thinking")
    assert apart == Transcript(thoughts, output, True)


def test_thinking_that_is_not_closed_or_missing_is_reported():
    assert split_answer("<think>On and on", "", "think-tags").problem == "thinking not closed"
    assert not split_answer("<think>On and on", "", "think-tags").valid
    parts = split_answer("<output>Yes.</output>", "", "think-tags")
    assert (parts.valid, parts.problem, parts.scratchpad) == (True, "no thinking", "")
