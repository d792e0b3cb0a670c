# A readers-writer lock with acquire(), release() and timeouts: the first reader takes the lock of the resource for all, and
# whichever reader is the last gives it back.
import os
import sys
import threading
import time

WHAT = "entries in the ledger"
CLERKS, AUDITORS, ROUNDS = 3, 4, 60


class Side:
    def __init__(self, gate):
        self.gate = gate

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class Reading(Side):
    def acquire(self, timeout=-1):
        gate = self.gate
        if not gate.entry.acquire(timeout=timeout):
            return False
        if not gate.counting.acquire(timeout=timeout):
            gate.entry.release()
            return False
        gate.readers += 1
        if gate.readers == 1:
            if not gate.resource.acquire(timeout=timeout):
                gate.readers -= 1
                gate.counting.release()
                gate.entry.release()
                return False
        gate.counting.release()
        gate.entry.release()
        return True

    def release(self):
        gate = self.gate
        gate.counting.acquire()
        gate.readers -= 1
        if gate.readers == 0:
            gate.resource.release()
        gate.counting.release()


class Writing(Side):
    def acquire(self, timeout=-1):
        gate = self.gate
        if not gate.entry.acquire(timeout=timeout):
            return False
        if not gate.resource.acquire(timeout=timeout):
            gate.entry.release()
            return False
        return True

    def release(self):
        self.gate.resource.release()
        self.gate.entry.release()


class Gate:
    def __init__(self):
        self.entry, self.counting, self.resource = threading.Lock(), threading.Lock(), threading.Lock()
        self.readers = 0


def write(ledger, gate, done):
    for _ in range(ROUNDS):
        with Writing(gate):
            ledger["entries"] = ledger["entries"] + done()


def audit(ledger, gate):
    reading = Reading(gate)
    for turn in range(ROUNDS):
        if reading.acquire(timeout=0.0005 if turn % 3 else -1):
            try:
                before = ledger["entries"]
                time.sleep(0)
                assert before == ledger["entries"]
            finally:
                reading.release()


def one_round():
    ledger, gate = {"entries": 0}, Gate()
    threads = [threading.Thread(target=write, args=(ledger, gate, lambda: 1)) for _ in range(CLERKS)]
    threads += [threading.Thread(target=audit, args=(ledger, gate)) for _ in range(AUDITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CLERKS * ROUNDS, ledger["entries"]


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
