"""Prints how one CPython specialises its bytecode: `python3.X generate.py > 3.X.json`.

`base` maps each specialised or instrumented opcode to the one the compiler wrote; `caches` gives the number of
inline cache units after each opcode that has any. Before 3.11 there is neither.
"""
import json
import opcode
import sys

version = sys.version_info[:2]
base, caches = {}, {}
if version >= (3, 13):
    import _opcode_metadata as metadata

    for family, members in metadata._specializations.items():
        for member in members:
            base[metadata._specialized_opmap[member]] = opcode.opmap[family]
    for name, count in opcode._inline_cache_entries.items():
        if name in opcode.opmap and count:
            caches[opcode.opmap[name]] = count
elif version >= (3, 11):
    import dis

    for member, family in dis.deoptmap.items():
        base[dis._all_opmap[member]] = dis._all_opmap[family]
    for code, count in enumerate(opcode._inline_cache_entries[:256]):
        if count and code not in base:
            caches[code] = count
if version >= (3, 12):
    for name, code in opcode.opmap.items():
        plain = name[len("INSTRUMENTED_"):]
        if name.startswith("INSTRUMENTED_") and plain in opcode.opmap:
            base[code] = opcode.opmap[plain]
pairs = lambda table: [[k, v] for k, v in sorted(table.items()) if k < 256]
print(json.dumps({"base": pairs(base), "caches": pairs(caches)}))
