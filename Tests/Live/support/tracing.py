"""The server under strace."""

import shutil
import subprocess

import pytest

from support.server import wrapped


def traced(folder, *options):
    """A program in the server's place that writes what `options` of strace pick to `folder`/trace."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "-o", folder / "probe", "true"], check=False).returncode != 0:
        pytest.skip("strace is not installed, or may not trace")
    return wrapped(folder / "traced", f"exec {strace} -D -f -qq -o {folder}/trace {' '.join(options)}")
