# Processes book the seats of a shared array: each holds its lock from looking to booking.
import multiprocessing
import os
import sys
import time

WHAT = "seats booked"
CLERKS = 3
SEATS = 20


def book(seats, clerk, booked):
    for seat in range(SEATS):
        with seats.get_lock():
            if seats[seat] != 0:
                continue
            time.sleep(0.0005)
            seats[seat] = clerk
        booked[clerk - 1] += 1


def one_round():
    context = multiprocessing.get_context("spawn")
    seats, booked = context.Array("i", SEATS), context.Array("i", CLERKS)
    clerks = [context.Process(target=book, args=(seats, n + 1, booked)) for n in range(CLERKS)]
    for c in clerks:
        c.start()
    for c in clerks:
        c.join()
    return SEATS, sum(booked[:])


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
