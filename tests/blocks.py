# SPDX-License-Identifier: Apache-2.0
"""The code blocks of the project's pages, and the commands in them. CommonMark's own parser finds them, so none is overlooked."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
SHELL = ("sh", "console")
SEPARATORS = frozenset("|;&()<>\n")


@dataclass(frozen=True, slots=True)
class Block:
    """One block: the page it is on, relative to the checkout, its first line there (from 1), its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that people read, relative to the checkout."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def blocks() -> list[Block]:
    """Every block of every page; one that is indented instead of fenced has no language."""
    return [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for page in pages()
        for token in MarkdownIt("commonmark").parse((ROOT / page).read_text())
        if token.type in {"fence", "code_block"} and token.map is not None
    ]


def script(block: Block) -> str:
    """What a shell block has its reader type: without the prompts, and without what the commands print."""
    if block.language != "console":
        return block.text
    return "\n".join(line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ "))


def commands(text: str) -> list[list[str]]:
    """The words of each simple command of a script, those in `$(...)` first; redirections and comments are left out."""
    found = []
    inner = re.compile(r"\$\(([^()]*)\)")
    while match := inner.search(text):
        found += commands(match[1])
        text = f"{text[: match.start()]}SUBSTITUTED{text[match.end() :]}"
    lexer = shlex.shlex(re.sub(r"\\\n\s*", " ", text), posix=True, punctuation_chars="|;&()<>\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True  # a colon or a comma parts nothing
    words: list[str] = []
    redirected = False
    for word in [*_without_comments(lexer), "\n"]:
        if not set(word) <= SEPARATORS:
            if not redirected:
                words.append(word)
            redirected = False
        elif set(word) & {"<", ">"}:
            redirected = True
        elif words:
            found.append(words)
            words = []
    return found


def _without_comments(lexer: shlex.shlex) -> list[str]:
    """The lexer's words. Its own comments swallow the end of their line, which ends a command."""
    lexer.commenters = ""
    words: list[str] = []
    comment = False
    for word in lexer:
        comment = (comment or word.startswith("#")) and "\n" not in word
        if not comment:
            words.append(word)
    return words
