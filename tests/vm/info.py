#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# What struct tcp_info tells, inside the VM: beside what it tells of a connection
# of kernel TCP that has seen the same.
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from mix import KERNEL4, KERNEL6, OURS4, OURS6  # noqa: E402
from network import Link  # noqa: E402
from runner import TooLate, check, equal, run, test, until  # noqa: E402
from tcp_info import tcp_info  # noqa: E402
from traffic import SO_SNDBUFFORCE, V4, V6, abort, fill, joined, with_buffers  # noqa: E402
from transport import Transport  # noqa: E402

LOSS = 4    # TCP_CA_Loss
INET4 = Transport("inet-253", socket.AF_INET, 253, Link.V4, "0.0.0.0")
FAR = (KERNEL4, KERNEL6, OURS4, OURS6, V4, V6, INET4)


class Beside:
    """A transport of ours, and the kernel's that does the same."""

    def __init__(self, ours, kernel):
        self.ours, self.kernel, self.name = ours, kernel, ours.name


BESIDE = [Beside(t, KERNEL6 if ":" in t.host else KERNEL4) for t in FAR if t.sluice]

# The same after the same traffic. Not of these: what depends on times, on the algorithms' own choices, on
# the sizes of buffers and the windows that come of them, and on how ACKs fall together.
SAME = """state ca_state retransmits probes backoff options wscales snd_mss advmss pmtu unacked sacked lost retrans
    fackets reordering total_retrans notsent_bytes delivered_ce bytes_sent bytes_retrans dsack_dups reord_seen
    rcv_ooopack rehash total_rto total_rto_recoveries total_rto_time max_pacing_rate""".split()


def carry(sender, receiver, size):
    sent = threading.Thread(target=sender.sendall, args=(bytes(size),))
    sent.start()
    left = size
    while left:
        left -= len(receiver.recv(left))
    sent.join()
    until(lambda: tcp_info(sender)["unacked"] == 0)


def both_told(beside, story):
    """What either stack's two ends tell at each point of a story."""
    told = []
    for t in (beside.kernel, beside.ours):
        with Link() as link:
            client, server = joined(t)
            told.append([dict(point, server=tcp_info(server), client=tcp_info(client))
                         for point in story(link, client, server)])
            abort(client, server)
    return zip(*told)


@test(*BESIDE)
def the_same_traffic_gives_the_same(beside):
    def story(_link, client, server):
        yield {"after": "the handshake"}
        carry(client, server, 1)
        yield {"after": "one byte"}
        carry(client, server, 100000)
        carry(server, client, 5000)
        yield {"after": "data both ways"}
        carry(server, client, 300000)
        yield {"after": "more"}
        client.shutdown(socket.SHUT_WR)
        equal(server.recv(1), b"")
        until(lambda: tcp_info(client)["state"] == 5)    # FIN_WAIT_2
        yield {"after": "the client's FIN"}
    wrong = []
    for kernel, ours in both_told(beside, story):
        if any(told[end]["total_retrans"] for told in (kernel, ours) for end in ("client", "server")):
            raise TooLate("something was sent again")
        names = SAME + ["rcv_mss"] * (ours["server"]["bytes_received"] > 100000)
        for end in "client", "server":
            mine, theirs = ours[end], kernel[end]
            wrong += [f"{name} of the {end} after {kernel['after']}: {mine[name]}, TCP {theirs[name]}"
                      for name in names if mine.get(name) != theirs.get(name)]
            # TCP counts its SYN and FIN as bytes.
            check(0 <= theirs["bytes_acked"] - mine["bytes_acked"] <= 2, (end, mine, theirs))
            check(0 <= theirs["bytes_received"] - mine["bytes_received"] <= 1, (end, mine, theirs))
            check_segments(mine, kernel["after"])
            check_segments(theirs, kernel["after"])
        for sender, receiver in (("client", "server"), ("server", "client")):
            equal(ours[receiver]["bytes_received"], ours[sender]["bytes_sent"], f"{sender}'s bytes")
            equal(ours[sender]["bytes_acked"], ours[sender]["bytes_sent"], f"{sender}'s bytes")
    check(not wrong, "\n".join(wrong))


