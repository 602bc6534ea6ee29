#!/usr/bin/env python3
"""Kill a process at every system call of eg_file_write_atomic, and fail every one of them. Needs strace and cc.

usage: kill_points.py BUILD_DIR

After each kill the file must be wholly old or wholly new; after each failed call it must be wholly old, no temporary
may be left, and the message must name the file, the reason and what is kept. (A failed sync of the folder comes after
the rename: there the file is new and the message says so.)
"""
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = r"""
#include "base/base.h"
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    static char text[300000];
    memset(text, 'n', sizeof text);
    eg_part parts[3] = {{text, 100000}, {text, 100000}, {text, 100000}};
    eg_error err = {0};
    eg_status status = eg_file_write_atomic(argv[argc - 1], parts, 3, &err);
    if (status != EG_OK) fprintf(stderr, "%s\n", err.text);
    return eg_status_exit_code(status);
}
"""
OLD, NEW = b"o" * 4096, b"n" * 300000
FAILURES = {"openat": "EMFILE", "fallocate": "ENOSPC", "write": "ENOSPC", "fsync": "EIO", "rename": "EDQUOT"}


def run(program, target, what):
    target.write_bytes(OLD)
    for extra in target.parent.glob(".*"):
        extra.unlink()
    trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=" + what.split(":")[0], "-e", "inject=" + what]
    return subprocess.run(trace + [program, str(target)], capture_output=True, text=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = pathlib.Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as scratch:
        source, program = pathlib.Path(scratch, "write.c"), scratch + "/write"
        source.write_text(PROGRAM)
        subprocess.run(["cc", "-D_GNU_SOURCE", f"-I{root}/include", f"-I{root}/src", "-o", program, str(source),
                        f"{sys.argv[1]}/libroom_base.a", "-lcrypto", "-lgomp", "-lm"], check=True)
        folder = pathlib.Path(scratch, "folder")
        folder.mkdir()
        target = folder / "target"
        n_killed = n_failed = 0
        bad = []
        for call in ("openat", "fallocate", "write", "fsync", "close", "rename", "exit_group"):
            for n in range(1, 60):
                done = run(program, target, f"{call}:signal=KILL:when={n}")
                content = target.read_bytes()
                if content not in (OLD, NEW):
                    bad.append(f"killed at {call} {n}: {len(content)} bytes, neither old nor new")
                if done.returncode == 0:
                    break  # no n-th call of this kind any more
                n_killed += 1
        for call, error in FAILURES.items():
            for n in range(1, 60):
                done = run(program, target, f"{call}:error={error}:when={n}")
                content, left = target.read_bytes(), [p for p in folder.iterdir() if p != target]
                if done.returncode == 0:
                    if call == "openat" and n < 20:
                        continue  # the loader shrugs off some of its own
                    if content != NEW or n == 1:
                        bad.append(f"{call} {n} failed and nobody noticed")
                    break
                if "target: " not in done.stderr:
                    continue  # the loader could not even start the program
                n_failed += 1
                after_rename = "folder could not be synced" in done.stderr
                if done.returncode != 5 or content != (NEW if after_rename else OLD) or left:
                    bad.append(f"{call} {n} {error}: exit {done.returncode}, {len(content)} bytes, left {left}")
                if not after_rename and "the previous file is unchanged" not in done.stderr:
                    bad.append(f"{call} {n}: {done.stderr.strip()}")
                print(f"{call} {n} {error}: {done.stderr.strip().replace(str(folder), '...')}")
        print(f"{n_killed} kills, {n_failed} failed calls, {len(bad)} bad")
        print("\n".join(bad))
        sys.exit(1 if bad or n_killed < 10 or n_failed < 5 else 0)


if __name__ == "__main__":
    main()
