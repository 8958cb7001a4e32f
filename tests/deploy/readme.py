# SPDX-License-Identifier: MIT
"""README, for tests that type what it says."""

import pathlib
import re
import shlex

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()


def commands(heading):
    """The commands in the first block of this section, each as its words."""
    section = TEXT.partition(f"\n{heading}\n")[2]
    block = re.search(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def commands_of(program):
    """All commands of it, in blocks and within lines, each as its words."""
    return [shlex.split(command) for command in re.findall(rf"(?:^|`)({program} \w[^`\n]*)", TEXT, re.MULTILINE)]
