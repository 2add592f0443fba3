#!/usr/bin/env python3
"""The scripts around the benchmarks, without running one: words, numbers, tables.

usage: scripts_test.py
"""

import argparse
import pathlib
import sys
import tempfile
import unittest
from xml.etree import ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers
import plan_score
import programs
import quality
import report

MACHINE = {"cpu": "Test CPU", "cores": 2, "flags": ["avx2", "fma", "amx_int8"], "load": 9,
           "others_running": 0.1, "commit": "abc1234"}
READ = [{"threads": 1, "gb_per_second": 20.0, "median": 19.0},
        {"threads": 2, "gb_per_second": 30.0, "median": 29.0}]
ADDS = [{"threads": 2, "number": "int8", "instruction": "slow", "l2_gop": 100.0,
         "l2_gop_median": 90.0, "registers_gop": 120.0},
        {"threads": 2, "number": "int8", "instruction": "fast", "l2_gop": 400.0,
         "l2_gop_median": 390.0, "registers_gop": 410.0}]


class Programs(unittest.TestCase):
    def test_what_is_missing_is_said_with_what_to_do(self):
        with self.assertRaisesRegex(programs.Missing, "/no/such/file is missing: fetch it"):
            programs.need("/no/such/file", "fetch it")

    def test_a_program_that_fails_is_named_with_its_last_line(self):
        with self.assertRaisesRegex(programs.Missing, "sh failed with code 3: last"):
            programs.run(["/bin/sh", "-c", "echo first >&2; echo last >&2; exit 3"])

    def test_spread_is_median_and_ends(self):
        self.assertEqual(programs.spread([3, 1, 2, 10]),
                         {"median": 2.5, "low": 1, "high": 10, "runs": [3, 1, 2, 10]})

    def test_numbers_of_the_peers_output_are_found_or_missed_loudly(self):
        out = "Mean    KLD:   0.060367 ±   0.007135\n99.9%   KLD:   1.140178\n"
        self.assertEqual(programs.found(r"Mean\s+KLD:\s*([\d.]+)", out), 0.060367)
        self.assertEqual(programs.found(r"99\.9%\s+KLD:\s*([\d.]+)", out), 1.140178)
        with self.assertRaisesRegex(programs.Missing, "another version"):
            programs.found(r"Median\s+KLD:\s*([\d.]+)", out)


class Peers(unittest.TestCase):
    def test_shares_are_of_the_better_roof_of_the_same_threads(self):
        done = {"cases": [{"what": "decode", "threads": 2, "nereus_gb_per_second": 15.0},
                          {"what": "prefill", "threads": 2, "nereus_gop_per_second": 100.0}]}
        slow = {"read": [dict(row, gb_per_second=10.0) for row in READ], "multiply_adds": ADDS}
        peers.add_shares(done, slow, {"read": READ, "multiply_adds": ADDS})
        self.assertEqual(done["cases"][0]["share_of_bandwidth"], 0.5)
        self.assertEqual(done["cases"][1]["share_of_int8"], 0.25)

    def test_both_programs_get_the_same_tokens(self):
        flags = argparse.Namespace(prompt=512, generate=32, repeat=1, chunk=256)
        words = [str(word) for word in peers.llama_words(flags, 2, "decode", 2048)]
        self.assertEqual(" ".join(words), "-p 0 -n 32 -t 2 -d 2048 -r 1 -ub 256")
        words = [str(word) for word in peers.llama_words(flags, 1, "prefill", 0)]
        self.assertEqual(" ".join(words), "-p 512 -n 0 -t 1 -d 0 -r 1 -ub 256")


class PlanScore(unittest.TestCase):
    def test_a_forecast_is_right_within_fifteen_percent_of_what_was_measured(self):
        measured = {"tokens_per_second": 100.0, "low": 90.0, "high": 110.0}
        self.assertTrue(plan_score.score(114.9, measured)["right"])
        self.assertTrue(plan_score.score(85.1, measured)["right"])
        self.assertFalse(plan_score.score(115.1, measured)["right"])
        self.assertFalse(plan_score.score(84.9, measured)["right"])
        self.assertEqual(plan_score.score(50.0, measured)["ratio"], 0.5)

    def test_every_case_has_a_bundled_configuration_or_is_a_file(self):
        for name, source, form, _, budget in plan_score.CASES:
            if form:
                self.assertTrue((plan_score.CONFIGS / f"{source}.json").is_file(), name)
            self.assertRegex(budget, r"^(\d+G)?$")
        self.assertGreaterEqual(len(plan_score.CASES), 10)

    def test_names_of_cases_are_different(self):
        names = [case[0] for case in plan_score.CASES]
        self.assertEqual(len(set(names)), len(names))

    def test_the_table_has_a_row_a_case_and_says_how_many_were_right(self):
        one = plan_score.score(110.0, {"tokens_per_second": 100.0, "low": 99.0, "high": 101.0})
        text = report.plan_table({"prompt": 128, "generate": 32, "within": 0.15, "right": 1,
                                  "cases": [{"name": "a", "limit": "disk", "decode": one,
                                             "prefill": one}]})
        self.assertIn("1 of 1 have both within 15 %", text)
        self.assertIn("| a | disk | 110.00 | 100.00 | +10 % |", text)


