"""usage: check_screen.py LINES < TEXT"""
import sys

lines = sys.stdin.read().splitlines()
assert 0 < len(lines) <= int(sys.argv[1]), f"{len(lines)} lines"
wide = [line for line in lines if len(line) > 110]
assert not wide, wide
