# A presence board marks a member busy if still listed; the member is taken off in between and comes back.
import os
import sys
import threading
import time

WHAT = "members on the board"


def mark_busy(board, member):
    if member in board:  # race-read: check-then-act board[...]
        time.sleep(0.06)
        board[member] = "busy"  # race: check-then-act board[...]


def sign_off(board, member):
    time.sleep(0.025)
    board.pop(member, None)


def one_round():
    board = {"ines": "free"}
    pair = [
        threading.Thread(target=mark_busy, args=(board, "ines")),
        threading.Thread(target=sign_off, args=(board, "ines")),
    ]
    for t in pair:
        t.start()
    for t in pair:
        t.join()
    return 0, len(board)


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
        # a round that got lucky is tried again, twice at most
        if time.monotonic() >= stop_at and (want != got or rounds >= 3):
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
