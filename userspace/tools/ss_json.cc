// SPDX-License-Identifier: GPL-2.0
// sluice ss as JSON: times in microseconds unless the name says otherwise, sizes
// in bytes, rates in bytes per second, as in struct sluice_info.
#include "ss_show.h"

#include "states.h"
#include "wire.h"

#include <arpa/inet.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace sluice
{

namespace
{

using Json = nlohmann::ordered_json;

Json address_of(const uint8_t bytes[16])
{
    static constexpr std::array<uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];
    bool v4 = std::equal(mapped.begin(), mapped.end(), bytes);
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, text, sizeof(text));
    return text;
}

Json options_of(const sluice_info& i)
{
    return {{"timestamps", (i.options & SLUICE_OPT_TIMESTAMPS) != 0},
            {"sack", (i.options & SLUICE_OPT_SACK) != 0},
            {"window_scaling", (i.options & SLUICE_OPT_WSCALE) != 0},
            {"ecn", (i.options & SLUICE_OPT_ECN) != 0},
            {"ecn_seen", (i.options & SLUICE_OPT_ECN_SEEN) != 0},
            {"fastopen", (i.options & SLUICE_OPT_SYN_DATA) != 0}};
}

// Members of struct sluice_info under their own names.
Json info_of(const sluice_info& i)
{
    Json j = {{"recovery", recovery_name(i.recovery)}, {"options", options_of(i)}};
#define SLUICE_MEMBER(name) j[#name] = i.name
    SLUICE_MEMBER(backoff);
    SLUICE_MEMBER(snd_wscale);
    SLUICE_MEMBER(rcv_wscale);
    SLUICE_MEMBER(probes);
    SLUICE_MEMBER(retransmits);
    SLUICE_MEMBER(rto);
    SLUICE_MEMBER(ato);
    SLUICE_MEMBER(snd_mss);
    SLUICE_MEMBER(rcv_mss);
    SLUICE_MEMBER(advmss);
    SLUICE_MEMBER(pmtu);
    SLUICE_MEMBER(rtt);
    SLUICE_MEMBER(rttvar);
    SLUICE_MEMBER(min_rtt);
    SLUICE_MEMBER(rcv_rtt);
    SLUICE_MEMBER(cwnd);
    SLUICE_MEMBER(snd_wnd);
    SLUICE_MEMBER(rcv_wnd);
    SLUICE_MEMBER(in_flight);
    SLUICE_MEMBER(sacked);
    SLUICE_MEMBER(lost);
    SLUICE_MEMBER(unsent);
    SLUICE_MEMBER(unacked);
    SLUICE_MEMBER(unread);
    SLUICE_MEMBER(held);
    SLUICE_MEMBER(reordering);
    SLUICE_MEMBER(rcv_space);
    SLUICE_MEMBER(bytes_sent);
    SLUICE_MEMBER(bytes_retrans);
    SLUICE_MEMBER(bytes_acked);
    SLUICE_MEMBER(bytes_received);
    SLUICE_MEMBER(segs_out);
    SLUICE_MEMBER(segs_in);
    SLUICE_MEMBER(data_segs_out);
    SLUICE_MEMBER(data_segs_in);
    SLUICE_MEMBER(retrans_segs);
    SLUICE_MEMBER(delivered);
    SLUICE_MEMBER(delivered_ce);
    SLUICE_MEMBER(delivery_rate);
    SLUICE_MEMBER(pacing_rate);
    SLUICE_MEMBER(dsack_dups);
    SLUICE_MEMBER(reord_seen);
    SLUICE_MEMBER(busy_time);
    SLUICE_MEMBER(rwnd_limited);
    SLUICE_MEMBER(sndbuf_limited);
    SLUICE_MEMBER(retrans_out);
    SLUICE_MEMBER(unacked_segs);
    SLUICE_MEMBER(sacked_segs);
    SLUICE_MEMBER(lost_segs);
    SLUICE_MEMBER(retrans_out_segs);
    SLUICE_MEMBER(out_of_order);
    SLUICE_MEMBER(rate_app_limited);
    SLUICE_MEMBER(timeouts);
    SLUICE_MEMBER(timeout_rows);
    SLUICE_MEMBER(timeout_time);
#undef SLUICE_MEMBER
    j["ssthresh"] = i.ssthresh == ~0u ? Json(nullptr) : Json(i.ssthresh);
    j["last_data_sent_ms"] = i.last_data_sent;
    j["last_data_recv_ms"] = i.last_data_recv;
    j["last_ack_recv_ms"] = i.last_ack_recv;
    j["timer_in"] = i.timer_in;
    return j;
}

Json memory_of(const sluice_socket& s)
{
    static constexpr std::array names = {"rmem_alloc", "rcvbuf",    "wmem_alloc",
                                         "sndbuf",     "fwd_alloc", "wmem_queued",
                                         "optmem",     "backlog",   "drops"};
    Json j;
    for (size_t i = 0; i < names.size(); i++)
        j[names[i]] = s.meminfo[i];
    return j;
}

Json owners_of(const std::vector<Owner>& owners)
{
    Json list = Json::array();
    for (const Owner& o : owners)
        list.push_back({{"program", o.program}, {"pid", o.pid}, {"fd", o.fd}});
    return list;
}

Json endpoint(const uint8_t bytes[16], in_port_t port)
{
    return {{"address", address_of(bytes)}, {"port", ntohs(port)}};
}

Json socket_of(const sluice_socket& s, const Owners& owners)
{
    const sluice_diag_msg& m = s.msg;
    Json j = {{"state", state_name(m.state)},
              {"protocol", m.id.protocol},
              {"wire", wire_name(s)},
              {"local", endpoint(m.id.src, m.id.sport)},
              {"peer", endpoint(m.id.dst, m.id.dport)},
              {"ifindex", m.id.ifindex},
              {"recv_q", m.rqueue},
              {"send_q", m.wqueue},
              {"uid", m.uid},
              {"inode", m.inode},
              {"cookie", m.cookie},
              {"timer", timer_name(m.timer)},
              {"timer_expires_ms", m.expires},
              {"retrans", m.retrans},
              {"shutdown", s.shutdown},
              {"v6only", s.v6only}};
    if (s.has_mark)
        j["mark"] = s.mark;
    if (m.state == state_listen)
        j["listen"] = {
            {"accept_queue", s.accept_queue}, {"backlog", s.backlog}, {"half_open", s.half_open}};
    if (s.cc[0])
        j["cc"] = s.cc;
    if (s.has_info && m.state != state_listen)
        j["info"] = info_of(s.info);
    if (s.has_meminfo)
        j["memory"] = memory_of(s);
    if (auto found = owners.find(m.inode); m.inode && found != owners.end())
        j["owners"] = owners_of(found->second);
    return j;
}

} // namespace

std::string sockets_as_json(const std::vector<sluice_socket>& sockets, const Owners& owners)
{
    Json list = Json::array();
    for (const sluice_socket& s : sockets)
        list.push_back(socket_of(s, owners));
    return list.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace sluice
