#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Words of the source, width of the documents, and the list of tests with threads.

`style.py [ROOT]` prints each fault and ends with status 1 if there is one. `style.py --self-test` shows that each kind
of fault is found.

- No two types of src/ have one name, nested ones included, because one word stands for one thing. `Kind` is exempt: it
  is always read with its class.
- No folder of src/ has over 28 files, and none with its subfolders over 16 % of the lines: a drawer is no room.
- The second line of each header of src/ says in a noun phrase what the header holds.
- No line of prose in a README or another document is over 120 columns; tables and code may be.
- Comments and documents name only files that exist: a renamed file has left its old name nowhere.
- No sentence there begins with What, Who, Whoever or That, because an English reader has to parse such a sentence.
- A room with unit tests where code or tests start a thread is among `threaded` of tests/meson.build, because
  ThreadSanitizer runs those alone.
"""

import collections
import pathlib
import re
import sys
import tempfile

EXEMPT = {"Kind"}
WIDTH = 120
FOLDER, SHARE = 28, 0.16
ENOUGH = 1000  # lines, for shares to mean something

TYPE_OR_BRACE = re.compile(
    r"\b(?:class|struct|union|enum(?: class)?)\s+"
    r"(?:alignas\(\w+\)\s+|\[\[\w+\]\]\s+|QATIME_\w+(?:\([^;{]*?\))?\s+)*(?P<name>[\w:]+)"
    r"\s*(?:final\s*)?(?::[^;{()]*)?\{")
COMMENT_OR_TEXT = re.compile(r"//[^\n]*|R\"\((?:.|\n)*?\)\"|\"(?:\\.|[^\"\\\n])*\"|(?<!\w)'(?:\\.|[^'\\\n])+'")

# First words that make no noun phrase: of a question, or a verb.
NO_NOUN = {"What", "How", "Which", "Whether", "Who", "Whose", "Whoever", "That", "When", "Where", "Why", "If", "Has", "Is",
           "Are", "Does", "Finds", "Tells", "Counts", "Decides", "Asks", "Reads", "Writes", "Keeps", "Gives", "Makes",
           "Forgetting", "Reading", "Writing", "Having"}
FILE = re.compile(r"\b[\w/]*\w\.(?:h|cc)\b")
FOREIGN = {"libnfs.h"}  # of libraries
STARTS_THREAD = re.compile(r"\bstd::j?thread\b(?!::)|\bpthread_create\(")
HEADLESS_WORDS = ("What", "Who", "Whoever", "That")
HEADLESS_COMMENT = re.compile(rf"(?:^|[.!?]\s+)({'|'.join(HEADLESS_WORDS)})\b")
HEADLESS = re.compile(rf"(?:^|[.!?]\s+|\*\*\s*|[-*] )({'|'.join(HEADLESS_WORDS)})\b")


def types(text):
    """The names of the types that a source defines."""
    return [match["name"].split("::")[-1] for match in TYPE_OR_BRACE.finditer(COMMENT_OR_TEXT.sub(" ", text))]


def faults_of_types(root):
    places = collections.defaultdict(list)
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in {".h", ".cc"}:
            for name in types(path.read_text()):
                places[name].append(path.relative_to(root))
    for name, paths in sorted(places.items()):
        if len(paths) > 1 and name not in EXEMPT:
            yield f"{name}: {len(paths)} types have this name: {', '.join(map(str, paths))}"


def faults_of_folders(root):
    files = [path for path in (root / "src").rglob("*") if path.suffix in {".h", ".cc"}]
    lines = collections.Counter()
    for path in files:
        lines[path.relative_to(root / "src").parts[0]] += path.read_text().count("\n")
    for folder, count in sorted(collections.Counter(path.parent.relative_to(root) for path in files).items()):
        if count > FOLDER:
            yield f"{folder}: {count} files, over {FOLDER}"
    for room, count in sorted(lines.items()):
        if lines.total() > ENOUGH and count > SHARE * lines.total():
            yield f"src/{room}: {count / lines.total():.0%} of the lines, over {SHARE:.0%}"


def faults_of_headers(root):
    for path in sorted((root / "src").rglob("*.h")):
        line = path.read_text().split("\n")[1]
        if not line.startswith("// "):
            yield f"{path.relative_to(root)}:2: says not what the header holds"
        elif line.split()[1].rstrip(",") in NO_NOUN:
            yield f"{path.relative_to(root)}:2: begins with no noun phrase: {line}"


def prose(text):
    """The lines of a Markdown document that are neither code nor of a table, with their numbers."""
    is_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.lstrip().startswith("|"):
            yield number, line


def documents(root):
    return sorted([*root.glob("*.md"), *root.glob(".github/*.md"),
                   *(path for folder in ("src", "tests", "conf") for path in (root / folder).rglob("*.md"))])


def faults_of_documents(root):
    for path in documents(root):
        for number, line in prose(path.read_text()):
            if len(line) > WIDTH:
                yield f"{path.relative_to(root)}:{number}: {len(line)} columns, over {WIDTH}"
            if match := HEADLESS.search(line):
                yield f"{path.relative_to(root)}:{number}: a sentence begins with {match[1]}"


def sources(root):
    """The sources and the documents, each with a pattern of what people read in a line of it."""
    for folder in ("src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cc"}:
                yield path, re.compile(r"//(.*)")
    yield from ((path, re.compile(r"(.*)")) for path in documents(root))


def comments(path):
    """The first line of each block of comments, with its words in one line."""
    words, first = [], 0
    for number, line in enumerate([*path.read_text().split("\n"), ""], 1):
        match = re.search(r"//(.*)", line)
        is_alone = match and line.lstrip().startswith("//")
        if words and not is_alone:
            yield first, " ".join(words)
            words = []
        if match:
            first = first if words else number
            words.append(match[1].strip())
        if match and not is_alone:
            yield first, words.pop()


def faults_of_comments(root):
    for folder in ("src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cc"}:
                for number, text in comments(path):
                    if match := HEADLESS_COMMENT.search(text):
                        yield f"{path.relative_to(root)}:{number}: a sentence begins with {match[1]}"


def faults_of_names(root):
    names = {path.name for path in root.rglob("*") if "build" not in path.parts} | FOREIGN
    for path, comment in sources(root):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            for word in FILE.findall(match[1] if (match := comment.search(line)) else ""):
                if word.split("/")[-1] not in names:
                    yield f"{path.relative_to(root)}:{number}: names {word}, which does not exist"


def faults_of_threads(root):
    tests = (root / "tests/meson.build").read_text() if (root / "tests/meson.build").exists() else ""
    listed = re.findall(r"'(\w+)'", "".join(re.findall(r"^threaded = .*", tests, re.MULTILINE)))
    rooms = {path.parent.name for folder in ("src", "tests") for path in (root / folder).rglob("*")
             if path.suffix in {".h", ".cc"} and STARTS_THREAD.search(path.read_text())}
    for room in sorted(rooms.intersection(re.findall(r"^  +'(\w+)': files\(", tests, re.MULTILINE)).difference(listed)):
        yield f"tests/meson.build: {room} starts a thread, so it belongs to `threaded`"


def faults(root):
    yield from faults_of_threads(root)
    yield from faults_of_names(root)
    yield from faults_of_types(root)
    yield from faults_of_folders(root)
    yield from faults_of_headers(root)
    yield from faults_of_documents(root)
    yield from faults_of_comments(root)


def expect(found, *words):
    for word in words:
        if not any(word in fault for fault in found):
            sys.exit(f"style: the self-test did not find {word!r} in {found}")
    if len(found) != len(words):
        sys.exit(f"style: the self-test found {found} instead of {len(words)} faults")


def self_test():
    """One fault of each kind is found, and its right form is not."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "src").mkdir()
        head = "// SPDX-License-Identifier: MIT\n"
        (root / "src/a.h").write_text(f"{head}// A thing.\nclass Thing;\nstruct Thing {{ enum class Kind {{ a }}; }};\n")
        (root / "src/b.h").write_text(f"{head}// Other things.\nclass Other {{ struct Kind {{}}; Thing thing; }};\n")
        (root / "README.md").write_text(f"Short.\n| {'x' * 130} |\n```\n{'x' * 130}\n```\n")
        expect([*faults(root)])
        (root / "src/c.h").write_text(f"{head}// How things are.\nnamespace {{ class B final : public A {{}}; }}\n")
        (root / "src/d.h").write_text(f"{head}#pragma once\n// struct No {{}};\n"
                                      "struct A { class QATIME_B(c(d)) Thing {}; };\n")
        (root / "src/e.h").write_text(f"{head}// More things: a.h, gone.h.\n#include <other.h>\n")
        (root / "src/f.h").write_text(f"{head}// Odd things.\nint a;  // {HEADLESS_WORDS[0]} it is.\n// So it\n"
                                      f"// is. {HEADLESS_WORDS[1]} knows.\n")
        sentences = "\n".join(f"So it is. {word} is not so is wrong." for word in HEADLESS_WORDS)
        (root / "README.md").write_text(f"Short.\n{'x' * 121}\n{sentences}\n")
        expect([*faults(root)], "e.h:2: names gone.h", "Thing: 2 types", "c.h:2: begins", "d.h:2: says not",
               "README.md:2: 121",
               "f.h:3: a sentence begins with What", "f.h:4: a sentence begins with Who",
               *(f"README.md:{number}: a sentence begins with {word}" for number, word in enumerate(HEADLESS_WORDS, 3)))

    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in {"src/a/b.cc": "std::thread{f};", "tests/c/d.cc": "std::thread t;", "tests/e/f.cc": "no::thread",
                           "tests/meson.build": "  'a': files(\n  'c': files(\n  'e': files(\nthreaded = ['c']\n"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        expect([*faults(root)], "a starts a thread")

    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for number in range(29):
            (root / f"src/{number % 9}").mkdir(parents=True, exist_ok=True)
            (root / "src/a").mkdir(exist_ok=True)
            (root / f"src/a/{number}.cc").write_text("\n")
        for number in range(9):
            (root / f"src/{number}/b.cc").write_text("\n" * 120)
        expect([*faults(root)], "src/a: 29 files")
        (root / "src/0/b.cc").write_text("\n" * 220)
        expect([*faults(root)], "src/a: 29 files", "src/0: 18%")


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        sys.exit()
    found = [*faults(pathlib.Path(sys.argv[1] if sys.argv[1:] else "."))]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
