"""What pip's messages mean to someone who never met pip. Imports: standard library only."""

from __future__ import annotations

import re

_PIN = re.compile(r"The user requested \(constraint\) ([\w.-]+==\S+)")
_ASKED = re.compile(r"No matching distribution found for ([\w.-]+)")
_NETWORK = (
    "NewConnectionError",
    "Failed to establish a new connection",
    "Max retries exceeded",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Read timed out",
    "Network is unreachable",
    "ProxyError",
    "ConnectionResetError",
    "Connection aborted",
    "IncompleteRead",
)
_COMPILER = (
    "Microsoft Visual C++",
    "command 'gcc' failed",
    "command 'cc' failed",
    "unable to execute",
    "error: subprocess-exited-with-error",
)
_IN_USE = ("WinError 5", "WinError 32", "Access is denied", "being used by another process")
# What pip says of a file that may not be written, and what tells that from one that a running program holds open.
_DENIED = ("WinError 5]", "Access is denied", "Permission denied", "Read-only file system")
_RIGHTS = ("Program Files", "Read-only file system")
_HINTS = ("--user", "check the permissions")
_AGAIN = "Then start the set-up again: it goes on where it stopped."


def explain_pip_failure(title: str, log: str, offline: bool = False) -> str:
    """One paragraph: what could not be installed, why as far as pip told, and what to do.

    Args:
        title: what the step installs.
        log: what pip wrote, its `--log` file or its output.
        offline: whether pip was confined to an offline folder.
    """
    return f"Could not install {title}: {_cause(log, offline)}"


def _cause(log: str, offline: bool) -> str:
    pins = sorted(set(_PIN.findall(log)))
    asked = _ASKED.findall(log)
    network = any(sign in log for sign in _NETWORK)
    if "No space left on device" in log or "WinError 112" in log:
        return f"the disk is full. Free some GB. {_AGAIN}"
    if "CERTIFICATE_VERIFY_FAILED" in log:
        return f"the package index's certificate was refused. Behind a company proxy, set PIP_CERT to its certificate file. {_AGAIN}"
    if "WinError 225" in log or "contains a virus" in log:
        return f"this computer's virus scanner refused a file. Have Slicer's folder exempted from it, or use an offline folder. {_AGAIN}"
    if "Long Path support" in log or "WinError 206" in log or "path too long" in log.lower():
        return (
            "a file's path is longer than Windows allows. Install Slicer in a folder with a short path, such as C:\\Slicer, or have an "
            f"administrator switch long paths on (LongPathsEnabled). {_AGAIN}"
        )
    refused = next((code for code in ("407", "403") if f"{code} Prox" in log or f"{code} Forbidden" in log), None)
    if refused is not None or "Cannot connect to proxy" in log:
        return (
            f"the network's proxy refused the connection{'' if refused is None else f' ({refused})'}. Set HTTPS_PROXY to "
            f"http://NAME:PASSWORD@HOST:PORT, ask who runs the proxy, or choose an offline folder. {_AGAIN}"
        )
    if any(sign in log for sign in _DENIED) and any(sign in log for sign in _RIGHTS):
        return (
            "Slicer's folder may not be written: that takes an administrator. Install Slicer in a folder of your own, or have an "
            "administrator run the set-up."
        )
    if any(sign in log for sign in _DENIED) and any(sign in log for sign in _HINTS):  # pip gives its hint for both
        return (
            f"a file may not be written. It is in use: Restart Slicer and open no other module. {_AGAIN} If that does not help, Slicer's "
            "folder takes an administrator: install Slicer in a folder of your own, or have an administrator run the set-up."
        )
    if any(sign in log for sign in _IN_USE):
        return f"a file is in use by this Slicer. Restart Slicer and open no other module. {_AGAIN}"
    if "Permission denied" in log or "Read-only file system" in log:
        return "Slicer's folder may not be written. Install Slicer where you may write, or have an administrator run the set-up."
    if pins and ("ResolutionImpossible" in log or "conflict" in log):
        return (
            f"it does not go together with packages that are installed ({', '.join(pins)}), which the set-up never replaces. "
            "Nothing was changed. Use a newer Slicer, or ask on the forum with this text."
        )
    if network and not offline:
        return f"no network, or the package index did not answer. Check the connection, or choose an offline folder. {_AGAIN}"
    if asked and offline:
        return (
            f"the offline folder holds no {asked[-1]} that fits this Python and system. "
            "Make it anew with 'sam2annotate offline-folder' on a computer of the same system, for this version of Python."
        )
    if asked:
        return f"there is no {asked[-1]} for this system and Python. SAM 2 needs a 64-bit Linux, Windows or Apple silicon Mac."
    if any(sign in log for sign in _COMPILER):
        return "a package would have to be compiled, which Slicer cannot do. Use an offline folder, or report this with the log."
    return "see pip's message in the log. Start the set-up again; if it fails the same way, report it with the log."
