# A baton goes round by a pipe, or by a pair of sockets: whoever has read it may touch the score.
import os
import socket
import sys
import threading
import time

WHAT = "points"
TURNS = 10


class Score:
    points = 0


def play(score, wait, pass_on):
    for _ in range(TURNS):
        wait()
        score.points = score.points + 1
        pass_on()


def one_round():
    score = Score()
    there, back = os.pipe(), os.pipe()
    one, other = socket.socketpair()
    pairs = [
        (lambda: os.read(there[0], 1), lambda: os.write(back[1], b"x")),
        (lambda: os.read(back[0], 1), lambda: os.write(there[1], b"x")),
        (lambda: one.recv(1), lambda: one.sendall(b"x")),
        (lambda: other.recv(1), lambda: other.sendall(b"x")),
    ]
    for first, second in (pairs[:2], pairs[2:]):
        players = [threading.Thread(target=play, args=(score, *ways)) for ways in (first, second)]
        for p in players:
            p.start()
        second[1]()
        for p in players:
            p.join()
    for end in there + back:
        os.close(end)
    one.close()
    other.close()
    return 4 * TURNS, score.points


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