class Cache(unittest.TestCase):
    def test_a_table_a_trace_with_the_default_marked(self):
        rows = [{"policy": "lru", "hit_rates": [0.25, 0.5]},
                {"policy": "lfu", "hit_rates": [0.3, 0.6]}]
        text = report.cache_table({"shares": [0.1, 0.5], "default": "lfu", "traces": [
            {"trace": "law", "tokens": 7, "sequences": 2, "rows": rows}]})
        self.assertIn("law: 7 tokens in 2 sequences", text)
        self.assertIn("| lfu (default) | 30.0 | 60.0 |", text)
        self.assertIn("| policy | 10 % | 50 % |", text)


class Quality(unittest.TestCase):
    def test_models_are_known_names_or_pairs(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assertEqual(quality.model_of(f"x={file.name}"), ("x", file.name, None))
            name, source, gguf = quality.model_of(f"x={file.name},{file.name}")
            self.assertEqual((name, source, str(gguf)), ("x", file.name, file.name))
        with self.assertRaisesRegex(programs.Missing, "expected one of seed"):
            quality.model_of("nothing")

    def test_every_type_has_a_source(self):
        for name in quality.TYPES:
            self.assertTrue(quality.source_of("llama.cpp", name))


class Report(unittest.TestCase):
    def test_a_table_is_replaced_in_its_place_and_added_once(self):
        page = "# Title\n\n<!-- begin a -->\nold\n<!-- end a -->\n\nrest\n"
        once = report.with_block(page, "a", r"new \1")
        self.assertEqual(once, page.replace("old", r"new \1"))
        added = report.with_block(once, "b", "more")
        self.assertTrue(added.endswith("<!-- begin b -->\nmore\n<!-- end b -->\n"))
        self.assertEqual(report.with_block(added, "b", "more"), added)

    def test_every_table_names_machine_and_commit_and_says_when_it_was_not_quiet(self):
        done = {"command": "roof", "machine": MACHINE, "read": READ, "multiply_adds": ADDS}
        block = report.block(done)
        self.assertIn("Test CPU, 2 cores (avx2, amx_int8), commit abc1234.", block)
        self.assertNotIn("Not quiet", block)
        busy = dict(MACHINE, others_running=3.0)
        self.assertIn("Not quiet: 3.0", report.block(dict(done, machine=busy)))

    def test_every_row_of_a_table_has_the_columns_of_its_head(self):
        lines = report.roof_table({"read": READ, "multiply_adds": ADDS}).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {5})

    def test_the_plot_is_xml_with_a_point_a_product(self):
        case = {"name": "matmul/q4", "number": "int8", "gop_per_second": 200.0,
                "gb_per_second": 10.0}
        idle = dict(case, name="copy", gop_per_second=0.0)
        svg = report.roofline({"threads": 2, "machine": MACHINE, "cases": [case, idle],
                               "roof": {"read": READ, "multiply_adds": ADDS}})
        tags = [element.tag.rsplit("}", 1)[1] for element in ElementTree.fromstring(svg).iter()]
        self.assertEqual(tags.count("circle"), 1)
        self.assertEqual(tags.count("polyline"), 1)  # int8 only: the others were not measured

    def test_a_balanced_point_lies_on_the_bend(self):
        axes = report.Axes((1, 100), (1, 100))
        self.assertAlmostEqual(axes.x(10), (axes.x(1) + axes.x(100)) / 2)
        self.assertGreater(axes.y(1), axes.y(100))  # down is more in an SVG

    def test_the_page_is_up_to_date(self):
        for path, new in report.outputs().items():
            self.assertEqual(path.read_text(encoding="utf-8"), new,
                             f"{path.name}: run bench/report.py")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_known_args()
    unittest.main(verbosity=0)
