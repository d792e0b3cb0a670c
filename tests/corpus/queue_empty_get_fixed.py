# Clerks call get_nowait() and treat queue.Empty as the end; main drains the rest alone with empty()/get().
import os
import queue
import sys
import threading
import time

WHAT = "letters answered"
LETTERS = 20


def clerk(tray, answers):
    while True:
        try:
            letter = tray.get_nowait()
        except queue.Empty:
            return
        time.sleep(0.001)
        answers.put(letter)


def one_round():
    tray, answers = queue.Queue(), queue.Queue()
    for n in range(LETTERS):
        tray.put(n)
    clerks = [threading.Thread(target=clerk, args=(tray, answers)) for _ in range(4)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    got = []
    while not answers.empty():
        got.append(answers.get())
    return LETTERS, len(set(got))


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
