# Wires feed pulses into one meter object that owns a lock for its attribute.
import os
import sys
import threading
import time

WHAT = "pulses on the meter"
WIRES, PULSES = 3, 10000


class Meter:
    def __init__(self):
        self.pulses = 0
        self._mutex = threading.Lock()

    def tick(self):
        with self._mutex:
            self.pulses += 1


class Wire(threading.Thread):
    def __init__(self, meter):
        super().__init__()
        self.meter = meter

    def run(self):
        for _ in range(PULSES):
            self.meter.tick()


def one_round():
    meter = Meter()
    wires = [Wire(meter) for _ in range(WIRES)]
    for w in wires:
        w.start()
    for w in wires:
        w.join()
    return WIRES * PULSES, meter.pulses


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
