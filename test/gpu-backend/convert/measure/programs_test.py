"""Which answers count: facts by what a right one says, programs by being run."""

import pytest
from spikingbrain.convert.measure.facts import CHINESE, ENGLISH, Fact, facts_for
from spikingbrain.convert.measure.program_tasks import TASKS
from spikingbrain.convert.measure.programs import program_of, runs

RIGHT = "def add(a, b):\n    return a + b"
CHECKS = TASKS[0].checks


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        (f"Here it is:\n```python\n{RIGHT}\n```\nCall it so:\n```python\nadd(1)\n```", f"{RIGHT}\n"),
        (f"```\n{RIGHT}\n```", f"{RIGHT}\n"),
        (f"```py\n{RIGHT}", RIGHT),
        (RIGHT, RIGHT),
    ],
)
def test_a_program_is_the_first_block_of_an_answer(answer: str, program: str) -> None:
    assert program_of(answer) == program


@pytest.mark.parametrize(
    ("program", "does"),
    [
        (RIGHT, True),
        ("def add(a, b):\n    return a - b", False),
        ("def add(a, b)\n    return a + b", False),
        (f"{RIGHT}\nwhile True: pass", False),
        (f"{RIGHT}\nopen('kept', 'w').write('x' * 100_000)", False),
        (f"{RIGHT}\nbytes(1 << 30)", False),
        (f"{RIGHT}\ninput()", False),
    ],
)
def test_a_program_counts_that_ends_and_does_what_was_asked(program: str, does: bool) -> None:
    assert runs(program, CHECKS, seconds=1) is does


def test_every_kind_of_task_can_fail() -> None:
    assert len(TASKS) == len({task.wanted for task in TASKS}) == 20
    assert all("assert " in task.checks and task.wanted.split("(")[0].strip("`") in task.checks for task in TASKS)


def test_a_fact_is_told_in_any_of_its_ways() -> None:
    assert len(ENGLISH) == len(CHINESE) == 20
    assert Fact("?", ("eight", "8")).is_right("A spider has Eight legs.") and not Fact("?", ("eight", "8")).is_right("Six.")
    assert facts_for(["english"]) == list(ENGLISH)
    assert facts_for(["chinese", "code", "english"]) == [*ENGLISH, *CHINESE]
    assert len({fact.question for fact in (*ENGLISH, *CHINESE)}) == 40
