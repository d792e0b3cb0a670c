"""Runs a command on a terminal of some columns, makes that narrower once the command draws, types Ctrl-C a little later,
and prints all that the terminal got.

    on_terminal.py COLUMNS LATER COMMAND...
"""
import fcntl
import os
import pty
import struct
import sys
import termios

columns, later, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
WIPE = b"\r\x1b[2K"

child, terminal = pty.fork()
if child == 0:
    # Not before the terminal has its width.
    sys.stdin.readline()
    os.execvpe(command[0], command, dict(os.environ, TERM="xterm"))


def widen(to):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, to, 0, 0))


widen(columns)
os.write(terminal, b"\n")
got, narrowed, typed = b"", None, False
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    got += part
    draws = got.count(WIPE)
    if narrowed is None and b"finding" in got and b" Hz" in got:
        widen(later)
        narrowed = draws
    elif narrowed is not None and not typed and draws >= narrowed + 4:
        os.write(terminal, b"\x03")
        typed = True
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(got)
sys.exit(0 if os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, 66) else 1)
