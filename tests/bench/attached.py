#!/usr/bin/env python3
"""What being looked into costs a service: requests a second of a Flask and of a FastAPI process, plain and with racetrace
looking at 100 Hz, in many short turns. racetrace stays attached and is stopped (SIGSTOP) in the plain ones, so that two
turns of a pair differ in nothing else. It must also find the race of the handler, with its lines. Prints a table in
Markdown: ratios are means over the pairs, with the 95 % confidence interval.

    tests/bench/attached.py                              both services, on the python3 that runs this
    tests/bench/attached.py --python python3.12 --only flask --pairs 40 --seconds 2

Needs `cargo build --release` first. The packages go to a virtual environment in ~/.cache/racetrace-bench.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import platform
import signal
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
    pairs, found, used = [], False, 0.0
    looking = None
    try:
        turn(service.pid, served, 2)                    # warm up
        looking = subprocess.Popen([options.tool, "--pid", str(service.pid), "--rate", str(options.rate), "--quiet",
                                    "--format", "json"], stdout=subprocess.PIPE)
        text = []
        reader = threading.Thread(target=lambda: text.append(looking.stdout.read()))
        reader.start()
        turn(service.pid, served, 2)                    # attaching itself is not what is measured
        spent = processor_time(looking.pid)
        for number in range(options.pairs):
            # Plain first, then watched first: what drifts hits both alike.
            order = (False, True) if number % 2 == 0 else (True, False)
            results = {}
            for watched in order:
                looking.send_signal(signal.SIGCONT if watched else signal.SIGSTOP)
                time.sleep(0.1)
                results[watched] = turn(service.pid, served, options.seconds)
            pairs.append((results[False], results[True]))
        looking.send_signal(signal.SIGCONT)
        used = (processor_time(looking.pid) - spent) / (options.pairs * (options.seconds + 0.1))
        looking.send_signal(signal.SIGINT)
        looking.wait()
        reader.join()
        report = json.loads(text[0])
        found = finds(report, program)
    finally:
        if looking and looking.poll() is None:
            looking.kill()
        over.set()
        loading.join()
        service.kill()
        service.wait()
    throughput = interval([watched[0] / plain[0] for plain, watched in pairs])
    cost = interval([watched[1] / plain[1] for plain, watched in pairs])
    middle = statistics.median
    print(f"| {SERVICES[name]} | {middle(plain[0] for plain, _ in pairs):.0f} | {middle(watched[0] for _, watched in pairs):.0f} | "
          f"{throughput} | {cost} | {100 * used:.1f} % | {'yes' if found else 'no'} |", flush=True)


def interval(ratios):
    """The mean, with its 95 % confidence interval."""
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
    return f"{statistics.mean(ratios):.4f} ± {2 * error:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--tool", default=os.path.join(ROOT, "target", "release", "racetrace"))
    parser.add_argument("--only", choices=SERVICES)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rate", type=int, default=100)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before; "
          f"{options.pairs} pairs of {options.seconds:g} s at {options.rate} Hz\n")
    print("| service | requests/s plain | looked into | ratio | processor time a request | racetrace's processor | race found |")
    print("|---|---|---|---|---|---|---|")
    for name in [options.only] if options.only else SERVICES:
        measure(name, options)


if __name__ == "__main__":
    main()
