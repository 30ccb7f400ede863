"""A step of several tasks that srun started is one run of as many processes: what torchrun would tell each of them.

The variables are srun's own (https://slurm.schedmd.com/srun.html, output environment variables). SLURM_STEP_NUM_TASKS
is of a step alone: a batch script that asked for several tasks is one process until it calls srun.
"""

import re
from collections.abc import MutableMapping

from gocell_cli.errors import UsageError

TASKS, PER_NODE, NODES = "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NODELIST"
RANK, LOCAL_RANK, NODE = "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"
JOB, STEP = "SLURM_JOB_ID", "SLURM_STEP_ID"
HINT = "torchrun --nproc-per-node N --no-python gocell train ..., or one task of srun"
FIRST_PORT, PORTS = 15_000, 10_000
"""Each step has one of these ports, by its job's number: two jobs on a node hardly ever meet."""


def join_step(environment: MutableMapping[str, str]) -> int:
    """Set what torchrun sets, where srun started this process with others; return how many there are, else 1.

    Where torchrun, or the user, has set WORLD_SIZE already, that stands. Raises UsageError where a variable of srun's
    is missing or none of its kind: a run each of all tasks is what nobody asked for.
    """
    tasks = environment.get(TASKS, "1")
    if "WORLD_SIZE" in environment or tasks == "1":
        return 1
    per_node = _per_node(_told(environment, PER_NODE))
    node = _number(environment, NODE)
    if node >= len(per_node):
        raise _unclear(NODE, environment[NODE])
    hosts = _told(environment, NODES)
    found = {
        "RANK": _number(environment, RANK),
        "WORLD_SIZE": _number(environment, TASKS),
        "LOCAL_RANK": _number(environment, LOCAL_RANK),
        "LOCAL_WORLD_SIZE": per_node[node],
        "MASTER_ADDR": "127.0.0.1" if len(per_node) == 1 else first_host(hosts),
        "MASTER_PORT": FIRST_PORT + (_number(environment, JOB) + _number(environment, STEP)) % PORTS,
    }
    for name, value in found.items():
        environment.setdefault(name, str(value))
    return int(tasks)


def first_host(nodes: str) -> str:
    """Return the first host of a list as SLURM writes it: `node[03-07,9],login1` begins with node03.

    Raises UsageError for what is none.
    """
    match = re.match(r"([\w.-]+?)(?:\[([\w]+)[\w,-]*\]([\w.-]*))?(?:,|$)", nodes)
    if match is None:
        raise _unclear(NODES, nodes)
    prefix, number, suffix = (part or "" for part in match.groups())
    return prefix + number + suffix


def _per_node(text: str) -> list[int]:
    """Tasks of each node: `2(x3),1` are 2, 2, 2 and 1."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise _unclear(PER_NODE, text)
        found += [int(match[1])] * int(match[2] or 1)
    return found


def _number(environment: MutableMapping[str, str], name: str) -> int:
    text = _told(environment, name)
    if not text.isascii() or not text.isdigit():
        raise _unclear(name, text)
    return int(text)


def _told(environment: MutableMapping[str, str], name: str) -> str:
    try:
        return environment[name]
    except KeyError:
        raise UsageError(
            f"srun started {environment[TASKS]} tasks, and {name} is not set: they cannot find each other",
            hint=HINT,
        ) from None


def _unclear(name: str, text: str) -> UsageError:
    return UsageError(f"{name}={text!r} is nothing that srun would say", hint=HINT)
