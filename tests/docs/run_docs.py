#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that a page of the documentation shows and compares what they print with what the page says.

    run_docs.py SOURCE_FOLDER BINARY_FOLDER PAGE.md

- A block ```console holds commands behind "$ " and below each the lines it prints, errors too, or none where only its success matters. All commands of a page run in one folder,
  one after the other. A line "..." stands for any lines, " ..." at the end of a line for any rest of it. Wall times (12.3 us, 4 s) may
  differ.
- A block behind <!-- excerpt: FILE --> shows parts of a file that the commands have written; "..." separates the parts.
- A block behind <!-- not run: REASON --> is left alone.
Files that commands mention come from FIXTURES. Where one is missing (a model of KILN_MODELS), the block is skipped, and the test ends with 77 if
nothing failed. KILN_REBASE=1 writes into the page what the commands print, where a block has no "...".
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import fixtures

WALL_TIME = re.compile(r"\b\d[\d.,]* ?(ns|us|ms|s|min)\b")


class Skip(Exception):
    """A file that the page needs is not on this machine."""


class Block:
    def __init__(self, language, directive, first, lines):
        self.language, self.directive = language, directive  # directive: ("excerpt", "digits.h"), or None
        self.first, self.lines = first, lines  # index of the first line inside


def read_blocks(lines):
    """The fenced blocks of a page."""
    blocks, start = [], None
    for i, line in enumerate(lines):
        fence = re.match(r"```(\w*)\s*$", line)
        if not fence:
            continue
        if start is None:
            start, language = i, fence.group(1)
            continue
        before = next((text for text in reversed(lines[:start]) if text.strip()), "")
        found = re.match(r"<!-- (excerpt|not run): (.*) -->$", before.strip())
        blocks.append(Block(language, found.groups() if found else None, start + 1, lines[start + 1:i]))
        start = None
    return blocks


def read_commands(block):
    """Pairs of a command, which may go on over lines that end in a backslash, and the lines below it."""
    commands, continued = [], False
    for line in block.lines:
        if line.startswith("$ "):
            commands.append([line[2:], []])
        elif continued:
            commands[-1][0] += "\n" + line
        elif commands:
            commands[-1][1].append(line)
        continued = commands and not commands[-1][1] and line.endswith("\\")
    return commands


def matches_line(said, printed):
    said, printed = (WALL_TIME.sub("TIME", text.rstrip()) for text in (said, printed))
    return printed.startswith(said[:-4]) if said.endswith(" ...") else said == printed


def matches(said, printed):
    """Whether the lines of a page stand for the lines printed."""
    if not said:
        return not printed
    if said[0] == "...":
        return any(matches(said[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and matches_line(said[0], printed[0]) and matches(said[1:], printed[1:])


def contains(text, excerpt):
    """Whether all parts of an excerpt stand in the text, in order."""
    parts = "\n".join(line.rstrip() for line in excerpt)
    at = 0
    for part in re.split(r"^\.\.\.$\n?", parts, flags=re.M):
        at = text.find(part.strip("\n"), at)
        if at < 0:
            return False
    return True


class Page:
    def __init__(self, source, binaries, path):
        self.source, self.binaries, self.path = source, binaries, path
        self.lines = path.read_text().splitlines()
        self.status, self.skipped, self.failed, self.ran = 0, [], [], 0
        self.rebased = {}  # first line of a block -> its new lines

    def run(self, folder):
        for block in read_blocks(self.lines):
            try:
                if block.directive and block.directive[0] == "excerpt":
                    self.check_excerpt(block, folder)
                elif block.language == "console" and not block.directive:
                    self.run_block(block, folder)
            except Skip as missing:
                self.skipped.append(f"{self.place(block)}: {missing}")

    def place(self, block):
        return f"{self.path.relative_to(self.source)}:{block.first + 1}"

    def check_excerpt(self, block, folder):
        file = folder / block.directive[1]
        if not file.exists():
            if self.skipped:
                raise Skip(f"{block.directive[1]} was not written")
            self.failed.append(f"{self.place(block)}: no command has written {block.directive[1]}")
        elif not contains(file.read_text(), block.lines):
            self.failed.append(f"{self.place(block)}: not what stands in {block.directive[1]}:\n{file.read_text()[:6000]}")
        self.ran += 1

    def run_block(self, block, folder):
        commands = read_commands(block)
        for command, _ in commands:
            fixtures.provide(command, folder, self.source, Skip)
        renewed = []
        for i, (command, said) in enumerate(commands):
            printed = self.run_command(command, folder)
            self.ran += 1
            told = any(line.startswith("error") for line in said) or (i + 1 < len(commands) and commands[i + 1][0] == "echo $?")
            if self.status != 0 and not told:
                self.failed.append(f"{self.place(block)}: $ {command}\nends with {self.status}:\n" + "\n".join(printed))
            elif said and not matches(said, printed):
                self.failed.append(f"{self.place(block)}: $ {command}\nprints\n" + "\n".join(printed))
            renewed += [f"$ {command}"] + (printed if said else [])
        if not any("..." in line for _, said in commands for line in said):
            self.rebased[block.first] = (block.lines, "\n".join(renewed).splitlines())

    def run_command(self, command, folder):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KILN_")}
        environment.update(NO_COLOR="1", COLUMNS="200", PATH=f"{self.binaries}:{os.environ['PATH']}")
        script = f"(exit {self.status})\n{command}\n"
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        self.status = done.returncode
        return done.stdout.splitlines()

    def rebase(self):
        for first in sorted(self.rebased, reverse=True):
            old, new = self.rebased[first]
            self.lines[first:first + len(old)] = new
        self.path.write_text("\n".join(self.lines) + "\n")


def main(source, binaries, name):
    page = Page(source, binaries, source / name)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kiln-docs-"))
    try:
        page.run(folder)
    finally:
        shutil.rmtree(folder)
    for failure in page.failed:
        print(f"FAILED {failure}\n")
    for reason in page.skipped:
        print(f"skipped {reason}")
    print(f"{name}: {page.ran} commands and excerpts, {len(page.failed)} failed, {len(page.skipped)} blocks skipped")
    if page.failed and os.environ.get("KILN_REBASE") == "1":
        page.rebase()
    return 1 if page.failed else 77 if page.skipped else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]))
