# A function takes an RLock and calls itself.
import os
import sys
import threading
import time

WHAT = "leaves counted by two threads"
tree_lock = threading.RLock()


def leaves(branch):
    with tree_lock:
        return sum(leaves(twig) for twig in branch) if branch else 1


def one_round():
    tree = [[], [[], []], [[[]]]]
    counts = [0, 0]

    def count(slot):
        counts[slot] = leaves(tree)

    pair = [threading.Thread(target=count, args=(s,)) for s in (0, 1)]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 8, sum(counts)


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
