# SPDX-License-Identifier: GPL-2.0
# struct tcp_info of linux/tcp.h, as far as a kernel has it.
import socket
import struct

FORM = (("state", "B"), ("ca_state", "B"), ("retransmits", "B"), ("probes", "B"), ("backoff", "B"), ("options", "B"),
        ("wscales", "B"), ("flags", "B"),
        *((name, "I") for name in """rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent
          last_ack_sent last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss
          reordering rcv_rtt rcv_space total_retrans""".split()),
        *((name, "Q") for name in "pacing_rate max_pacing_rate bytes_acked bytes_received".split()),
        *((name, "I") for name in "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out".split()),
        *((name, "Q") for name in "delivery_rate busy_time rwnd_limited sndbuf_limited".split()),
        ("delivered", "I"), ("delivered_ce", "I"), ("bytes_sent", "Q"), ("bytes_retrans", "Q"),
        *((name, "I") for name in "dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash".split()),
        ("total_rto", "H"), ("total_rto_recoveries", "H"), ("total_rto_time", "I"))


def tcp_info(sock):
    """Its members by name, without tcpi_. wscales: of sending in the lower half; flags: app_limited is 1."""
    raw, told, where = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512), {}, 0
    for name, kind in FORM:
        if where + struct.calcsize(kind) > len(raw):
            break
        told[name], = struct.unpack_from("=" + kind, raw, where)
        where += struct.calcsize(kind)
    return told
