# A counter is only touched when acquire(blocking=False) or acquire(timeout=...) says yes.
import os
import sys
import threading
import time

WHAT = "calls answered by the one phone"
phone = threading.Lock()
answered = 0


def caller(log):
    global answered
    for n in range(25):
        got = phone.acquire(blocking=False) if n % 2 else phone.acquire(timeout=0.0002)
        if got:
            try:
                talk = answered
                time.sleep(0.0002)
                answered = talk + 1
                log.append("ok")
            finally:
                phone.release()
        else:
            log.append("busy")


def one_round():
    global answered
    answered = 0
    logs = [[] for _ in range(4)]
    callers = [threading.Thread(target=caller, args=(log,)) for log in logs]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    return sum(log.count("ok") for log in logs), answered


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
