#!/usr/bin/env python3
"""Prints the layout of a CPython version, as the tables beside this file have it: `offsetof` over its internal headers, by
its C compiler's word.

    src/cpython/layout/generate.py PYTHON > src/cpython/layout/X.Y.json     of an installed interpreter
    src/cpython/layout/generate.py --headers DIR [--define NAME]…           of headers alone

For a new version: extend FIELDS where a structure has changed (the compiler says what is missing), STYLES where a form
has, `words` in ../debug_offsets.rs, and `Layout::of` in ../layout.rs. Free-threaded and debug builds have layouts of
their own.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

LAST = 99
# group, field, structure, member, first and last minor version that have it under this name
FIELDS = [
    ("runtime", "interpreters_head", "_PyRuntimeState", "interpreters.head", 8, LAST),
    ("runtime", "gil", "_PyRuntimeState", "ceval.gil", 8, 11),
    ("interpreter", "id", "PyInterpreterState", "id", 8, LAST),
    ("interpreter", "next", "PyInterpreterState", "next", 8, LAST),
    ("interpreter", "threads_head", "PyInterpreterState", "tstate_head", 8, 10),
    ("interpreter", "threads_head", "PyInterpreterState", "threads.head", 11, LAST),
    ("interpreter", "modules", "PyInterpreterState", "modules", 8, 11),
    ("interpreter", "modules", "PyInterpreterState", "imports.modules", 12, LAST),
    ("interpreter", "gil", "PyInterpreterState", "ceval.gil", 12, LAST),
    ("thread", "next", "PyThreadState", "next", 8, LAST),
    ("thread", "interpreter", "PyThreadState", "interp", 8, LAST),
    ("thread", "thread_id", "PyThreadState", "thread_id", 8, LAST),
    ("thread", "native_thread_id", "PyThreadState", "native_thread_id", 11, LAST),
    ("thread", "cframe", "PyThreadState", "cframe", 11, 12),
    ("thread", "frame", "PyThreadState", "frame", 8, 10),
    ("thread", "frame", "_PyCFrame", "current_frame", 11, 12),
    ("thread", "frame", "PyThreadState", "current_frame", 13, LAST),
    ("thread", "state", "PyThreadState", "state", 13, LAST),
    ("gil", "interval", "struct _gil_runtime_state", "interval", 8, LAST),
    ("gil", "last_holder", "struct _gil_runtime_state", "last_holder", 8, LAST),
    ("gil", "locked", "struct _gil_runtime_state", "locked", 8, LAST),
    ("gil", "switch_number", "struct _gil_runtime_state", "switch_number", 8, LAST),
    ("pending", "calls", "PyInterpreterState", "ceval.pending.calls", 12, 13),
    ("pending", "call", "struct _pending_call", None, 12, 13),
    ("pending", "first", "PyInterpreterState", "ceval.pending.first", 12, 13),
    ("pending", "end", "PyInterpreterState", "ceval.pending.last", 12, 12),
    ("pending", "end", "PyInterpreterState", "ceval.pending.next", 13, 13),
    ("pending", "waiting", "PyInterpreterState", "ceval.pending.calls_to_do", 12, 12),
    ("pending", "waiting", "PyInterpreterState", "ceval.pending.npending", 13, 13),
    ("pending", "interpreter_breaker", "PyInterpreterState", "ceval.eval_breaker", 12, 12),
    ("pending", "thread_breaker", "PyThreadState", "eval_breaker", 13, 13),
    ("frame", "code", "PyFrameObject", "f_code", 8, 10),
    ("frame", "code", "struct _PyInterpreterFrame", "f_code", 11, 12),
    ("frame", "code", "struct _PyInterpreterFrame", "f_executable", 13, LAST),
    ("frame", "globals", "PyFrameObject", "f_globals", 8, 10),
    ("frame", "globals", "struct _PyInterpreterFrame", "f_globals", 11, LAST),
    ("frame", "previous", "PyFrameObject", "f_back", 8, 10),
    ("frame", "previous", "struct _PyInterpreterFrame", "previous", 11, LAST),
    ("frame", "slots", "PyFrameObject", "f_localsplus", 8, 10),
    ("frame", "slots", "struct _PyInterpreterFrame", "localsplus", 11, LAST),
    ("frame", "lasti", "PyFrameObject", "f_lasti", 8, 10),
    ("frame", "instruction", "struct _PyInterpreterFrame", "prev_instr", 11, 12),
    ("frame", "instruction", "struct _PyInterpreterFrame", "instr_ptr", 13, LAST),
    ("frame", "owner", "struct _PyInterpreterFrame", "owner", 11, LAST),
    ("frame", "stack_pointer", "PyFrameObject", "f_stacktop", 8, 9),
    ("frame", "stack_depth", "PyFrameObject", "f_stackdepth", 10, 10),
    ("frame", "value_stack", "PyFrameObject", "f_valuestack", 10, 10),
    ("frame", "stack_top", "struct _PyInterpreterFrame", "stacktop", 11, 13),
    ("frame", "stack_pointer", "struct _PyInterpreterFrame", "stackpointer", 14, LAST),
    ("code", "consts", "PyCodeObject", "co_consts", 8, LAST),
    ("code", "names", "PyCodeObject", "co_names", 8, LAST),
    ("code", "filename", "PyCodeObject", "co_filename", 8, LAST),
    ("code", "name", "PyCodeObject", "co_name", 8, LAST),
    ("code", "flags", "PyCodeObject", "co_flags", 8, LAST),
    ("code", "stacksize", "PyCodeObject", "co_stacksize", 8, LAST),
    ("code", "firstlineno", "PyCodeObject", "co_firstlineno", 8, LAST),
    ("code", "argcount", "PyCodeObject", "co_argcount", 8, LAST),
    ("code", "posonly", "PyCodeObject", "co_posonlyargcount", 8, LAST),
    ("code", "kwonly", "PyCodeObject", "co_kwonlyargcount", 8, LAST),
    ("code", "nlocals", "PyCodeObject", "co_nlocals", 8, LAST),
    ("code", "line_table", "PyCodeObject", "co_lnotab", 8, 9),
    ("code", "line_table", "PyCodeObject", "co_linetable", 10, LAST),
    ("code", "bytecode", "PyCodeObject", "co_code", 8, 10),
    ("code", "varnames", "PyCodeObject", "co_varnames", 8, 10),
    ("code", "cellvars", "PyCodeObject", "co_cellvars", 8, 10),
    ("code", "freevars", "PyCodeObject", "co_freevars", 8, 10),
    ("code", "adaptive", "PyCodeObject", "co_code_adaptive", 11, LAST),
    ("code", "localsplusnames", "PyCodeObject", "co_localsplusnames", 11, LAST),
    ("code", "ncells", "PyCodeObject", "co_ncellvars", 11, LAST),
    ("code", "nfrees", "PyCodeObject", "co_nfreevars", 11, LAST),
    ("code", "qualname", "PyCodeObject", "co_qualname", 11, LAST),
    ("code", "exception_table", "PyCodeObject", "co_exceptiontable", 11, LAST),
    ("object", "type", "PyObject", "ob_type", 8, LAST),
    ("object", "header", "PyObject", None, 8, LAST),
    ("object", "size", "PyVarObject", "ob_size", 8, LAST),
    ("type", "name", "PyTypeObject", "tp_name", 8, LAST),
    ("type", "flags", "PyTypeObject", "tp_flags", 8, LAST),
    ("type", "basicsize", "PyTypeObject", "tp_basicsize", 8, LAST),
    ("type", "dictoffset", "PyTypeObject", "tp_dictoffset", 8, LAST),
    ("type", "mro", "PyTypeObject", "tp_mro", 8, LAST),
    ("type", "dict", "PyTypeObject", "tp_dict", 8, LAST),
    ("type", "cached_keys", "PyHeapTypeObject", "ht_cached_keys", 8, LAST),
    ("tuple", "items", "PyTupleObject", "ob_item", 8, LAST),
    ("list", "items", "PyListObject", "ob_item", 8, LAST),
    ("set", "used", "PySetObject", "used", 8, LAST),
    ("set", "mask", "PySetObject", "mask", 8, LAST),
    ("set", "table", "PySetObject", "table", 8, LAST),
    ("bytes", "data", "PyBytesObject", "ob_sval", 8, LAST),
    ("text", "length", "PyASCIIObject", "length", 8, LAST),
    ("text", "state", "PyASCIIObject", "state", 8, LAST),
    ("text", "ascii", "PyASCIIObject", None, 8, LAST),
    ("text", "compact", "PyCompactUnicodeObject", None, 8, LAST),
    ("dict", "used", "PyDictObject", "ma_used", 8, LAST),
    ("dict", "keys", "PyDictObject", "ma_keys", 8, LAST),
    ("dict", "values", "PyDictObject", "ma_values", 8, LAST),
    ("int", "size", "PyVarObject", "ob_size", 8, 11),
    ("int", "size", "PyLongObject", "long_value.lv_tag", 12, LAST),
    ("int", "digits", "PyLongObject", "ob_digit", 8, 11),
    ("int", "digits", "PyLongObject", "long_value.ob_digit", 12, LAST),
    ("method", "function", "PyMethodObject", "im_func", 8, LAST),
    ("method", "receiver", "PyMethodObject", "im_self", 8, LAST),
    ("builtin", "definition", "PyCFunctionObject", "m_ml", 8, LAST),
    ("builtin", "receiver", "PyCFunctionObject", "m_self", 8, LAST),
    ("function", "code", "PyFunctionObject", "func_code", 8, LAST),
    ("function", "closure", "PyFunctionObject", "func_closure", 8, LAST),
    ("function", "globals", "PyFunctionObject", "func_globals", 8, LAST),
    ("generator", "frame", "PyGenObject", "gi_frame", 8, 10),
    ("generator", "frame", "PyGenObject", "gi_iframe", 11, LAST),
    ("generator", "state", "PyGenObject", "gi_frame_state", 11, LAST),
    ("generator", "qualname", "PyGenObject", "gi_qualname", 8, LAST),
]

# What no header says in a form that a compiler could answer, with the file of CPython that does.
def styles(minor, free_threaded):
    word, forms = 8, {"frame": {}, "dict": {}, "int": {}, "gil": {}, "generator": {}, "attributes": {}}
    # ceval.c: f_lasti counts bytes to 3.9, code units in 3.10.
    if minor <= 10:
        forms["frame"]["lasti_unit"] = 2 if minor == 10 else 1
    # pycore_stackref.h: references on the stack are tagged from 3.14 on.
    forms["frame"]["tag_bits"] = 3 if minor >= 14 else 0
    # pycore_dict.h: keys tables since 3.11; values behind a header of capacity, size and flags since 3.13.
    forms["dict"] = {"style": "hashed" if minor <= 10 else "compact", "split_values": word if minor >= 13 else 0}
    # pycore_long.h: sign and size share a word since 3.12.
    forms["int"]["tagged"] = minor >= 12
    if free_threaded:
        forms["gil"]["enabled"] = 0
    # pycore_ceval_state.h: NPENDINGCALLS, PENDINGCALLSARRAYSIZE.
    if minor in (12, 13):
        forms["pending"] = {"capacity": 32 if minor == 12 else 300}
    # pycore_frame.h: FRAME_CREATED; FRAME_SUSPENDED and, where it is told apart, FRAME_SUSPENDED_YIELD_FROM.
    if minor >= 11:
        created, suspended = {11: (-2, [-1]), 12: (-2, [-1]), 13: (-3, [-2, -1]), 14: (-3, [-2, -1])}.get(minor, (0, [1, 2]))
        forms["generator"] = {"created": created, "suspended": suspended}
    # pycore_object.h, typeobject.c: where instances keep their attributes.
    style = "dictionary" if minor <= 10 else {11: "values-pointer", 12: "tagged-pointer"}.get(minor, "inline-values")
    forms["attributes"]["style"] = style
    if minor >= 11:
        forms["attributes"]["dict"] = -word if free_threaded else -3 * word
    if minor == 11:
        forms["attributes"]["values"] = -4 * word
    return forms


HEADERS = """
#include <stddef.h>
#include <stdio.h>
#define Py_BUILD_CORE 1
#include "Python.h"
#include "frameobject.h"
#include "internal/pycore_pystate.h"
#if PY_MINOR_VERSION >= 9
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#endif
#if PY_MINOR_VERSION >= 11
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#endif
#if PY_MINOR_VERSION >= 14
#include "internal/pycore_interpframe_structs.h"
#endif
"""


def program():
    lines = [HEADERS, "int main(void) {", '    printf("%d %d\\n", PY_MINOR_VERSION,',
             "#ifdef Py_GIL_DISABLED", "        1", "#else", "        0", "#endif", "    );"]
    for group, field, structure, member, first, last in FIELDS:
        value = f"sizeof({structure})" if member is None else f"offsetof({structure}, {member})"
        lines += [f"#if PY_MINOR_VERSION >= {first} && PY_MINOR_VERSION <= {last}",
                  f'    printf("{group} {field} %zu\\n", {value});', "#endif"]
    return "\n".join(lines + ["    return 0;", "}"])


def compiled(compiler, directories, defines):
    with tempfile.TemporaryDirectory() as place:
        source, binary = os.path.join(place, "layout.c"), os.path.join(place, "layout")
        with open(source, "w") as file:
            file.write(program())
        words = [*compiler.split(), *(f"-I{directory}" for directory in directories), *(f"-D{name}" for name in defines)]
        subprocess.run([*words, source, "-o", binary], check=True)
        return subprocess.run([binary], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def layout(lines):
    minor, free_threaded = (int(word) for word in lines[0].split())
    groups = {}
    for line in lines[1:]:
        group, field, value = line.split()
        # With a GIL, who holds it says who runs.
        if (group, field) != ("thread", "state") or free_threaded:
            groups.setdefault(group, {})[field] = int(value)
    for group, forms in styles(minor, bool(free_threaded)).items():
        groups.setdefault(group, {}).update(forms)
    return groups


def asked(python):
    """Where an interpreter's headers are, and what its builds define for all that include them."""
    question = ("import json, sysconfig; paths = sysconfig.get_paths(); "
                "print(json.dumps([paths['include'], paths['platinclude'], "
                "['Py_GIL_DISABLED=1'] if sysconfig.get_config_var('Py_GIL_DISABLED') else []]))")
    include, platform, defines = json.loads(subprocess.run([python, "-c", question], check=True, stdout=subprocess.PIPE).stdout)
    return list(dict.fromkeys([include, os.path.join(include, "internal"), platform])), defines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", nargs="?", help="an installed interpreter that has its internal headers")
    parser.add_argument("--headers", action="append", default=[], help="a directory to include from")
    parser.add_argument("--define", action="append", default=[])
    parser.add_argument("--compiler", default=os.environ.get("CC", "cc"))
    options = parser.parse_args()
    if not options.python and not options.headers:
        parser.error("an interpreter or --headers")
    directories, defines = asked(options.python) if options.python else ([], [])
    lines = compiled(options.compiler, options.headers + directories, options.define + defines)
    json.dump(layout(lines), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
