"""Makes this process lack what macOS lacks, for code that is loaded afterwards: names, files below /proc, mallopt."""

import ctypes
import importlib.abc
import os
import platform
import select
import signal
import socket
import sys
import tempfile

# What Python's documentation says is not on macOS, of the modules that any part may use
LACKING = {
    os: (
        "sched_getaffinity sched_setaffinity memfd_create pidfd_open posix_fadvise posix_fallocate copy_file_range "
        "splice eventfd getresuid getresgid setresuid setresgid getrandom fdatasync pipe2 getxattr setxattr listxattr "
        "removexattr O_TMPFILE O_DIRECT O_PATH O_LARGEFILE O_NOATIME O_RSYNC RWF_NOWAIT sched_setscheduler"
    ),
    signal: "SIGRTMIN SIGRTMAX SIGSTKFLT SIGPWR SIGPOLL sigtimedwait sigwaitinfo pidfd_send_signal",
    socket: "AF_NETLINK AF_PACKET AF_VSOCK SO_PEERCRED SO_BINDTODEVICE TCP_USER_TIMEOUT SOCK_CLOEXEC SOCK_NONBLOCK",
    select: "epoll EPOLLIN",
}
OURS = ("trainers.", "sweeper.", "analysis.")


class _Lacking:
    """A module of Python's without some names."""

    def __init__(self, module, names: str) -> None:
        self._module, self._names = module, set(names.split())

    def __getattr__(self, name: str):
        if name in self._names:
            raise AttributeError(f"macOS has no {self._module.__name__}.{name}", name=name, obj=self)
        return getattr(self._module, name)


class _Libc:
    """A C library without the calls of glibc."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __getattr__(self, name: str):
        if name in ("mallopt", "malloc_trim", "prctl", "gettid", "syscall"):
            raise AttributeError(name)
        return getattr(self._library, name)


class _Loading(importlib.abc.MetaPathFinder):
    """Gives our modules, and no others, the modules of Python that lack names: those need what this system has."""

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(OURS):
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := getattr(finder, "find_spec", lambda *_: None)(name, path, target)):
                spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    def __init__(self, loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        usual = {each.__name__: sys.modules[each.__name__] for each in LACKING}
        self._loader.exec_module(module)
        for name, value in vars(module).items():
            for each, names in LACKING.items():
                if value is usual[each.__name__]:
                    setattr(module, name, _Lacking(each, names))
                elif name in names.split() and value is getattr(each, name, None):
                    raise ImportError(f"{module.__name__} imports {name}, which macOS lacks")
            if value is ctypes:
                setattr(module, name, _Ctypes())


class _Ctypes:
    def __getattr__(self, name: str):
        return (lambda path: _Libc(ctypes.CDLL(path))) if name == "CDLL" else getattr(ctypes, name)


def become_macos() -> None:
    """Do it, for modules of ours that are not loaded yet."""
    assert not any(name.startswith(OURS) for name in sys.modules)
    tempfile._O_TMPFILE_WORKS = False
    platform.system, platform.release = lambda: "Darwin", lambda: "24.6.0"
    platform.mac_ver = lambda *_: ("15.6", ("", "", ""), "arm64")
    platform.machine, platform.processor = lambda: "arm64", lambda: "arm"
    sys.meta_path.insert(0, _Loading())

    def absent(event: str, arguments: tuple) -> None:
        if event == "open" and str(arguments[0]).startswith("/proc/"):
            frame = sys._getframe()
            while frame is not None:
                if str(frame.f_globals.get("__name__")).startswith(OURS):
                    raise FileNotFoundError(2, "No such file or directory", arguments[0])
                frame = frame.f_back if str(frame.f_globals.get("__name__")) in ("pathlib", __name__) else None

    sys.addaudithook(absent)
