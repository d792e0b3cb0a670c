# Run once by an interpreter that was asked to while it runs its program, in a namespace of its own: by whichever of its
# threads comes to it first. Takes no lock: the thread may hold any.
def _threads():
    threading = sys.modules.get("threading")
    if threading is None:
        return ()
    known = list(threading._active.values()) + list(threading._limbo.values())
    found = []
    for thread in known:
        if hasattr(thread, "_tstate_lock"):
            # Up to 3.12: the lock that is held as long as the thread is there.
            identity, handle = thread._ident, thread._tstate_lock
        else:
            handle = thread._os_thread_handle if hasattr(thread, "_os_thread_handle") else thread._handle
            identity = handle.ident
        if isinstance(identity, int) and handle is not None:
            found.append((identity, str(thread._name), handle))
    return tuple(found)


def _is_watched():
    return any(sys.monitoring.get_tool(number) == "racetrace" for number in range(6))


def _join(session):
    import os

    try:
        # Whoever asked may be gone, or another thread may have been here.
        os.kill(_TOOL, 0)
        os.close(os.open(os.path.join(session, "joined"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        return
    if _is_watched():
        _note(session, "joined: it is watched by another racetrace, or has not noticed yet that the last one ended; try again in a moment")
    else:
        _start(session, _threads(), _TOOL)


try:
    _join(_SESSION)
except Exception:
    pass
