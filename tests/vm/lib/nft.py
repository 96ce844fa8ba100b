# SPDX-License-Identifier: GPL-2.0
# Rules of nftables, in one table of a namespace, and their counters.
import re

from network import run
from runner import equal


def set_rules(namespace, *chains):
    """Nothing but these. Each chain: its hook, which names it, kind, priority, policy, and its rules."""
    text = ""
    for hook, kind, priority, policy, *lines in chains:
        lines = "\n".join(lines)
        text += f"chain {hook} {{\ntype {kind} hook {hook} priority {priority}; policy {policy};\n{lines}\n}}\n"
    run("nft", "-f", "-", namespace=namespace, input=f"flush ruleset\ntable inet t {{\n{text}}}")


def counted(namespace, chain, words):
    """How many packets met the rule with these words and a counter."""
    out = run("nft", "list", "chain", "inet", "t", chain, namespace=namespace).stdout
    counts = [line for line in out.splitlines() if words in line and "counter packets" in line]
    equal(len(counts), 1, out)
    return int(re.search(r"counter packets (\d+)", counts[0])[1])
