"""Write the lower, generated part of requirements.txt and requirements-dev.txt: everything the named packages bring.

The upper parts are written by hand. `uv pip compile` resolves them together; versions already pinned stay where they can,
`make lock ARGS=--upgrade` takes the newest.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".venv/bin/uv"
MARK = "# --- everything below is written by `make lock` " + "-" * 70


def upper(text: str) -> str:
    return text.split(MARK)[0].rstrip() + "\n"


def names(text: str) -> set[str]:
    return {found.lower() for found in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", text, re.MULTILINE)}


def compiled(sources: list[str], pins: str) -> list[str]:
    """Lines `name==version` for the hand-written texts, preferring versions in `pins`."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "in.txt", Path(folder) / "out.txt"
        given.write_text("\n".join(line for text in sources for line in text.splitlines() if not line.startswith("-r")))
        out.write_text(pins)
        options = "pip compile -q --python-version 3.11 --no-header --no-annotate".split()
        subprocess.run([UV, *options, given, "-o", out, *sys.argv[1:]], check=True)
        return [line for line in out.read_text().splitlines() if "==" in line]


def rewrite(path: Path, lines: list[str], known: set[str]) -> None:
    own = upper(path.read_text())
    rest = [line for line in lines if not names(line) <= known | names(own)]
    path.write_text(f"{own}\n{MARK}\n" + "\n".join(rest) + "\n")
    print(f"{path.name}: {len(rest)} packages pinned below {len(names(own))} named ones")


def main() -> None:
    if not UV.exists():
        raise SystemExit("make lock needs uv, which could not be installed from PyPI.")
    runtime, dev = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
    old = [path.read_text() for path in (runtime, dev)]
    pins = "\n".join(line for text in old for line in text.splitlines() if "==" in line)
    rewrite(runtime, compiled([upper(old[0])], pins), set())
    everything = compiled([upper(old[0]), upper(old[1])], pins)
    rewrite(dev, everything, names(runtime.read_text()))


if __name__ == "__main__":
    main()
