#!/usr/bin/env python3
"""Lists the source files that a page names and the repository does not have; fails if there are any.

usage: file_names.py SOURCE

Pages: every tracked Markdown file but CHANGELOG.md. A name is what stands in backticks or in a link and ends like a source
file; it may be a path from the page's folder, or the end of any path.
"""
import pathlib
import posixpath
import re
import sys

NAME = re.compile(r"`([\w./-]+\.(?:cpp|h|c|td|inc|S|cmake|py|sh|mlir|test))`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
OTHERS = {"gguf_convert_endian.py"}  # tools of others
SKIP = re.compile(r"^(build|\.git|\.ccache)")


def main():
    source = pathlib.Path(sys.argv[1])
    files = [path.relative_to(source) for path in source.rglob("*") if not SKIP.match(path.relative_to(source).parts[0])]
    paths = {str(path) for path in files}
    missing = count = 0
    for page in sorted(path for path in files if path.suffix == ".md" and path.name != "CHANGELOG.md"):
        text = (source / page).read_text()
        for name in NAME.findall(text):
            count += 1
            local = posixpath.normpath(page.parent / name)
            if local not in paths and not any(f"/{path}".endswith(f"/{name}") for path in paths):
                # What a page tells the reader to write is in one of its own blocks.
                if name in OTHERS or f"cat > {name}" in text or re.search(rf"(-o|--output) {re.escape(name)}", text):
                    continue
                missing += 1
                print(f"{page}: {name} does not exist")
        for link in LINK.findall(text):
            count += 1
            if not (source / page.parent / link).exists():
                missing += 1
                print(f"{page}: the link to {link} leads nowhere")
    print(f"{count} names, {missing} without a file")
    sys.exit(missing != 0 or count < 50)


main()
