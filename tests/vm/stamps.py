#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# Times of what is sent (SO_TIMESTAMPING), from the error queue, inside the VM.
# Kernel TCP runs first, as the reference.
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from error_queue import take  # noqa: E402
from mix import KERNEL4, KERNEL6, OURS4, OURS6  # noqa: E402
from network import Link  # noqa: E402
from network import run as command  # noqa: E402
from network import kernel_word  # noqa: E402
from runner import check, equal, run, test, until  # noqa: E402
from tcp_info import tcp_info  # noqa: E402
from traffic import V4, V6, abort, joined  # noqa: E402
from transport import INET, INET6, REAL4, REAL6, SLUICE4, SLUICE6, TCP4, TCP6, error_of  # noqa: E402

ALL = (TCP4, TCP6, SLUICE4, SLUICE6, INET, INET6, REAL4, REAL6)
FAR = (KERNEL4, KERNEL6, OURS4, OURS6, V4, V6)
SO_TIMESTAMPING = 37
SENT, SOFTWARE, PLACE, QUEUED, ACKED, ALONE = 2, 16, 128, 256, 512, 2048    # SOF_TIMESTAMPING_*
SND, SCHED, ACK = 0, 1, 2    # SCM_TSTAMP_*
ENOMSG, ORIGIN = 42, 4    # of each report
STATISTICS, SCM_STATISTICS = 4096, 54    # SOF_TIMESTAMPING_OPT_STATS, SCM_TIMESTAMPING_OPT_STATS
U8, U16, U32, U64 = "=B", "=H", "=I", "=Q"
ATTRIBUTES = {1: ("busy", U64), 2: ("rwnd_limited", U64), 3: ("sndbuf_limited", U64), 4: ("data_segs_out", U64),
              5: ("total_retrans", U64), 6: ("pacing_rate", U64), 7: ("delivery_rate", U64), 8: ("snd_cwnd", U32),
              9: ("reordering", U32), 10: ("min_rtt", U32), 11: ("recur_retrans", U8),
              12: ("delivery_rate_app_lmt", U8), 13: ("sndq_size", U32), 14: ("ca_state", U8),
              15: ("snd_ssthresh", U32), 16: ("delivered", U32), 17: ("delivered_ce", U32), 18: ("bytes_sent", U64),
              19: ("bytes_retrans", U64), 20: ("dsack_dups", U32), 21: ("reord_seen", U32), 22: ("srtt", U32),
              23: ("timeout_rehash", U16), 24: ("bytes_notsent", U32), 25: ("edt", U64), 26: ("ttl", U8),
              27: ("rehash", U32)}    # TCP_NLA_*
TOLD = {name for name, _ in ATTRIBUTES.values()} - ({"rehash"} if kernel_word() == "6.1" else set())


def ask(sock, flags):
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)


def report(sock):
    """The next one: kind, place, seconds, what came with it. None: there is none."""
    poll = select.poll()
    poll.register(sock, 0)
    told = poll.poll(0)
    try:
        data, control, flags, _ = take(sock)
    except BlockingIOError:    # also EAGAIN of an empty queue: it never waits
        equal(told, [], "told of a report that isn't there")
        return None
    check(flags & socket.MSG_ERRQUEUE, f"flags {flags:x}")
    seconds = kind = place = None
    for level, name, value in control:
        if (level, name) == (socket.SOL_SOCKET, SO_TIMESTAMPING):
            whole, nano = struct.unpack_from("=qq", value)
            seconds = whole + nano / 1e9
        elif (level, name) in ((0, 11), (41, 25)):    # IP_RECVERR, IPV6_RECVERR
            number, origin, _, _, _, kind, place = struct.unpack_from("=IBBBBII", value)
            equal((number, origin), (ENOMSG, ORIGIN))
    check(abs(time.time() - seconds) < 60, seconds)
    return kind, place, seconds, data


def reports(sock, *wanted):
    """The first of each wanted (kind, place), by time. A segment that went again is told of again."""
    got, newest = {}, max(place for _, place in wanted)

    def all_there():
        while one := report(sock):
            check(one[0] in [kind for kind, _ in wanted] and one[1] <= newest, f"{one}, not of {wanted}")
            if one[:2] in wanted:
                got.setdefault(one[:2], one)
        return len(got) == len(wanted)
    until(all_there, text=lambda: f"of {wanted}: {got}")
    return sorted(got.values(), key=lambda one: one[2])


def carry(client, server, data):
    client.sendall(data)
    equal(server.recv(len(data), socket.MSG_WAITALL), data)


