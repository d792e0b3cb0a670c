#!/usr/bin/env python3
"""How soon a process that loses updates all the time is told so: from the start of racetrace to the line on the terminal,
and how often looking for a given time is enough. Prints tables in Markdown.

    tests/bench/proof.py                                 on the python3 that runs this
    tests/bench/proof.py --python python3.12 --rounds 50

Needs `cargo build --release` first.
"""
import argparse
import json
import os
import platform
import pty
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOT = """
import threading, time
count = 0

def one():
    return 1

def work():
    global count
    while True:
        count = count + one()

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
time.sleep(3600)
"""


def told(tool, pid):
    """Seconds from the start of racetrace until the finding is on its terminal."""
    terminal, end = pty.openpty()
    began = time.monotonic()
    looking = subprocess.Popen([tool, "--pid", str(pid), "--duration", "10s"], stdout=subprocess.DEVNULL, stderr=end)
    os.close(end)
    text = b""
    try:
        while b"[read-modify-write]" not in text:
            if not select.select([terminal], [], [], 15)[0]:
                return None
            text += os.read(terminal, 65536)
        return time.monotonic() - began
    except OSError:                                     # racetrace has ended, and with it the terminal
        return None
    finally:
        looking.send_signal(signal.SIGKILL)
        looking.wait()
        os.close(terminal)


def found(tool, pid, milliseconds):
    done = subprocess.run([tool, "--pid", str(pid), "--duration", f"{milliseconds}ms", "--format", "json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return any(finding["kind"] == "read-modify-write" for finding in json.loads(done.stdout)["findings"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--tool", default=os.path.join(ROOT, "target", "release", "racetrace"))
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    home = tempfile.TemporaryDirectory()
    program = os.path.join(home.name, "hot.py")
    with open(program, "w") as file:
        file.write(HOT)
    hot = subprocess.Popen([options.python, program], stdout=subprocess.PIPE, text=True)
    try:
        hot.stdout.readline()
        print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before; {options.rounds} rounds\n")
        print("| from start to the line on the terminal | median | worst | never |\n|---|---|---|---|")
        times = [told(options.tool, hot.pid) for _ in range(options.rounds)]
        known = [seconds * 1000 for seconds in times if seconds is not None]
        shown = f"{statistics.median(known):.0f} ms | {max(known):.0f} ms" if known else "|"
        print(f"| | {shown} | {len(times) - len(known)} |\n")
        print("| looking for | proven |\n|---|---|")
        for milliseconds in (20, 50, 100, 200):
            count = sum(found(options.tool, hot.pid, milliseconds) for _ in range(options.rounds))
            print(f"| {milliseconds} ms | {count} of {options.rounds} |", flush=True)
    finally:
        hot.kill()
        hot.wait()
        home.cleanup()


if __name__ == "__main__":
    main()
