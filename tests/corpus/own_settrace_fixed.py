# The program installs its own threading.settrace hook while two threads update a dict entry under a lock.
import os
import sys
import threading
import time

WHAT = "laps recorded"
RUNNERS, LAPS = 2, 200
track = {"laps": 0}
whistle = threading.Lock()


def one_line_spy(steps):
    def spy(frame, event, arg):
        if frame.f_code is run_laps.__code__ and event == "line":
            steps.append(frame.f_lineno)
        return spy

    return spy


def run_laps():
    for _ in range(LAPS):
        with whistle:
            track["laps"] += 1


def one_round():
    steps = []
    track["laps"] = 0
    threading.settrace(one_line_spy(steps))
    try:
        runners = [threading.Thread(target=run_laps) for _ in range(RUNNERS)]
        for r in runners:
            r.start()
        for r in runners:
            r.join()
    finally:
        threading.settrace(None)
    assert steps, "the program's own hook has to keep working"
    return RUNNERS * LAPS, track["laps"]


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
