"""What a compiled program sends between devices, read off its text."""

import math
import re

OPERATION = re.compile(r'= (.+?) (all-reduce|all-gather|reduce-scatter|all-to-all|'
                       r'collective-permute)(?:-start)?\(')
SHAPE = re.compile(r'\w+\[([\d,]*)\]')


def collectives(text):
  """{operation: [numbers in each of them]} of an optimized HLO module."""
  found = {}
  for shapes, name in OPERATION.findall(text):
    sizes = [math.prod(map(int, dims.split(','))) if dims else 1 for dims in SHAPE.findall(shapes)]
    found.setdefault(name, []).append(sum(sizes))
  return found
