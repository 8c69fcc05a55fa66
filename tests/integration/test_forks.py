"""Processes forked from one that has predicted, as gunicorn's workers and multiprocessing's are, predict as well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.jpg"
LIMIT = 100

# Two threads in the parent: with one nothing could go wrong. The alarm ends a child that waits for ever.
CODE = f"""
import multiprocessing, os, signal, threading
import torch
import nbf

torch.set_num_threads(2)
predictor = nbf.load()
box = [[430, 190, 640, 900]]
predict = lambda: predictor.predict({str(DEMO)!r}, boxes=box)[0].vertices
mine = predict()

def same(_):
    signal.alarm({LIMIT // 4})
    return float((predict() - mine).abs().max()) < 1e-3

def forked():
    child = os.fork()
    if child == 0:
        os._exit(0 if same(None) else 9)
    return os.waitpid(child, 0)[1]

assert forked() == 0, "a forked child did not predict"

stop = threading.Event()
def others():
    while not stop.is_set():
        predict()
thread = threading.Thread(target=others)
thread.start()
ended = forked()
stop.set()
thread.join()
assert ended == 0, "a child did not predict that was forked while another thread did"

pool = multiprocessing.get_context("fork").Pool(2)
assert pool.map_async(same, range(2)).get({LIMIT // 4}) == [True] * 2
pool.terminate()
assert torch.get_num_threads() == 2
assert same(None)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_predict() -> None:
    # Threads that spin while they wait would have the cores that other tests need.
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=LIMIT, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
