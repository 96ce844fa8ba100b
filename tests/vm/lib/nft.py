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


def counters(namespace, chain):
    """The chain's rules that have a counter, and how many packets met each."""
    out = run("nft", "list", "chain", "inet", "t", chain, namespace=namespace).stdout
    return [(line.strip(), int(found[1])) for line in out.splitlines()
            if (found := re.search(r"counter packets (\d+)", line))]


def counted(namespace, chain, words):
    """How many packets met the rule with these words and a counter."""
    counts = [count for line, count in counters(namespace, chain) if words in line]
    equal(len(counts), 1, f"rules with {words}")
    return counts[0]
