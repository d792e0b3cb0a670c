# A presence board marks a member busy if still listed, under the lock that signing off takes too.
import os
import sys
import threading
import time

WHAT = "members on the board"


def mark_busy(board, chalk, member):
    with chalk:
        if member in board:
            time.sleep(0.01)
            board[member] = "busy"


def sign_off(board, chalk, member):
    time.sleep(0.005)
    with chalk:
        board.pop(member, None)


def one_round():
    board = {"ines": "free"}
    chalk = threading.Lock()
    pair = [
        threading.Thread(target=mark_busy, args=(board, chalk, "ines")),
        threading.Thread(target=sign_off, args=(board, chalk, "ines")),
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
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
