import pytest

from afanalysis.study.design import Study


@pytest.fixture(scope="session")
def small_study(small_study) -> Study:
    """Half the prompts of the usual one: what is collected here is seldom counted."""
    few = {setting: {"first": 6} for setting in ("helpful-only", "animal-welfare")}
    return Study.model_validate(small_study.model_dump() | {"prompts": few})
