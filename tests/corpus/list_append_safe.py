# Threads append squares to one list and main sorts it afterwards.
import os
import sys
import threading
import time

WHAT = "squares collected"
squares = []


def square(numbers):
    for n in numbers:
        squares.append(n * n)


def one_round():
    del squares[:]
    team = [threading.Thread(target=square, args=(range(k, 2000, 4),)) for k in range(4)]
    for t in team:
        t.start()
    for t in team:
        t.join()
    assert sorted(squares) == [n * n for n in range(2000)]
    return 2000, len(squares)


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
