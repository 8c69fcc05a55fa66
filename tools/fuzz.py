"""Feed damaged files to everything that reads files, and count what comes of it: clean errors, or worse.

    python tools/fuzz.py --inputs 10000 --seed 0

Valid files of each kind are changed (`tests/mutated.py`), read, and used as far as they are accepted
(`tests/readers.py`), in a process of its own that may take 2 GB more than it has when it starts. Exits with 1 where an
input gave anything but a result that can be used, or an error of `nbf.errors`.
"""

import argparse
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
MEMORY = 2 << 30
SECONDS = 20.0
START_SECONDS = 120.0
"""For a process to import everything, on a busy machine."""
VERDICTS = ("clean", "clean error", "other", "crash", "hang", "memory")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="this one alone; may be given again")
    parser.add_argument("--work", nargs=3, metavar=("READER", "FIRST", "STOP"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    sys.path.append(str(ROOT / "tests"))
    if given.work:
        work(given.work[0], range(int(given.work[1]), int(given.work[2])))
        return 0
    from readers import READERS

    names = given.reader or list(READERS)
    counts: dict[str, Counter[str]] = {}
    for index, name in enumerate(names):
        share = range(given.inputs * index // len(names), given.inputs * (index + 1) // len(names))
        first = 1_000_000 * given.seed
        counts[name] = Counter()
        for seed, verdict, why in watched(name, range(first, first + len(share))):
            counts[name][verdict] += 1
            if verdict not in VERDICTS[:2]:
                print(f"{name}, {seed}: {verdict}: {why}", file=sys.stderr, flush=True)
        print(row(name, counts[name]), file=sys.stderr, flush=True)
    total = sum(counts.values(), Counter())
    print(
        "\n".join([row("reader", {verdict: verdict for verdict in VERDICTS})] + [row(*item) for item in counts.items()])
    )
    print(row("all", total))
    return 1 if any(total[verdict] for verdict in VERDICTS[2:]) else 0


def row(name: str, cells: "Counter[str] | dict[str, str]") -> str:
    """A line of the table."""
    return f"{name:28}" + "".join(f"{cells[verdict]:>13}" for verdict in VERDICTS)


def work(name: str, seeds: range) -> None:
    """Read one file after the other, and say of each that it begins and what came of it."""
    import warnings

    from readers import verdict, write

    warnings.simplefilter("ignore")
    with TemporaryDirectory() as folder:
        write(name, Path(folder), None)
        found, why = verdict(name, Path(folder))
        if found != "clean":
            raise SystemExit(f"{name}: the valid files were not read: {why}")
    _limit_memory()
    print("ready", flush=True)
    for seed in seeds:
        with TemporaryDirectory() as folder:
            write(name, Path(folder), seed)
            print(f"begin {seed}", flush=True)
            found, why = verdict(name, Path(folder))
            print(
                f"end {found}\t{why[:300].encode('ascii', 'backslashreplace').decode().splitlines() or ['']}",
                flush=True,
            )


def _limit_memory() -> None:
    if sys.platform.startswith("linux"):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))


def watched(name: str, seeds: range) -> Iterator[tuple[int, str, str]]:
    """Seed, verdict and reason of each input, from processes that are started anew when one has died or hangs."""
    done = seeds.start
    while done < seeds.stop:
        command = [sys.executable, __file__, "--work", name, str(done), str(seeds.stop)]
        for seed, verdict, why in conversation(command):
            yield seed, verdict, why
            done = seed + 1


def conversation(command: list[str], seconds: float = SECONDS) -> Iterator[tuple[int, str, str]]:
    """What a process that runs `work` says, and what it says by dying or by being silent.

    Raises RuntimeError where it dies before its first input.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: Queue[str | None] = Queue()
        errors: list[str] = []
        threads = [
            threading.Thread(target=lambda: ([lines.put(line) for line in process.stdout or ()], lines.put(None))),
            threading.Thread(target=lambda: errors.extend(process.stderr or ())),
        ]
        for thread in threads:
            thread.start()
        seed, wait = None, START_SECONDS
        try:
            while True:
                try:
                    line = lines.get(timeout=wait)
                except Empty:
                    if seed is None:
                        raise RuntimeError(f"nothing was read for {wait:g} s") from None
                    yield seed, "hang", f"over {wait:g} s"
                    return
                wait = seconds
                if line is None:
                    if process.wait() != 0 and seed is None:
                        raise RuntimeError("".join(errors)[-2000:] or f"died with {process.returncode}")
                    if seed is not None:
                        yield seed, "crash", f"exit code {process.returncode} {''.join(errors)[-200:]!r}"
                    return
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "begin":
                    seed = int(rest)
                elif word == "end" and seed is not None:
                    verdict, _, why = rest.partition("\t")
                    yield seed, verdict, why
                    seed = None
        finally:
            process.kill()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
