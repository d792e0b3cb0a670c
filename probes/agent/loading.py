# Loads racetrace's agent into the interpreter that runs this, as the first part of a script that says when. It has to run
# on every Python there is (where there is nothing to watch, it says so in a note), imports nothing that is not there
# anyway, and never fails.
import sys


def _note(session, text):
    import os

    try:
        path = os.path.join(session, "notes", "%d.txt" % os.getpid())
        with open(path, "a") as note:
            note.write(text.replace("\n", " ") + "\n")
    except Exception:
        pass


def _named(directories):
    found = []
    for entry in sys.path:
        if isinstance(entry, str) and entry.rstrip("/").rsplit("/", 1)[-1] in directories and entry not in found:
            found.append(entry)
    return tuple(found)


def _start(session, *joined):
    implementation = getattr(sys, "implementation", None)
    name = getattr(implementation, "name", "python")
    version = "%d.%d.%d" % tuple(sys.version_info[:3])
    if name != "cpython" or not (3, 11) <= tuple(sys.version_info[:2]) <= (3, 15):
        _note(session, "unsupported: %s %s" % (name, version))
        return
    import os

    try:
        import _imp
        from _frozen_importlib import ModuleSpec

        spec = ModuleSpec("racetrace_agent", None, origin=session + "/racetrace_agent.so")
        agent = _imp.create_dynamic(spec)
        _imp.exec_dynamic(agent)
        standard = [os.path.dirname(os.__file__)] if getattr(os, "__file__", None) else []
        standard += [entry for entry in sys.path if isinstance(entry, str) and entry.endswith((".zip", "/lib-dynload"))]
        why_not = agent.start(session, _named(("site-packages", "dist-packages")), tuple(standard), *joined)
        if why_not:
            _note(session, "failed: %s %s: %s" % (name, version, why_not))
    except Exception as error:
        _note(session, "failed: %s %s: %s: %s" % (name, version, type(error).__name__, error))
