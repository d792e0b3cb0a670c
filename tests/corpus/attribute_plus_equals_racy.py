# Wires feed pulses into one meter object whose attribute is bumped with a bare += (latent on 3.10+).
import os
import sys
import threading
import time

WHAT = "pulses on the meter"
WIRES, PULSES = 3, 15000


class Meter:
    def __init__(self):
        self.pulses = 0

    def tick(self):
        self.pulses += 1  # race: read-modify-write Meter.pulses


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
