# Start-up hook of racetrace: the first thing that an interpreter of a session imports. It loads the agent, gives way to
# the user's own sitecustomize, and leaves no other trace in the interpreter. It has to run on every Python there is
# (where there is nothing to watch, it says so in a note), imports nothing that is not there anyway, and never fails.
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


def _start(session):
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
        agent.start(session, _named(("site-packages", "dist-packages")), tuple(standard))
    except Exception as error:
        _note(session, "failed: %s %s: %s: %s" % (name, version, type(error).__name__, error))


def _give_way(hook):
    kept = [entry for entry in sys.path if entry != hook]
    if len(kept) != len(sys.path):
        sys.path[:] = kept
    getattr(sys, "path_importer_cache", {}).pop(hook, None)
    sys.modules.pop(__name__, None)


def _main():
    import os

    hook = os.path.dirname(os.path.abspath(__file__))
    session = os.environ.get("RACETRACE_SESSION")
    if session:
        _start(session)
    _give_way(hook)


try:
    _main()
except Exception:
    sys.modules.pop(__name__, None)

# The user's module takes this one's place in sys.modules. Where there is none, this is the error that the interpreter
# gets, and overlooks, when no sitecustomize exists.
import sitecustomize  # noqa: E402,F401
