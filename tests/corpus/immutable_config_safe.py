# Frozen settings are read by every thread at once; each thread counts in its own local names.
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import FrozenSet, NamedTuple

WHAT = "doors checked"


class Hours(NamedTuple):
    opens: int
    closes: int


@dataclass(frozen=True)
class Building:
    street: str
    hours: Hours
    doors: FrozenSet[str] = field(default_factory=frozenset)


HOUSE = Building("Dock 4", Hours(8, 17), frozenset({"north", "south", "roof"}))


def patrol(slots, guard):
    checked = 0
    for hour in range(HOUSE.hours.opens, HOUSE.hours.closes):
        for door in HOUSE.doors:
            checked += bool(door) and hour > 0
    slots[guard] = checked


def one_round():
    slots = [0] * 6
    guards = [threading.Thread(target=patrol, args=(slots, g)) for g in range(6)]
    for g in guards:
        g.start()
    for g in guards:
        g.join()
    return 6 * 9 * 3, sum(slots)


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