def check_segments(info, when):
    """What must hold of any connection whose ends have nothing on the way."""
    fewest = -(-info["bytes_sent"] // info["snd_mss"])
    told = when, info
    check(fewest <= info["data_segs_out"] <= info["segs_out"], told)
    check(info["data_segs_in"] <= info["segs_in"], told)
    check(info["delivered"] in (info["data_segs_out"], info["data_segs_out"] + 1, info["data_segs_out"] + 2), told)
    check(info["rtt"] > 0 and 0 < info["min_rtt"] <= info["rtt"] + 4 * info["rttvar"], told)
    check(200000 <= info["rto"] < 3000000, told)
    check(info["snd_cwnd"] >= 10 and info["snd_wnd"] > 0 and info["rcv_ssthresh"] > 0, told)
    check(info["pacing_rate"] > 0, told)


# ---- trouble ---------------------------------------------------------------------------

@test(*FAR)
def timeouts_are_told(t):
    with Link() as link:
        client, server = joined(t)
        carry(client, server, 1000)
        link.netem("loss", "100%", leaving=(Link.NEAR,))
        client.sendall(bytes(3000))
        until(lambda: tcp_info(client)["retransmits"] >= 2)
        info = tcp_info(client)
        equal(info["ca_state"], LOSS)
        check(info["backoff"] >= 1 and info["unacked"] == 3 and info["lost"] >= 1, info)
        check(info["snd_cwnd"] <= 2 and info["snd_ssthresh"] < 1000, info)
        check(info["bytes_retrans"] == info["bytes_sent"] - 4000 > 0 and info["total_retrans"] >= 2, info)
        if "total_rto" in info:
            check(info["total_rto"] >= 2 and info["total_rto_recoveries"] == 1, info)
        link.netem("loss", "0%", leaving=(Link.NEAR,))
        equal(len(server.recv(3000, socket.MSG_WAITALL)), 3000)
        until(lambda: tcp_info(client)["unacked"] == 0)
        info, far = tcp_info(client), tcp_info(server)
        equal((info["retransmits"], info["backoff"], info["lost"]), (0, 0, 0))
        equal(far["bytes_received"], 4000)
        check(info["busy_time"] >= 400000, info)
        if "total_rto" in info:
            check(info["total_rto_recoveries"] == 1 and 200 <= info["total_rto_time"] <= info["busy_time"] / 1000, info)
        abort(client, server)


@test(*FAR)
def a_spurious_retransmission_is_told(t):
    """The peer says by D-SACK that it had the segment."""
    with Link() as link:
        client, server = joined(t)
        carry(client, server, 1000)
        link.netem("delay", "1500ms", leaving=(Link.FAR,))
        client.sendall(bytes(1000))
        until(lambda: tcp_info(client)["dsack_dups"] >= 1)
        info, far = tcp_info(client), tcp_info(server)
        check(1 <= info["dsack_dups"] <= info["total_retrans"], info)
        equal(far["data_segs_in"], 2 + info["total_retrans"])
        abort(client, server)


@test(*FAR)
def what_comes_out_of_order_is_told(t):
    with Link() as link:
        client, server = joined(t)
        link.netem("delay", "20ms", "reorder", "70%", leaving=(Link.NEAR,))
        carry(client, server, 2000000)
        info, far = tcp_info(client), tcp_info(server)
        check(far["rcv_ooopack"] > 0, far)
        check(info["reord_seen"] > 0 and info["reordering"] >= 3, info)
        equal(info["rcv_ooopack"], 0)
        abort(client, server)


# ---- where the time went -----------------------------------------------------------------

@test(*FAR)
def time_before_a_shut_window_is_told(t):
    with Link():
        client, server = joined(t)
        sent = fill(client, 0.3)
        time.sleep(0.5)
        info = tcp_info(client)
        check(info["rwnd_limited"] >= 500000 and info["busy_time"] >= info["rwnd_limited"], info)
        check(0 < info["notsent_bytes"] < sent, info)
        equal(info["bytes_sent"] - info["bytes_retrans"] + info["notsent_bytes"], sent)
        equal(tcp_info(server)["rwnd_limited"], 0)
        abort(client, server)


@test(*(t for t in FAR if t.sluice))
def time_with_a_full_send_buffer_is_told(t):
    """TCP counts it when something is sent while the application waits, which is rare."""
    with Link() as link:
        client, server = joined(t, with_buffers(20000, SO_SNDBUFFORCE))
        link.netem("delay", "100ms")
        carry(client, server, 200000)
        info = tcp_info(client)
        check(info["sndbuf_limited"] >= 100000 and info["busy_time"] >= info["sndbuf_limited"], info)
        abort(client, server)


@test(*FAR)
def times_and_rates_of_a_path_are_told(t):
    with Link() as link:
        link.netem("delay", "50ms")
        client, server = joined(t)
        carry(client, server, 2000000)
        carry(server, client, 1)
        info, far = tcp_info(client), tcp_info(server)
        check(100000 <= info["min_rtt"] < 200000 and info["min_rtt"] <= info["rtt"] < 1000000, info)
        check(info["rto"] >= info["rtt"] + 100000, info)
        check(1000 < info["delivery_rate"] < 2000000 / 0.1, info)
        check(info["pacing_rate"] >= info["delivery_rate"] / 4, info)
        check(far["rcv_rtt"] >= 50000 and far["rcv_space"] > 20000, far)
        equal(far["flags"] & 1, 1, "its one byte is limited by the application")
        check(info["last_data_sent"] >= info["last_ack_recv"] or info["last_data_sent"] < 1000, info)
        abort(client, server)


if __name__ == "__main__":
    run(*sys.argv[1:])
