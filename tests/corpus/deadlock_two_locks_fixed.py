# Two clerks take the ledger first and the audit register second, and both finish.
import os
import sys
import threading
import time

WHAT = "clerks who finished"
ledger_lock = threading.Lock()
audit_lock = threading.Lock()
lines = []


def book():
    with ledger_lock:
        time.sleep(0.02)
        with audit_lock:
            lines.append("booked")


def audit():
    with ledger_lock:
        time.sleep(0.02)
        with audit_lock:
            lines.append("audited")


def one_round():
    del lines[:]
    clerks = [threading.Thread(target=book, name="booker"), threading.Thread(target=audit, name="auditor")]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return 2, len(lines)


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
