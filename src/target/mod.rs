//! Another process as the kernel sees it: memory, threads, maps, ELF, permissions. Knows nothing of Python.
