"""Prints the code objects of Python files, one field a line, for tests/interpreters/mod.rs. Runs on 3.8 and later.

usage: dump.py FILE...      or  dump.py --stdlib  for the standard library of the running interpreter
"""
import os
import sys
import sysconfig
import types


def text(string):
    return string.encode("utf-8", "surrogatepass").hex()


def constant(value):
    if value is None:
        return "N"
    if value is True or value is False:
        return "T" if value else "F"
    if type(value) is int and -(2 ** 63) <= value < 2 ** 63:
        return "I%d" % value
    if type(value) is str:
        return "S" + text(value)
    if type(value) is tuple:
        return "(" + "".join(constant(item) + " " for item in value) + ")"
    return "O"


def slots(code):
    """Names of the frame's slots in their order; from 3.11 on an argument that is a cell has one slot."""
    if sys.version_info < (3, 11):
        return code.co_varnames + code.co_cellvars + code.co_freevars
    cells = tuple(name for name in code.co_cellvars if name not in code.co_varnames)
    return code.co_varnames + cells + code.co_freevars


def dump(code, out):
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    fields = [
        ("filename", text(code.co_filename)), ("name", text(code.co_name)),
        ("qualname", text(getattr(code, "co_qualname", code.co_name))), ("first_line", code.co_firstlineno),
        ("flags", code.co_flags), ("argcount", code.co_argcount), ("posonly", code.co_posonlyargcount),
        ("kwonly", code.co_kwonlyargcount), ("stacksize", code.co_stacksize), ("bytecode", code.co_code.hex()),
        ("names", " ".join("S" + text(name) for name in code.co_names)), ("locals", " ".join("S" + text(name) for name in slots(code))),
        ("nlocals", code.co_nlocals), ("ncells", len(code.co_cellvars)), ("nfrees", len(code.co_freevars)),
        ("consts", " ".join(map(constant, code.co_consts))), ("line_table", table.hex()),
        ("exception_table", getattr(code, "co_exceptiontable", b"").hex()),
    ]
    out.write("".join("%s %s\n" % field for field in fields))
    if "--lines" in sys.argv:
        out.write("lines %s\n" % " ".join(lines(code)))
    out.write("end\n")
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            dump(value, out)


def lines(code):
    """offset:line of every code unit, as the interpreter itself has them."""
    if sys.version_info >= (3, 11):
        for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
            yield "%d:%s:%s:%s:%s" % (2 * index, line, end_line, column, end_column)
    elif sys.version_info >= (3, 10):
        for start, end, line in code.co_lines():
            for offset in range(start, end, 2):
                yield "%d:%s" % (offset, line)
    else:
        import dis
        starts = list(dis.findlinestarts(code))
        for (start, line), (end, _) in zip(starts, starts[1:] + [(len(code.co_code), None)]):
            for offset in range(start, end, 2):
                yield "%d:%s" % (offset, line)


def files():
    if "--stdlib" not in sys.argv:
        return [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    found = []
    for folder, folders, names in os.walk(sysconfig.get_paths()["stdlib"]):
        folders[:] = sorted(name for name in folders if name not in ("site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"))
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")]
    return found


def main():
    import warnings
    warnings.simplefilter("ignore")
    out = open(sys.stdout.fileno(), "w", encoding="ascii", closefd=False)
    for file in files():
        try:
            with open(file, "rb") as source:
                code = compile(source.read(), file, "exec")
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        dump(code, out)
    out.flush()


main()