@test(*ALL)
def each_send_is_told_by_its_last_byte(t):
    client, server = t.pair()
    carry(client, server, b"before")
    ask(client, SENT | SOFTWARE | PLACE | ALONE)
    place = -1
    for size in (100, 1, 50000, 200000):
        carry(client, server, os.urandom(size))
        place += size
        equal(reports(client, (SND, place))[0][3], b"")
    equal(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
    carry(server, client, b"nobody asked")
    equal(report(server), None)


@test(*ALL)
def queueing_sending_and_acknowledgment_are_told(t):
    client, server = t.pair()
    ask(client, QUEUED | SENT | ACKED | SOFTWARE | PLACE | ALONE)
    for place in (9, 19):
        carry(client, server, bytes(10))
        carry(server, client, b"an acknowledgment, too")
        steps = (SCHED, place), (SND, place), (ACK, place)
        equal(tuple(one[:2] for one in reports(client, *steps)), steps, "in the order of their times")


@test(*ALL)
def without_a_place_it_is_zero(t):
    client, server = t.pair()
    ask(client, SENT | SOFTWARE | ALONE)
    for _ in range(3):
        carry(client, server, bytes(100))
        reports(client, (SND, 0))


@test(*ALL)
def the_packet_comes_with_it(t):
    client, server = t.pair()
    ask(client, SENT | SOFTWARE | PLACE)
    carry(client, server, b"these very bytes")
    data = reports(client, (SND, 15))[0][3]
    check(data.endswith(b"these very bytes"), data)


@test(*ALL)
def places_are_counted_from_where_it_was_asked(t):
    client, server = t.pair()
    for _ in range(3):
        ask(client, SENT | SOFTWARE | PLACE | ALONE)
        carry(client, server, bytes(1000))
        reports(client, (SND, 999))
        ask(client, 0)
        carry(client, server, bytes(77))
        equal(report(client), None)


@test(*ALL)
def one_send_may_ask_for_itself(t):
    client, server = t.pair()
    ask(client, SOFTWARE | ALONE)
    carry(client, server, bytes(10))
    equal(report(client), None)
    client.sendmsg([bytes(20)], [(socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("=I", SENT))])
    reports(client, (SND, 0))
    carry(client, server, bytes(10))
    equal(report(client), None)


@test(*ALL)
def control_messages_are_checked(t):
    client, server = t.pair()
    for level, name, value in ((socket.SOL_SOCKET, 9999, b"1234"), (socket.SOL_SOCKET, SO_TIMESTAMPING, b"1"),
                               (socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("=I", SOFTWARE))):
        equal(error_of(client.sendmsg, [b"data"], [(level, name, value)]), "EINVAL", f"{name} {value}")
    client.sendmsg([b"data"], [(99, 1, b"of no level here")])
    equal(server.recv(100), b"data", "the first that went")


@test(*ALL)
def reports_wake_who_polls(t):
    client, server = t.pair()
    ask(client, ACKED | SOFTWARE | PLACE | ALONE)
    poll = select.epoll()
    poll.register(client, select.EPOLLET)
    carry(client, server, b"data")
    equal(poll.poll(5), [(client.fileno(), select.EPOLLERR)])
    reports(client, (ACK, 3))
    poll.close()


@test(*ALL)
def unread_reports_go_with_the_socket(t):
    for _ in range(20):
        client, server = t.pair()
        ask(client, QUEUED | SENT | ACKED | SOFTWARE)
        for _ in range(20):
            client.send(bytes(1000))
        poll = select.poll()
        poll.register(client, 0)
        equal(poll.poll(5000), [(client.fileno(), select.POLLERR)], "what poll says")
        client.close()
        server.close()


# ---- statistics ------------------------------------------------------------------------

def attributes(raw):
    """Netlink attributes by name."""
    found, where = {}, 0
    while where < len(raw):
        size, number = struct.unpack_from("=HH", raw, where)
        if number:    # 0 pads, where the machine wants that
            name, form = ATTRIBUTES[number]
            equal(size, 4 + struct.calcsize(form), f"size of {name}")
            found[name], = struct.unpack_from(form, raw, where + 4)
        where += -(-size // 4) * 4
    return found


def statistics(sock, *wanted):
    """Of the first report of each wanted (kind, place)."""
    got = {}

    def all_there():
        while select.select([], [], [sock], 0) and (one := next_statistics(sock)):
            got.setdefault(one[0], one[1])
        return set(wanted) <= set(got)
    until(all_there, text=lambda: f"of {wanted}: {got}")
    return [got[key] for key in wanted]


def next_statistics(sock):
    try:
        data, control, _, _ = take(sock)
    except BlockingIOError:
        return None
    raw, = [value for level, name, value in control if (level, name) == (socket.SOL_SOCKET, SCM_STATISTICS)]
    equal(data, raw, "the report's bytes")
    key, = [struct.unpack_from("=II", value, 8) for level, name, value in control if (level, name) in ((0, 11), (41, 25))]
    return key, attributes(raw)


@test(*ALL)
def statistics_come_with_it(t):
    client, server = t.pair()
    equal(error_of(ask, client, SENT | SOFTWARE | STATISTICS), "EINVAL", "the packet, too")
    ask(client, QUEUED | SENT | ACKED | SOFTWARE | PLACE | ALONE | STATISTICS)
    begin, sent = time.monotonic_ns(), 0
    rounded = 0 if t.sluice else 10000    # kernel TCP counts how long it was busy in jiffies
    for size in 1000, 30000:
        carry(client, server, bytes(size))
        carry(server, client, b"an acknowledgment, too")
        sent += size
        queued, gone, acked = statistics(client, (SCHED, sent - 1), (SND, sent - 1), (ACK, sent - 1))
        end, info = time.monotonic_ns(), tcp_info(client)
        equal((set(queued), set(gone), set(acked)), (TOLD - {"ttl"}, TOLD - {"ttl"}, TOLD))
        equal(acked["ttl"], 64)
        for which, was in ("queued", queued), ("gone", gone), ("acked", acked):
            for name, value in (("bytes_sent", sent), ("data_segs_out", info["data_segs_out"]), ("bytes_notsent", None),
                                ("total_retrans", 0), ("bytes_retrans", 0), ("recur_retrans", 0), ("ca_state", 0),
                                ("delivered_ce", 0), ("dsack_dups", 0), ("reord_seen", 0), ("timeout_rehash", 0),
                                ("rwnd_limited", 0), ("sndbuf_limited", 0), ("snd_ssthresh", 0x7fffffff),
                                ("reordering", 3)):
                if value is not None:
                    equal(was[name], value, f"{name} when {which}")
            check(begin < was["edt"] < end, f"{begin} < {was['edt']} < {end}")
            check(was["snd_cwnd"] >= 10 and was["pacing_rate"] > 10000, was)
            check(was["busy"] <= (end - begin) / 1000 + rounded and 0 < was["srtt"] < 1e7 and 0 < was["min_rtt"] < 1e7, was)
        check(gone["sndq_size"] >= size and gone["bytes_notsent"] >= gone["sndq_size"] - sent, gone)
        equal((acked["sndq_size"], acked["bytes_notsent"]), (0, 0))
        check(gone["delivered"] <= acked["delivered"] <= info["delivered"], (gone["delivered"], acked["delivered"]))
        check(acked["edt"] - begin < end - begin)
    check(acked["delivery_rate"] > 1000, acked)


@test(*ALL)
def without_being_asked_no_statistics_come(t):
    client, server = t.pair()
    ask(client, SENT | ACKED | SOFTWARE | PLACE | ALONE)
    carry(client, server, bytes(1000))
    until(lambda: select.select([], [], [client], 0)[2] or True)
    for one in reports(client, (SND, 999), (ACK, 999)):
        equal(one[3], b"")


@test(*FAR)
def statistics_tell_of_loss(t):
    with Link() as link:
        client, server = joined(t)
        ask(client, QUEUED | ACKED | SOFTWARE | PLACE | ALONE | STATISTICS)
        carry(client, server, bytes(1000))
        before, = statistics(client, (ACK, 999))
        equal((before["total_retrans"], before["recur_retrans"]), (0, 0))
        link.netem("loss", "100%", leaving=(Link.NEAR,))
        client.sendall(bytes(500))
        until(lambda: tcp_info(client)["retransmits"] >= 2)
        while (again := next_statistics(client)[1])["total_retrans"] < 3:    # each time it goes there is one
            equal((again["sndq_size"], again["bytes_sent"]), (500, 1500 + again["bytes_retrans"]))
        check(again["recur_retrans"] >= 1 and again["ca_state"] == 4, again)
        link.netem("loss", "0%", leaving=(Link.NEAR,))
        equal(server.recv(500, socket.MSG_WAITALL), bytes(500))
        after, = statistics(client, (ACK, 1499))
        info = tcp_info(client)
        check(after["total_retrans"] >= 3, after)
        equal({name: after[name] for name in ("total_retrans", "bytes_retrans", "bytes_sent", "data_segs_out")},
              {name: info[name] for name in ("total_retrans", "bytes_retrans", "bytes_sent", "data_segs_out")})
        equal(after["bytes_sent"], 1500 + after["bytes_retrans"])
        check(after["busy"] >= 400000 and after["recur_retrans"] == 0 and after["snd_ssthresh"] < 1000, after)
        abort(client, server)


# ---- over a link -------------------------------------------------------------------------

@test(*FAR)
def the_right_segment_has_the_mark(t):
    """Where the stack cuts what the device can't."""
    with Link():
        for name in ("tso", "gso"):
            command("ethtool", "-K", "v0", name, "off", namespace=Link.NEAR)
        client, server = joined(t)
        ask(client, SENT | ACKED | SOFTWARE | PLACE | ALONE)
        place = -1
        for size in (20000, 100, 50000):
            carry(client, server, bytes(size))
            place += size
            reports(client, (SND, place), (ACK, place))
        abort(client, server)


@test(*FAR)
def acknowledgment_comes_later(t):
    with Link() as link:
        link.netem("delay", "100ms")
        client, server = joined(t)
        ask(client, SENT | ACKED | SOFTWARE | PLACE | ALONE)
        carry(client, server, bytes(1000))
        (_, _, sent, _), (_, _, acked, _) = reports(client, (SND, 999), (ACK, 999))
        check(0.09 < acked - sent < 10, f"{acked - sent} s")
        abort(client, server)


if __name__ == "__main__":
    run(*sys.argv[1:])
