"""One of two processes whose devices differ in memory: the second has too little.

python -m tests.train.engine.unequal HOST:PORT PROCESS
"""

import sys

from jaxportrait.console.errors import exit_on_error
from train.__main__ import reported_once
from train.engine.config import StageConfig
from train.engine.memory import MemoryNeed, describe_memory, scarcest
from train.engine.mesh import connect

GIB = 2**30
LIMITS = (8 * GIB, 6 * GIB)


def main(address: str, process: str) -> None:
    connect(address, len(LIMITS), int(process))
    # An update that only the first process could do.
    need = MemoryNeed(2 * GIB, 5 * GIB)
    need, limit = scarcest(need, LIMITS[int(process)])
    with exit_on_error(), reported_once():
        print(describe_memory(need, limit, StageConfig()))


if __name__ == "__main__":
    main(*sys.argv[1:])
