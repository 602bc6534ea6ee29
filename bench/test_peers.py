#!/usr/bin/env python3
"""The arithmetic of bench/peers.py without any peer: which side of a ratio is better, what counts as passed, how rows
measured later join those measured before. Two fakes stand in for the programs; no torch is needed."""
import json
import os
import stat
import sys
import tempfile
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

VERSIONS = {"torch": "1", "torchvision": "2", "onnxruntime": "3"}
NET = """#!/bin/sh
[ "$#" -eq 4 ] || [ "$5" = "{word}" ] || exit 2
echo '{{"seconds": [2.0, 4.0, 3.0], "peak_bytes": 1000000}}'
"""


class FakePeer:
    """Warms up in the time its configuration says, then always takes 8 s a step."""
    opened = []

    def __init__(self, name=""):
        self.name, self.samples, self.closed = name, [], False
        FakePeer.opened.append(self)

    def ask(self, **request):
        if request.get("compiled"):
            raise peers.Failed("no compiler")
        self.slow = request.get("dtype") == "bf16"
        return {}

    def run(self, n):
        return {"seconds": [16.0 if self.slow else 8.0] * n, "peak_bytes": 4000000}

    def close(self):
        self.closed = True


def row(name):
    return next(r for r in peers.ROWS if r["row"] == name)


class Test(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.real, peers.Peer, peers.say = (peers.Peer, peers.say), FakePeer, lambda text: None
        FakePeer.opened = []

    def tearDown(self):
        peers.Peer, peers.say = self.real
        self.folder.cleanup()

    def arguments(self, word="none"):
        path = os.path.join(self.folder.name, "net")
        with open(path, "w") as f:
            f.write(NET.format(word=word))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return types.SimpleNamespace(bench_net=path, rounds=5, work=self.folder.name)

    def test_speed(self):
        e = peers.measure(row("resnet50-train-f32"), self.arguments(), VERSIONS)
        self.assertAlmostEqual(e["ours"], 16 / 3)
        self.assertAlmostEqual(e["peer"], 2)
        self.assertAlmostEqual(e["ratio"], 8 / 3)
        self.assertTrue(e["floor_passed"] and e["goal_reached"])
        self.assertEqual(e["peer_configuration"], "f32, eager, channels_last")
        self.assertIn("no compiler", json.dumps(e["tried"]))
        self.assertTrue(all(p.closed for p in FakePeer.opened))
        for key in ("row", "ours", "peer", "ratio", "floor", "goal", "peer_version", "peer_configuration"):
            self.assertIn(key, e)

    def test_far_behind_is_listed(self):
        e = peers.measure(row("efficientnet_b0-train-f32"), self.arguments(), VERSIONS)
        left = [t for t in e["tried"] if "warm_up_seconds" in t]
        self.assertEqual([t["configuration"] for t in left], ["bf16 autocast, eager, channels_last"])

    def test_memory_is_better_when_lower(self):
        e = peers.measure(row("peak-memory"), self.arguments(), VERSIONS)
        self.assertAlmostEqual(e["ratio"], 0.25)
        self.assertTrue(e["goal_reached"])
        self.assertEqual(peers.judge(row("peak-memory"), 0.5), [True, False])
        self.assertEqual(peers.judge(row("peak-memory"), 0.7), [False, False])
        self.assertEqual(peers.judge(row("frozen-study"), 30), [True, False])

    def test_number_format_that_is_not_there(self):
        bf16 = row("resnet50-train-bf16")
        e = peers.measure(bf16, self.arguments(), VERSIONS)
        self.assertIsNone(e["ratio"])
        self.assertFalse(e["floor_passed"] or e["goal_reached"])
        self.assertTrue(e["note"].startswith("not there yet"))
        self.assertIn("| not there yet |", peers.table([e]))
        self.assertIn("Floors passed: 0 of 1", peers.page([e]))
        for word in ("bf16", "--dtype"):
            self.assertIsNotNone(peers.measure(bf16, self.arguments(word), VERSIONS)["ratio"])

    def test_trouble_is_not_missing(self):
        a = self.arguments()
        a.bench_net = "/bin/false"
        e = peers.measure(row("peak-memory"), a, VERSIONS)
        self.assertTrue(e["note"].startswith("failed"))
        self.assertFalse(e["floor_passed"])

    def test_rows_join(self):
        a, out = self.arguments(), os.path.join(self.folder.name, "results")
        memory, train = (peers.measure(row(r), a, VERSIONS) for r in ("peak-memory", "resnet50-train-f32"))
        peers.store([memory], out)
        whole = peers.store([train], out)
        self.assertEqual([e["row"] for e in whole], ["resnet50-train-f32", "peak-memory"])  # the order of ROWS
        train["ours"] = 1.0
        self.assertEqual(peers.store([train], out)[0]["ours"], 1.0)
        with open(os.path.join(out, "peers.json")) as f:
            self.assertEqual(len(json.load(f)), 2)
        self.assertEqual(sorted(os.listdir(out)), ["peers.json", "peers.md"])

    def test_every_row_is_whole(self):
        names = [r["row"] for r in peers.ROWS]
        self.assertEqual(len(set(names)), 12)
        for r in peers.ROWS:
            self.assertIn(r["kind"], peers.MEASURE)
            better = (lambda a, b: a > b) if r["better"] == "higher" else (lambda a, b: a < b)
            self.assertTrue(better(r["goal"], r["floor"]))


if __name__ == "__main__":
    unittest.main()
