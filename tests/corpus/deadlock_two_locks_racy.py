# Two clerks hold one register each and wait for the other's: the process really stands still.
# hangs
import os
import sys
import threading
import time

WHAT = "booking and audit"
ledger_lock = threading.Lock()
audit_lock = threading.Lock()
lines = []


def book():
    with ledger_lock:  # race-read: deadlock audit_lock,ledger_lock  # race-also: lock-order-inversion audit_lock,ledger_lock
        time.sleep(0.1)
        with audit_lock:  # race: deadlock audit_lock,ledger_lock  # race-also: lock-order-inversion audit_lock,ledger_lock
            lines.append("booked")


def audit():
    with audit_lock:  # race-read: deadlock audit_lock,ledger_lock  # race-also: lock-order-inversion audit_lock,ledger_lock
        time.sleep(0.1)
        with ledger_lock:  # race: deadlock audit_lock,ledger_lock  # race-also: lock-order-inversion audit_lock,ledger_lock
            lines.append("audited")


def one_round():
    clerks = [threading.Thread(target=book, name="booker"), threading.Thread(target=audit, name="auditor")]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()


def main():
    if "--seconds" in sys.argv:
        print("ready", os.getpid(), flush=True)
        # half of the time is left for attaching before everything stops for good
        time.sleep(float(sys.argv[sys.argv.index("--seconds") + 1]) / 2)
    print("%s: expected to finish, actual: this process hangs now" % WHAT, flush=True)
    one_round()
    print("never reached")


if __name__ == "__main__":
    main()
