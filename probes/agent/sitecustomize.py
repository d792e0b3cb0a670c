# Start-up hook: the first thing that an interpreter of a session imports. It gives way to the user's own sitecustomize, and
# leaves no other trace in the interpreter.
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
