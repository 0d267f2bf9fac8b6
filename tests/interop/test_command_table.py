"""Every command and every option, ours beside the reference's (command_table.py has the rows).

Each row is run by our command line at our agent and by the reference's at its own, in one cluster,
and crosswise: each command line at the other's agent must give what one of the two gave."""

import itertools
import re
import time

import pytest

import command_table as table
from agents import AGREE_SECONDS, OURS, POLL_INTERVAL, REFERENCE, REPOSITORY, run
from command_masks import masked
from command_runner import Stage, run_row

DIFFERENCES = REPOSITORY / "docs/differences.md"
FLAG = re.compile(r"(?m)^\s+-([a-z][a-z0-9-]*)")
ATTEMPTS = 3
useful_masks, rows_run = set(), []


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    made = Stage(tmp_path_factory.mktemp("stage"))
    yield made
    made.close()


def documented():
    """The first cells of the lines of docs/differences.md."""
    return {found[1].strip() for found in
            re.finditer(r"(?m)^\| (.*?) \|", DIFFERENCES.read_text("utf-8"))}


def judge(row, results):
    """None, or what is wrong with the outcomes of a row."""
    outcomes = {pair: masked(command, outcome) for pair, (command, outcome) in results.items()}
    ours, theirs = outcomes[OURS, OURS], outcomes[REFERENCE, REFERENCE]
    if row.differs is None:
        wrong = [pair for pair, outcome in outcomes.items() if outcome != theirs]
    else:
        if ours == theirs:
            return f"it does not differ, although docs/differences.md says: {row.differs}"
        if row.same_status and ours.status != theirs.status:
            return f"status {ours.status}, the reference's is {theirs.status}"
        if row.hints and not begins_alike(ours.stdout, theirs.stdout):
            return f"it does not begin as the reference's\n{theirs}\nours:\n{ours}"
        wrong = [pair for pair, outcome in outcomes.items() if outcome not in (ours, theirs)]
    if wrong:
        (command_line, agent), got = wrong[0], outcomes[wrong[0]]
        return (f"{command_line.kind}'s command line, {agent.kind}'s agent:\n{got}\n"
                f"the reference's own:\n{theirs}")
    return None


def try_row(stage, row, attempt):
    try:
        results = run_row(stage, row, attempt)
    except AssertionError as problem:
        return None, str(problem)
    return results, judge(row, results)


def begins_alike(ours, theirs):
    """Each of our lines is one of the reference's, some with a remedy behind it."""
    ours, theirs = ours.splitlines(), theirs.splitlines()
    return len(ours) == len(theirs) and all(map(str.startswith, ours, theirs))


def note_useful_masks(row, results):
    for mask in table.DOCUMENTED_MASKS:
        if mask in row.masks:
            bare = [masked(*result, without=mask) for result in results.values()]
            if any(outcome != bare[0] for outcome in bare):
                useful_masks.add(mask)


@pytest.mark.parametrize("row", table.ROWS_OF_THE_TABLE,
                         ids=lambda row: f"{row.id} [{row.state.split()[0]}]")
def test_a_command_line_answers_as_the_reference_or_as_documented(reference, stage, row):
    # A single query misses a member now and then, and a log tells when others happened to act.
    deadline = time.monotonic() + (AGREE_SECONDS if row.slow or row.argv[:1] == ["keys"] else 0)
    for attempt in itertools.count():
        results, wrong = try_row(stage, row, attempt)
        if wrong is None or (attempt + 1 >= ATTEMPTS and time.monotonic() >= deadline):
            break
        time.sleep(POLL_INTERVAL)
    assert wrong is None, wrong
    note_useful_masks(row, results)
    rows_run.append(row)


def test_every_difference_of_the_table_is_documented():
    known = documented()
    reasons = {row.differs for row in table.ROWS_OF_THE_TABLE if row.differs}
    assert reasons | set(table.DOCUMENTED_MASKS.values()) <= known, reasons - known


def test_every_documented_mask_is_needed():
    if len(rows_run) < len(table.ROWS_OF_THE_TABLE):
        pytest.skip("not all rows were run")
    assert useful_masks == set(table.DOCUMENTED_MASKS)


@pytest.mark.parametrize("command", [name for name in table.COMMANDS if name != "version"])
def test_every_flag_that_the_references_help_names_is_in_the_table(reference, command):
    named = set(FLAG.findall(run(REFERENCE, command, "-help").stderr))
    tried = {word.lstrip("-").split("=")[0] for row in table.ROWS_OF_THE_TABLE
             if row.argv[:1] == [command] for word in row.argv[1:] if word.startswith("-")}
    assert named <= tried, named - tried


def test_every_command_that_the_reference_lists_is_in_the_table(reference):
    listed = set(re.findall(r"(?m)^    (\S+) {2,}\S", run(REFERENCE, "help").stderr))
    assert listed == set(table.COMMANDS)
