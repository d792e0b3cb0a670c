# Two locks are nested both ways round, but only while one common gate lock is held, so no deadlock can come of it.
import os
import sys
import threading
import time

WHAT = "swaps done"
gate = threading.Lock()
left_lock = threading.Lock()
right_lock = threading.Lock()
hands = {"left": 50, "right": 50}


def left_to_right():
    for _ in range(30):
        with gate:
            with left_lock:
                with right_lock:
                    hands["left"] -= 1
                    hands["right"] += 1


def right_to_left():
    for _ in range(30):
        with gate:
            with right_lock:
                with left_lock:
                    hands["right"] -= 1
                    hands["left"] += 1


def one_round():
    jugglers = [threading.Thread(target=left_to_right), threading.Thread(target=right_to_left)]
    for j in jugglers:
        j.start()
    for j in jugglers:
        j.join()
    return 100, hands["left"] + hands["right"]


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
