# A threading.local subclass with its own __init__ gives each thread a lazily made connection and a use count.
import os
import sys
import threading
import time

WHAT = "queries on the thread's own line"


class Line(threading.local):
    def __init__(self):
        self.number = None
        self.queries = 0

    def ask(self):
        if self.number is None:
            time.sleep(0.001)
            self.number = threading.get_ident()
        self.queries += 1
        return self.number == threading.get_ident()


def operator(line, slots, place):
    slots[place] = sum(line.ask() for _ in range(10)) if line.queries == 0 else -1


def one_round():
    line, slots = Line(), [0] * 4
    operators = [threading.Thread(target=operator, args=(line, slots, p)) for p in range(4)]
    for o in operators:
        o.start()
    for o in operators:
        o.join()
    return 40, sum(slots)


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
