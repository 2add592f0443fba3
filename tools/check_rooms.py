#!/usr/bin/env python3
"""Checks the house: arrows between rooms, doors, and which library may be used where.

usage: check_rooms.py [--root DIR]      exit 0: in order; 1: every violation as file:line: message

The arrows are the nereus_room lines of CMakeLists.txt (so the link list is the rule); the map in
ARCHITECTURE.md has to say the same. src/<room>/*.h are the doors of a room, src/<room>/<sub>/ is
private to it. apps/ sees all doors; tests/ and bench/ see everything.
"""

import argparse
import pathlib
import re
import sys

# library: (header pattern, CMake target or None, {room: files that may use it, None = any})
LIBRARIES = {
    "fmt": (r"fmt/", None, {"*": None}),
    "spdlog": (r"spdlog/", "spdlog::spdlog", {"base": ["log.cpp"]}),
    "nlohmann-json": (
        r"nlohmann/",
        "nlohmann_json::nlohmann_json",
        {"base": ["json.h", "json_fwd.h", "json.cpp"]},
    ),
    "simdjson": (r"simdjson", "simdjson::simdjson", {"base": ["json_scan.cpp"]}),
    "utf8proc": (r"utf8proc", "PkgConfig::UTF8PROC", {"base": ["unicode.cpp"]}),
    "xxhash": (r"xxhash\.h", "PkgConfig::XXHASH", {"base": ["digest.cpp"]}),
    "liburing": (r"liburing", "PkgConfig::URING", {"base": ["reads/uring_queue.cpp"]}),
    "PCRE2": (r"pcre2", "PkgConfig::PCRE2", {"text": None}),
    "CLI11": (r"CLI/", None, {"apps": None, "bench": None}),
    "intrinsics": (
        r"immintrin\.h|cpuid\.h|x86intrin\.h",
        None,
        {"compute": None, "bench": None, "base": ["thread_pool.cpp"]},  # base: the pause of a spin
    ),
    "terminal control": (
        r"termios\.h|sys/ioctl\.h|poll\.h|pty\.h",
        None,
        {"terminal": None, "apps": None, "tests": None},
    ),
    "threads of the system": (r"sched\.h", None, {"base": None}),
    "gtest": (r"gtest/|gmock/", None, {"tests": None, "bench": None}),
}
# Doors that may show a library: everything else keeps it in a .cpp or a private header.
DOORS_WITH_LIBRARIES = {("base", "json.h"), ("base", "json_fwd.h")}
ALWAYS_ALLOWED = {"fmt"}
POSIX = re.compile(r"(unistd|fcntl|string|signal|errno|time|locale|wchar)\.h|sys/(mman|stat|types|"
                   r"sysmacros|resource|wait|time|file|statvfs|prctl)\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


class House:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.arrows = {}
        self.libraries = {}
        self.read_cmake()

    def report(self, path, line, message):
        self.problems.append(f"{path}:{line}: {message}")

    def read_cmake(self):
        """Rooms, what each may see, and the libraries it links."""
        text = (self.root / "CMakeLists.txt").read_text()
        for match in re.finditer(r"^nereus_room\((.*?)\)", text, re.M | re.S):
            words = match.group(1).split()
            keys = {"ROOMS": [], "LIBRARIES": []}
            current = None
            for word in words[1:]:
                if word in keys:
                    current = word
                else:
                    keys[current].append(word)
            self.arrows[words[0]] = keys["ROOMS"]
            self.libraries[words[0]] = keys["LIBRARIES"]

    def doors(self, room):
        return sorted(p.name for p in (self.root / "src" / room).glob("*.h"))

    def sources(self):
        for folder in ("src", "apps", "tests", "bench"):
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in (".h", ".cpp"):
                    yield path

    def check(self):
        self.check_map()
        self.check_cycles()
        self.check_link_libraries()
        for folder in sorted(p.name for p in (self.root / "src").iterdir() if p.is_dir()):
            if folder not in self.arrows:
                self.report(f"src/{folder}", 1, "without a nereus_room line in CMakeLists.txt")
        for path in self.sources():
            self.check_file(path)
        return self.problems

    def check_map(self):
        """The arrow block of ARCHITECTURE.md: 'room  what it sees' between ```rooms fences."""
        path = self.root / "ARCHITECTURE.md"
        if not path.exists():
            return
        lines = path.read_text().splitlines()
        if "```rooms" not in lines:
            self.report("ARCHITECTURE.md", 1, "expected the arrows in a ```rooms block")
            return
        start = lines.index("```rooms")
        drawn = {}
        for number in range(start + 1, lines.index("```", start)):
            words = lines[number].split()
            if words and words[0] != "apps":
                drawn[words[0]] = (number + 1, [w for w in words[1:] if w != "nothing"])
        for room in sorted(set(drawn) | set(self.arrows)):
            number, seen = drawn.get(room, (start + 1, None))
            if seen is None or sorted(seen) != sorted(self.arrows.get(room, ["(no room)"])):
                self.report("ARCHITECTURE.md", number, f"the map says {room} sees {seen}, "
                            f"CMakeLists.txt links {self.arrows.get(room)}")

    def check_cycles(self):
        done = set()

        def visit(room, trail):
            if room in trail:
                circle = " -> ".join(trail + [room])
                self.report("CMakeLists.txt", 1, f"rooms in a cycle: {circle}")
                return
            if room not in done:
                for seen in self.arrows.get(room, []):
                    visit(seen, trail + [room])
                done.add(room)

        for room in self.arrows:
            visit(room, [])

    def check_link_libraries(self):
        known = {target: rooms for _, target, rooms in LIBRARIES.values() if target}
        for room, targets in self.libraries.items():
            for target in targets:
                if target != "Threads::Threads" and room not in known.get(target, {}):
                    self.report("CMakeLists.txt", 1, f"{room} links {target}, which the library "
                                "table of tools/check_rooms.py does not allow there")

    def place_of(self, path):
        """(room or apps/tests/bench, path inside it); tests beside the code see like their room."""
        parts = path.relative_to(self.root).parts
        return (parts[1], "/".join(parts[2:])) if parts[0] == "src" else (parts[0],
                                                                         "/".join(parts[1:]))

    def check_file(self, path):
        name = path.relative_to(self.root)
        place, inside = self.place_of(path)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            bracket, target = match.groups()
            problem = (self.check_quoted(place, inside, target, path) if bracket == '"' else
                       self.check_angle(place, inside, target, path))
            if problem:
                self.report(name, number, problem)

    def check_quoted(self, place, inside, target, path):
        room = target.split("/")[0]
        if not ((self.root / "src" / target).exists() or (self.root / target).exists()):
            return f'"{target}" is not a file of this tree; write the path from src/ or the root'
        if place in ("tests", "bench") or room == place:
            return None
        if room == "tests":
            return None if path.name.endswith("_test.cpp") else "only tests include tests/"
        if room == "apps":
            return f"apps/ is the top; {place} may not look up to it"
        if place != "apps" and room not in self.arrows.get(place, []):
            sees = " ".join(self.arrows.get(place, [])) or "nothing"
            return (f"{place} may not see {room} (it sees: {sees}); a missing arrow is a question "
                    "for docs/decisions/")
        if target.count("/") != 1:
            doors = ", ".join(f"{room}/{door}" for door in self.doors(room))
            return f"{target} is private to {room}; use one of its doors: {doors}"
        return None

    def check_angle(self, place, inside, target, path):
        if "." not in target and "/" not in target or POSIX.fullmatch(target):
            return None
        is_test = path.name.endswith("_test.cpp") or place == "tests"
        for library, (pattern, _, rooms) in LIBRARIES.items():
            if not re.match(pattern, target):
                continue
            place_here = "tests" if is_test and library == "gtest" else place
            if "*" not in rooms and place_here not in rooms:
                return f"{library} belongs to {', '.join(rooms)}, not to {place}"
            files = rooms.get(place_here)
            if files is not None and inside not in files:
                return f"{library} is behind {place}/{files[0]}; include that door's header"
            is_door = path.suffix == ".h" and path.parent.parent.name == "src"
            if is_door and library not in ALWAYS_ALLOWED and (place, inside) not in (
                    DOORS_WITH_LIBRARIES):
                return f"{library} in a door; keep it in .cpp files and private headers"
            return None
        return (f"<{target}> is in no row of the library table in tools/check_rooms.py; add the "
                "row and a page in docs/decisions/")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent,
                        type=pathlib.Path)
    house = House(parser.parse_args().root.resolve())
    problems = house.check()
    for problem in problems:
        print(problem)
    arrows = sum(len(seen) for seen in house.arrows.values())
    print(f"check_rooms: {len(house.arrows)} rooms, {arrows} arrows, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
