# Clerks bump a property whose getter and setter are Python functions: += calls both.
import os
import sys
import threading
import time

WHAT = "sales at the till"
CLERKS, SALES = 3, 3000


class Till:
    def __init__(self):
        self._sold = 0

    @property
    def sold(self):
        return self._sold

    @sold.setter
    def sold(self, number):
        if number < 0:
            raise ValueError(number)
        self._sold = number  # race: read-modify-write Till._sold


def work(till):
    for _ in range(SALES):
        till.sold += 1


def one_round():
    till = Till()
    clerks = [threading.Thread(target=work, args=(till,)) for _ in range(CLERKS)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return CLERKS * SALES, till.sold


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
