#!/usr/bin/env python3
"""What racetrace costs: programs plain, under `racetrace run` and, where it serves, under peers; in turns (A B A B), so that
a machine that gets slower slows all of them. Prints a table in Markdown; judges no findings.

    tests/bench/cost.py                                  all rows, on the python3 that runs this
    tests/bench/cost.py --python python3.11 --only locks --rounds 5
    tests/bench/cost.py --steady 120                     memory over two minutes instead

Needs `cargo build --release` first. The programs that use packages get a virtual environment in ~/.cache/racetrace-bench.
"""
import argparse
import http.client
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = ("settrace", "threadcheck")
PACKAGES = ("flask", "aiohttp")
SERVERS = ("web", "aioweb")

# program, what it is, bound of the wall time, size (full, quick), peers
ROWS = [
    ("web", "threaded web handler, real requests", 1.5, (1500, 300), ()),
    ("aioweb", "web service on asyncio, real requests", 1.5, (3000, 600), ()),
    ("queues", "queue pipeline", 1.5, (120_000, 12_000), ("settrace", "threadcheck")),
    ("map_reduce", "map-reduce on a thread pool", 1.5, (4_000, 800), ("settrace", "threadcheck")),
    ("locks", "tight lock loop", None, (3_000_000, 600_000), ("settrace", "threadcheck")),
    ("attributes", "attributes, one thread", 1.5, (200_000, 20_000), ("settrace",)),
    ("imports", "import-heavy start-up", 1.5, ("", ""), ("settrace",)),
    ("shared", "every instruction a shared access", 3.0, (2_000_000, 400_000), ("settrace", "threadcheck")),
    ("tasks", "asyncio's worst case: tasks that do nothing but take a lock and touch what they share", None, (40_000, 4_000),
     ("settrace",)),
    ("files", "writing files", 1.5, (300_000, 30_000), ("settrace",)),
]


