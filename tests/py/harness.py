"""What the Python test scripts share: places, the tool under test, pass and fail counting."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("ONNX_INFER_CACHE", ROOT / ".cache"))
SKIPPED = 77


def tool():
    """Path of onnx-infer: ONNX_INFER_TOOL, else a build folder of this tree, else PATH; exits as skipped if none."""
    named = os.environ.get("ONNX_INFER_TOOL")
    if named:
        return named
    for build in ("_build", "build", "."):
        for place in ("tools", "."):
            path = ROOT / build / place / "onnx-infer"
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    found = shutil.which("onnx-infer")
    if found:
        return found
    skip("no onnx-infer found: build it, or name it in ONNX_INFER_TOOL")


def skip(reason):
    """Ends the script as skipped."""
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


class Result:
    """How a run of the tool ended."""

    def __init__(self, code, out, err, timed_out=False):
        self.code, self.out, self.err, self.timed_out = code, out, err, timed_out

    @property
    def crashed(self):
        """Ended by a signal, or by a shell that reports one."""
        return self.code < 0 or self.code >= 128

    def why(self):
        """One line that says why it failed."""
        if self.timed_out:
            return "timed out"
        lines = [line for line in self.err.splitlines() if line.strip()]
        if self.crashed:
            return f"ended by signal {-self.code if self.code < 0 else self.code - 128}"
        return lines[-1].strip() if lines else f"exit code {self.code} and nothing on stderr"


def run_tool(*args, timeout=600, env=None):
    """Runs onnx-infer and returns a Result; a timeout kills it."""
    command = [tool(), *map(str, args)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, env=env and {**os.environ, **env})
    except subprocess.TimeoutExpired as over:
        return Result(1, text(over.stdout), text(over.stderr), timed_out=True)
    return Result(done.returncode, text(done.stdout), text(done.stderr))


def text(data):
    return (data or b"").decode("utf-8", "replace")


def progress(line):
    """Shows where a long run is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line}" if line else "\r\033[K")
        sys.stderr.flush()


class Score:
    """Counts passes and failures; end() prints the last line and gives the exit status."""

    def __init__(self):
        self.passed = self.failed = 0

    def add(self, ok, line):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
        progress("")
        print(f"{'pass' if ok else 'FAIL'} {line}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
