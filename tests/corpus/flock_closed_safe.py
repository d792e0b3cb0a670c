# flock kept in a generator's context, given back by LOCK_UN or by closing its file, while readers share it.
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import threading
import time

WHAT = "numbers counted"


@contextlib.contextmanager
def alone(path):
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def count(path):
    for _ in range(5):
        with alone(path):
            number = 0
            if os.path.exists(path):
                with open(path) as file:
                    number = int(file.read())
            with open(path, "w") as file:
                file.write(str(number + 1))


def count_by_descriptor(path):
    for _ in range(5):
        lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = 0
        if os.path.exists(path):
            with open(path) as file:
                number = int(file.read())
        with open(path, "w") as file:
            file.write(str(number + 1))
        os.close(lock)


def look(path):
    for _ in range(5):
        with open(path + ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            time.sleep(0.0002)
            fcntl.flock(lock, fcntl.LOCK_UN)


def log(path, name):
    for n in range(5):
        with open(path, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("%s:" % name)
            file.write("%d\n" % n)


def one_round():
    room = tempfile.mkdtemp()
    try:
        number, lines = os.path.join(room, "number.txt"), os.path.join(room, "lines.log")
        work = [(count, (number,)), (count, (number,)), (count_by_descriptor, (number,)), (look, (number,))]
        work += [(log, (lines, name)) for name in ("ann", "bob")]
        threads = [threading.Thread(target=target, args=args) for target, args in work]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        with open(number) as file:
            return 15, int(file.read())
    finally:
        shutil.rmtree(room)


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
