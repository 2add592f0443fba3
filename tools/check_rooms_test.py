#!/usr/bin/env python3
"""check_rooms.py refuses a bad tree: every rule is broken once, in a house of two rooms."""

import pathlib
import tempfile
import unittest

import check_rooms

CMAKE = """
nereus_room(base ROOMS LIBRARIES spdlog::spdlog)
nereus_room(text ROOMS base LIBRARIES PkgConfig::PCRE2)
"""
MAP = "# Map\n\n```rooms\ntext  base\nbase  nothing\n```\n"


class CheckRooms(unittest.TestCase):
    def problems(self, files):
        """The problems of the good house with `files` put over it."""
        house = {
            "CMakeLists.txt": CMAKE,
            "ARCHITECTURE.md": MAP,
            "src/base/result.h": "#pragma once\n",
            "src/base/inner/detail.h": "#pragma once\n",
            "src/text/door.h": '#pragma once\n#include "base/result.h"\n#include <string>\n',
            "src/text/door.cpp": '#include "text/door.h"\n#include <pcre2.h>\n',
        }
        house.update(files)
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in house.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            for folder in ("apps", "tests", "bench"):
                (root / folder).mkdir(exist_ok=True)
            return check_rooms.House(root).check()

    def expect(self, files, place, words):
        problems = self.problems(files)
        self.assertEqual(len(problems), 1, problems)
        self.assertTrue(problems[0].startswith(place), problems[0])
        self.assertIn(words, problems[0])

    def test_a_good_house_has_no_problem(self):
        self.assertEqual(self.problems({}), [])

    def test_an_arrow_that_is_not_drawn_is_named_with_file_and_line(self):
        self.expect({"src/base/up.cpp": '\n#include "text/door.h"\n'}, "src/base/up.cpp:2:",
                    "base may not see text")

    def test_a_private_header_is_refused_and_the_doors_are_named(self):
        self.expect({"src/text/x.cpp": '#include "base/inner/detail.h"\n'}, "src/text/x.cpp:1:",
                    "use one of its doors: base/result.h")

    def test_apps_see_doors_but_no_private_header(self):
        self.assertEqual(self.problems({"apps/a.cpp": '#include "text/door.h"\n'}), [])
        self.expect({"apps/a.cpp": '#include "base/inner/detail.h"\n'}, "apps/a.cpp:1:", "private")

    def test_no_room_looks_up_to_apps(self):
        self.expect({"apps/open.h": "#pragma once\n", "src/text/x.cpp": '#include "apps/open.h"\n'},
                    "src/text/x.cpp:1:", "apps/ is the top")

    def test_a_library_in_the_wrong_room_is_refused(self):
        self.expect({"src/base/x.cpp": "#include <pcre2.h>\n"}, "src/base/x.cpp:1:",
                    "PCRE2 belongs to text")

    def test_a_library_has_one_file_and_the_message_names_its_door(self):
        self.expect({"src/base/x.cpp": "#include <spdlog/spdlog.h>\n"}, "src/base/x.cpp:1:",
                    "behind base/log.cpp")

    def test_a_library_in_a_door_is_refused(self):
        self.expect({"src/text/loose.h": "#pragma once\n#include <pcre2.h>\n"},
                    "src/text/loose.h:2:", "in a door")

    def test_a_library_without_a_row_is_refused(self):
        self.expect({"src/base/x.cpp": "#include <zlib.h>\n"}, "src/base/x.cpp:1:", "no row")

    def test_gtest_is_for_tests_only(self):
        self.assertEqual(self.problems({"src/base/x_test.cpp": "#include <gtest/gtest.h>\n"}), [])
        self.expect({"src/base/x.cpp": "#include <gtest/gtest.h>\n"}, "src/base/x.cpp:1:", "gtest")

    def test_a_header_that_does_not_exist_is_refused(self):
        self.expect({"src/base/x.cpp": '#include "base/gone.h"\n'}, "src/base/x.cpp:1:",
                    "not a file")

    def test_a_link_that_is_no_arrow_of_the_map_is_refused(self):
        self.expect({"ARCHITECTURE.md": MAP.replace("text  base", "text  nothing")},
                    "ARCHITECTURE.md:4:", "the map says text sees []")

    def test_a_library_linked_to_the_wrong_room_is_refused(self):
        cmake = CMAKE.replace("LIBRARIES spdlog::spdlog", "LIBRARIES PkgConfig::PCRE2")
        self.expect({"CMakeLists.txt": cmake}, "CMakeLists.txt:1:", "base links PkgConfig::PCRE2")

    def test_a_cycle_of_rooms_is_refused(self):
        problems = self.problems({"CMakeLists.txt": CMAKE.replace("base ROOMS", "base ROOMS text"),
                                  "ARCHITECTURE.md": MAP.replace("base  nothing", "base  text")})
        self.assertIn("rooms in a cycle", problems[0])

    def test_a_room_without_a_line_in_cmake_is_refused(self):
        self.expect({"src/attic/a.cpp": "int a;\n"}, "src/attic:1:", "without a nereus_room line")


if __name__ == "__main__":
    unittest.main()
