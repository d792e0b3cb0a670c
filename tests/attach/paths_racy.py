import os
import tempfile
import threading
import time
from pathlib import Path

room = tempfile.mkdtemp()


def claim(path):
    if not os.path.exists(path):
        time.sleep(0.03)
        with open(path, "w") as claimed:
            claimed.write("mine")


def sweep(path):
    try:
        if path.exists():
            time.sleep(0.03)
            path.unlink()
    except FileNotFoundError:
        pass


def read(path):
    if not os.path.isfile(path):
        return
    time.sleep(0.03)
    try:
        with open(path) as note:
            note.read()
    finally:
        time.sleep(0)


def clean(path):
    time.sleep(0.02)
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def rounds(make, first, second, path):
    def quiet(function):
        try:
            function(path)
        except FileNotFoundError:
            pass

    while True:
        make(path)
        pair = [threading.Thread(target=quiet, args=(function,)) for function in (first, second)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()


def absent(path):
    if os.path.exists(path):
        os.remove(path)


def present(path):
    Path(path).write_text("here")


for things in (
    (absent, claim, claim, os.path.join(room, "lot.claim")),
    (present, sweep, sweep, Path(room) / "door.lock"),
    (present, read, clean, os.path.join(room, "note.txt")),
):
    threading.Thread(target=rounds, args=things, daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
