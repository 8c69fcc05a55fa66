"""Feed damaged files to everything that reads files, and count what comes of it: clean errors, or worse.

    python tools/fuzz.py --inputs 10000 --seed 0

Valid files of each kind are changed (`tests/mutated.py`), read, and used as far as they are accepted
(`tests/readers.py`), in a process of its own that may take 2 GB more than it has when it starts. Exits with 1 where an
input gave anything but a result that can be used, or an error of `nbf.errors`.
"""

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, groupby, islice
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from threading import Thread

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
    parser.add_argument("--work", type=int, metavar="FIRST", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    sys.path.append(str(ROOT / "tests"))
    from readers import READERS

    names = given.reader or list(READERS)
    todo = [(name, given.seed + index // len(names)) for index, name in enumerate(islice(cycle(names), given.inputs))]
    if given.work is not None:
        work(sorted(todo)[given.work :])
        return 0
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    again = [sys.executable, __file__, "--inputs", str(given.inputs), "--seed", str(given.seed)]
    again += [word for name in given.reader or () for word in ("--reader", name)]
    done, todo = 0, sorted(todo)
    # A process that has died, or that hangs, is followed by another that goes on after it.
    while done < len(todo):
        for verdict, why in watched([*again, "--work", str(done)]):
            (name, seed), done = todo[done], done + 1
            counts[name][verdict] += 1
            if verdict not in VERDICTS[:2]:
                print(f"{name}, seed {seed}: {verdict}: {why}", file=sys.stderr, flush=True)
            if done == len(todo) or todo[done][0] != name:
                print(row(name, counts[name]), file=sys.stderr, flush=True)
    total = sum(counts.values(), Counter())
    table = [row("reader", {verdict: verdict for verdict in VERDICTS})]
    print("\n".join(table + [row(*item) for item in counts.items()] + [row("all", total)]))
    return 1 if any(total[verdict] for verdict in VERDICTS[2:]) else 0


def row(name: str, cells: "Counter[str] | dict[str, str]") -> str:
    """A line of the table."""
    return f"{name:28}" + "".join(f"{cells[verdict]:>13}" for verdict in VERDICTS)


def work(todo: Sequence[tuple[str, int]]) -> None:
    """Read one file after the other, and say of each that it begins and what came of it."""
    import warnings

    from readers import verdict, write

    warnings.simplefilter("ignore")
    for name, some in groupby(todo, key=lambda item: item[0]):
        _limit_memory(None)
        with TemporaryDirectory() as folder:
            write(name, Path(folder), None)
            found, why = verdict(name, Path(folder))
        if found != "clean":
            raise SystemExit(f"{name}: the valid files were not read: {why}")
        # Whatever is allocated once only, at the first use, is not a file's.
        _limit_memory(MEMORY)
        for _, seed in some:
            with TemporaryDirectory() as folder:
                write(name, Path(folder), seed)
                print("begin", flush=True)
                found, why = verdict(name, Path(folder))
                print(f"end {found}\t{why[:300]!a}", flush=True)


def _limit_memory(more: int | None) -> None:
    if sys.platform.startswith("linux"):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        soft = resource.RLIM_INFINITY if more is None else taken + more
        resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


def watched(command: Sequence[str], seconds: float = SECONDS) -> Iterator[tuple[str, str]]:
    """Verdict and reason of each input that a process with `work` reads; the last, where it dies or is silent, is crash
    or hang.

    Raises RuntimeError where it comes to its end between inputs, and not to a good one.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        lines: Queue[str | None] = Queue()
        errors: list[str] = []

        def listen() -> None:
            for line in process.stdout or ():
                lines.put(line)
            lines.put(None)

        threads = [Thread(target=listen), Thread(target=lambda: errors.extend(process.stderr or ()))]
        for thread in threads:
            thread.start()
        reading = False
        try:
            while True:
                try:
                    line = lines.get(timeout=seconds if reading else START_SECONDS)
                except Empty:
                    if not reading:
                        raise RuntimeError(f"no input was begun for {START_SECONDS:g} s") from None
                    yield "hang", f"over {seconds:g} s"
                    return
                if line is None:
                    if reading:
                        yield "crash", f"exit code {process.wait()}, {''.join(errors)[-300:]!a}"
                    elif process.wait() != 0:
                        raise RuntimeError("".join(errors)[-2000:] or f"exit code {process.returncode}")
                    return
                word, _, rest = line.rstrip("\n").partition(" ")
                reading = word == "begin"
                if word == "end":
                    verdict, _, why = rest.partition("\t")
                    yield verdict, why
        finally:
            process.kill()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
