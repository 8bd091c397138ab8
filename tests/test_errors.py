from afanalysis.errors import InputError


def test_a_message_is_one_line_of_bounded_length():
    """S6: values are cut where they are shown."""
    assert str(InputError("a.yaml: is\nwrong\u2028here")) == "a.yaml: is wrong here"
    message = str(InputError(f"a.yaml: {'x' * 100_000} is not known; use y"))
    assert len(message) < 2000
    assert message.startswith("a.yaml: xxx")
    assert message.endswith("x is not known; use y")
    assert "x … x" in message
