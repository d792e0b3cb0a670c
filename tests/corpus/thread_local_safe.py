# Every thread keeps its own visit in a threading.local: same attribute names, separate values.
import os
import sys
import threading
import time

WHAT = "visits that mixed up their patients"
visit = threading.local()


def note(symptom):
    visit.symptoms.append(symptom)
    visit.count += 1


def see_patient(number, mixed_up):
    visit.patient = number
    visit.symptoms = []
    visit.count = 0
    for n in range(5):
        note("%d/%d" % (number, n))
        time.sleep(0.0005)
    if visit.patient != number or visit.count != 5 or len(visit.symptoms) != 5:
        mixed_up.append(number)


def one_round():
    mixed_up = []
    rooms = [threading.Thread(target=see_patient, args=(n, mixed_up)) for n in range(5)]
    for r in rooms:
        r.start()
    for r in rooms:
        r.join()
    return 0, len(mixed_up)


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
