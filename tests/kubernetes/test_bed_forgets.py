"""Names of pods never come back: who is gone is forgotten after the timeouts."""

from agents import AGREE_SECONDS, wait_until
from bed.flavours import BASE

ROLLS = 20
FORGET_SECONDS = 5  # and what is to be forgotten is looked for every 15 s


def test_after_many_rollouts_the_table_shrinks_again(beds, record_property):
    """As one who stays sees it: who comes is not told of who has left before."""
    timeouts = {f"SERF_AGENT_{name}_TIMEOUT": f"{FORGET_SECONDS}s"
                for name in ("RECONNECT", "TOMBSTONE")}
    bed = beds.make(BASE.with_settings(**timeouts))
    witness = bed.create()[0]
    rolled = bed.create(2)
    bed.wait_one_cluster()
    seen, largest = set(), 0
    for _ in range(ROLLS):
        rolled = bed.roll(rolled)
        table = witness.members()
        seen |= set(table)
        largest = max(largest, len(table))
    record_property("members at most:", largest)
    assert len(seen) > largest > len(bed.pods)  # they came, and went, and some were forgotten since
    expected = {pod.name for pod in bed.pods}

    def shrunk():
        table = set(witness.members())
        return table == expected, sorted(table)
    wait_until(shrunk, AGREE_SECONDS, f"the table is {sorted(expected)}")
    assert len(witness.log_lines("serf: EventMemberReap: ")) == 2 * ROLLS
    bed.nobody_failed()
