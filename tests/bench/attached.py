#!/usr/bin/env python3
"""What being looked into costs a service: requests a second of a Flask and of a FastAPI process, plain and with racetrace
attached at 100 Hz, in turns (A B A B). Each turn with racetrace must also find the race of the handler, with its lines.
Prints a table in Markdown.

    tests/bench/attached.py                              both services, on the python3 that runs this
    tests/bench/attached.py --python python3.12 --only flask --rounds 20 --seconds 3

Needs `cargo build --release` first. The packages go to a virtual environment in ~/.cache/racetrace-bench.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONNECTIONS = 8
SERVICES = {"flask": "threaded Flask, a call in the window", "fastapi": "FastAPI on uvicorn, an await in the window"}


def environment(python):
    """A virtual environment of this interpreter with the services' packages."""
    asked = subprocess.run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.abiflags)"],
                           stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    place = os.path.expanduser("~/.cache/racetrace-bench/" + "-".join(asked) + "-services")
    inside = os.path.join(place, "bin", "python")
    if not os.path.exists(os.path.join(place, "ready")):
        subprocess.run([python, "-m", "venv", place], check=True)
        subprocess.run([inside, "-m", "pip", "install", "-q", "flask", "fastapi", "uvicorn"], check=True)
        open(os.path.join(place, "ready"), "w").close()
    return inside


def load(port, served, over):
    """Asks for the same page over and over, on several connections; counts the answers."""
    def ask(index):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while not over.is_set():
            connection.request("GET", "/order")
            connection.getresponse().read()
            served[index] += 1
    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    over.wait()
    os._exit(0)


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def turn(pid, served, seconds):
    """(requests a second, processor seconds of the service a request)"""
    begin, count, spent = time.monotonic(), sum(served), processor_time(pid)
    time.sleep(seconds)
    count = sum(served) - count
    return count / (time.monotonic() - begin), (processor_time(pid) - spent) / max(count, 1)


def attached(tool, pid, served, seconds, rate):
    """The same with racetrace looking; and its report, and what it spent of a processor."""
    looking = subprocess.Popen([tool, "--pid", str(pid), "--rate", str(rate), "--quiet", "--format", "json",
                                "--duration", "%dms" % (seconds * 1000 + 500)], stdout=subprocess.PIPE)
    text = []
    reader = threading.Thread(target=lambda: text.append(looking.stdout.read()))
    reader.start()
    time.sleep(0.25)                                    # attaching itself is not what is measured
    spent = processor_time(looking.pid)
    result = turn(pid, served, seconds)
    spent = (processor_time(looking.pid) - spent) / seconds
    looking.wait()
    reader.join()
    return result, json.loads(text[0]), spent


def finds(report, program):
    """Is the handler's race in the report, with the lines of its read and its write?"""
    source = open(program).read().splitlines()
    wanted = {number for number, line in enumerate(source, 1) if 'stock["apples"]' in line}
    for finding in report["findings"]:
        lines = {access["stack"][0]["line"] for access in finding["accesses"]
                 if access["stack"] and access["stack"][0]["file"].endswith(os.path.basename(program))}
        if finding["kind"] in ("read-modify-write", "check-then-act") and len(lines & wanted) >= 2:
            return True
    return False


def measure(name, options):
    program = os.path.join(HERE, "programs", f"service_{name}.py")
    service = subprocess.Popen([environment(options.python), program], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    port = int(service.stdout.readline().split()[1])
    served, over = multiprocessing.Array("Q", CONNECTIONS, lock=False), multiprocessing.Event()
    loading = multiprocessing.Process(target=load, args=(port, served, over))
    while True:
        try:
            http.client.HTTPConnection("127.0.0.1", port).request("GET", "/order")
            break
        except ConnectionError:
            time.sleep(0.05)
    loading.start()
    plain, watched, found, spent, looks = [], [], 0, [], []
    try:
        turn(service.pid, served, 2)                    # warm up
        for _ in range(options.rounds):
            plain.append(turn(service.pid, served, options.seconds))
            result, report, used = attached(options.tool, service.pid, served, options.seconds, options.rate)
            watched.append(result)
            spent.append(used)
            looks.append(report["coverage"]["samples"] / (options.seconds + 0.5))
            found += finds(report, program)
        plain.append(turn(service.pid, served, options.seconds))
    finally:
        over.set()
        loading.join()
        service.kill()
        service.wait()
    # Each turn with racetrace against the mean of the plain ones before and after it.
    ratios = [after[0] / ((plain[index][0] + plain[index + 1][0]) / 2) for index, after in enumerate(watched)]
    costs = [after[1] / ((plain[index][1] + plain[index + 1][1]) / 2) for index, after in enumerate(watched)]
    middle = statistics.median
    spread = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
    print(f"| {SERVICES[name]} | {middle(p[0] for p in plain):.0f} | {middle(w[0] for w in watched):.0f} | "
          f"{statistics.mean(ratios):.3f} ± {spread:.3f} | {statistics.mean(costs):.3f} | {middle(looks):.0f} | "
          f"{100 * middle(spent):.1f} % | {found} of {len(watched)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--tool", default=os.path.join(ROOT, "target", "release", "racetrace"))
    parser.add_argument("--only", choices=SERVICES)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=int, default=100)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before; "
          f"{options.rounds} rounds of {options.seconds:g} s at {options.rate} Hz\n")
    print("| service | requests/s plain | attached | ratio | processor time a request | looks/s | racetrace's processor | found |")
    print("|---|---|---|---|---|---|---|---|")
    for name in [options.only] if options.only else SERVICES:
        measure(name, options)


if __name__ == "__main__":
    main()