def environment(python):
    """A virtual environment of this interpreter with the packages that the programs and peers need."""
    asked = subprocess.run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.abiflags)"],
                           stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    place = os.path.expanduser("~/.cache/racetrace-bench/" + "-".join(asked))
    inside = os.path.join(place, "bin", "python")
    ready = os.path.join(place, "ready: " + " ".join(PACKAGES))
    if not os.path.exists(ready):
        if subprocess.run([python, "-m", "venv", place], check=False).returncode != 0:
            print("no virtual environment can be made with this interpreter: rows that use packages will fail", file=sys.stderr)
            return python
        subprocess.run([inside, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        subprocess.run([inside, "-m", "pip", "install", "-q", "threadcheck"], check=False)
        open(ready, "w").close()
    return inside


def command(way, tool, python, program, size):
    """The words that run the program this way; None where that way does not exist."""
    arguments = [os.path.join(HERE, "programs", program + ".py")] + ([str(size)] if size else [])
    if way == "racetrace":
        return [tool, "run", "--quiet", "--fail-on", "never", "--output", os.devnull, "--", python] + arguments
    if way == "settrace":
        return [python, os.path.join(HERE, "peer_settrace.py")] + arguments
    if way == "threadcheck":
        installed = os.path.exists(os.path.join(os.path.dirname(python), "threadcheck"))
        return [python, os.path.join(HERE, "peer_threadcheck.py")] + arguments if installed else None
    return [python] + arguments


def measure(words, size, limit, is_server):
    """(wall seconds, CPU seconds of all, peak MiB of program and tool with the CPU seconds of the process itself, which is
    the tool where there is one); None where it did not end in time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    child = subprocess.Popen(words, stdout=subprocess.PIPE if is_server else subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True, text=True)
    peaks, over = {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(child.pid, peaks, over))
    watcher.start()
    try:
        wall = serve(child, size) if is_server else None
        peaks["seconds"] = own_seconds(child.pid, limit)
        child.wait()
    except (TimeoutError, OSError):
        os.killpg(child.pid, 9)
        child.wait()
        return None
    finally:
        over.set()
        watcher.join()
    wall = wall or time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, peaks


def own_seconds(pid, limit):
    """The CPU seconds of the process without those of its children, once it has ended."""
    deadline = time.monotonic() + limit
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)
    with open(f"/proc/{pid}/stat") as stat:
        ticks = stat.read().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def serve(child, requests):
    """Sends the requests over four connections; the seconds that they took."""
    words = child.stdout.readline().split()
    if words[:1] != ["port"]:
        raise OSError("the server does not come up: its package is missing")
    port = int(words[1])

    def client(number):
        for at in range(requests // 4):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/visit/user{(number * 7 + at) % 20}?words=some+words+to+sort+{at}")
            connection.getresponse().read()
            connection.close()

    start = time.monotonic()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/quit")
    try:
        connection.getresponse().read()
    except (http.client.HTTPException, OSError):
        pass  # the server may be gone before its answer is
    return seconds


def watch(pid, peaks, over):
    """Peak memory in MiB of the process and its descendants, by name: the program and the tool apart."""
    while True:
        for process in family(pid):
            try:
                with open(f"/proc/{process}/status") as status:
                    fields = dict(line.split(":", 1) for line in status)
                name = "racetrace" if fields["Name"].strip() == "racetrace" else "program"
                peaks[name] = max(peaks.get(name, 0), int(fields["VmHWM"].split()[0]) / 1024)
            except (OSError, KeyError):
                continue
        if over.wait(0.05):
            return


def family(pid):
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(process)
        try:
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/children") as children:
                    todo += [int(child) for child in children.read().split()]
        except OSError:
            continue
    return found


def middle(values):
    return statistics.median(values) if values else float("nan")


def compare(row, tool, python, rounds, quick):
    program, what, bound, sizes, peers = row
    size = sizes[1 if quick else 0]
    ways = ["plain", "racetrace"] + list(peers)
    results = {way: [] for way in ways}
    for turn in range(rounds):
        for way in ways:
            if turn > 0 and way in PEERS:
                continue  # Slow enough for one look.
            words = command(way, tool, python, program, size)
            plain = middle([wall for wall, _, _ in results["plain"]])
            limit = max(60, 60 * plain) if way in PEERS else 600
            result = words and measure(words, size or 0, limit, program in SERVERS)
            if result:
                results[way].append(result)
            elif way in PEERS:
                results[way] = [] if not words else None
    walls = {way: [wall for wall, _, _ in found or []] for way, found in results.items()}
    ratios = [watched / plain for plain, watched in zip(walls["plain"], walls["racetrace"])]
    plain_memory = middle([peaks.get("program", 0) for _, _, peaks in results["plain"]])
    memory = middle([peaks.get("program", 0) for _, _, peaks in results["racetrace"]])
    own = middle([peaks.get("racetrace", 0) for _, _, peaks in results["racetrace"]])
    spread = f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else ""
    plain_cpu = middle([cpu for _, cpu, _ in results["plain"]])
    tool_cpu = middle([peaks.get("seconds", 0) for _, _, peaks in results["racetrace"]])
    program_cpu = middle([cpu - peaks.get("seconds", 0) for _, cpu, peaks in results["racetrace"]])
    cells = [what, f"{middle(walls['plain']):.2f} s", f"{middle(walls['racetrace']):.2f} s",
             f"**{middle(ratios):.2f}** ({spread})", f"{bound or ''}",
             f"{plain_cpu:.2f} s", f"{program_cpu:.2f} s ({program_cpu / plain_cpu:.2f}) + {tool_cpu:.2f} s",
             f"{plain_memory:.0f}", f"{memory:.0f} + {own:.0f}"]
    for peer in PEERS:
        if peer not in peers or results[peer] == []:
            cells.append("")
        elif results[peer] is None:
            cells.append("> 60x")
        else:
            cells.append(f"{middle(walls[peer]) / middle(walls['plain']):.1f}x")
    print("| " + " | ".join(cells) + " |", flush=True)


def steady(tool, python, seconds):
    """Memory of program and tool through a long run: the last quarter against the second."""
    words = command("racetrace", tool, python, "steady", seconds)
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples, start = [], time.monotonic()
    while child.poll() is None:
        sizes = {"racetrace": 0.0, "program": 0.0}
        for process in family(child.pid):
            try:
                with open(f"/proc/{process}/status") as status:
                    fields = dict(line.split(":", 1) for line in status)
                name = "racetrace" if fields["Name"].strip() == "racetrace" else "program"
                sizes[name] += int(fields["VmRSS"].split()[0]) / 1024
            except (OSError, KeyError):
                continue
        samples.append((time.monotonic() - start, sizes))
        time.sleep(seconds / 200)
    print(f"\n| resident MiB over {seconds} s | 2nd quarter | last quarter |\n|---|---|---|")
    for name in ("program", "racetrace"):
        quarter = [middle([sizes[name] for at, sizes in samples if low <= at / seconds < high])
                   for low, high in ((0.25, 0.5), (0.75, 1.0))]
        print(f"| {name} | {quarter[0]:.1f} | {quarter[1]:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--racetrace", default=os.path.join(ROOT, "target", "release", "racetrace"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="name of a program; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a fifth of the work: for a first look")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--steady", type=int, metavar="SECONDS", help="measure memory over a long run instead")
    options = parser.parse_args()
    if not os.path.exists(options.racetrace):
        sys.exit(f"there is no {options.racetrace}: cargo build --release")
    python = environment(options.python)
    version = subprocess.run([python, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    print(f"{version}, {platform.system()} {platform.release()}, {os.cpu_count()} x {model or platform.machine()}, "
          f"load {os.getloadavg()[0]:.1f}, {options.rounds} rounds in turns, medians\n")
    if options.steady:
        return steady(options.racetrace, python, options.steady)
    print("| program | plain | racetrace | ratio (range) | bound | CPU plain | CPU program (ratio) + tool | MiB plain "
          "| MiB program + tool | settrace | threadcheck |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if not options.only or row[0] in options.only:
            row = row[:4] + ((),) if options.no_peers else row
            compare(row, options.racetrace, python, options.rounds, options.quick)


if __name__ == "__main__":
    main()
