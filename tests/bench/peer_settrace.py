"""A peer to compare with: the usual way to trace from Python itself, `settrace` with opcode events and a dict of counts."""
import runpy
import sys
import threading

counts = {}


def trace(frame, event, argument):
    frame.f_trace_opcodes = True
    key = frame.f_code, frame.f_lasti
    counts[key] = counts.get(key, 0) + 1
    return trace


sys.argv = sys.argv[1:]
threading.settrace(trace)
sys.settrace(trace)
runpy.run_path(sys.argv[0], run_name="__main__")
