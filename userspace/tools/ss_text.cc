// SPDX-License-Identifier: GPL-2.0
// sluice ss as text: columns as ss has them, further lines below a socket.
#include "ss_show.h"

#include "states.h"
#include "table.h"
#include "units.h"
#include "wire.h"

#include <fmt/format.h>

#include <array>

namespace sluice
{

namespace
{

// "name:value" items on one line.
class Items
{
public:
    template<typename... Args> void add(fmt::format_string<Args...> format, Args&&... args)
    {
        text_ += (text_.empty() ? "" : " ") + fmt::format(format, std::forward<Args>(args)...);
    }
    // Only when there is something to say.
    void add_number(const char* name, uint64_t value)
    {
        if (value)
            add("{}:{}", name, value);
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

std::string milliseconds(uint64_t us)
{
    return fmt::format("{}ms", static_cast<double>(us) / 1000);
}

void add_path(Items& items, const sluice_info& i)
{
    if (i.options & SLUICE_OPT_TIMESTAMPS)
        items.add("ts");
    if (i.options & SLUICE_OPT_SACK)
        items.add("sack");
    if (i.options & SLUICE_OPT_ECN)
        items.add("ecn");
    if (i.options & SLUICE_OPT_ECN_SEEN)
        items.add("ecnseen");
    if (i.options & SLUICE_OPT_SYN_DATA)
        items.add("fastopen");
    if (i.options & SLUICE_OPT_WSCALE)
        items.add("wscale:{},{}", i.snd_wscale, i.rcv_wscale);
    items.add("rto:{}", milliseconds(i.rto));
    items.add_number("backoff", i.backoff);
    if (i.rtt)
        items.add("rtt:{}/{}ms", static_cast<double>(i.rtt) / 1000,
                  static_cast<double>(i.rttvar) / 1000);
    if (i.min_rtt)
        items.add("minrtt:{}", milliseconds(i.min_rtt));
    if (i.ato)
        items.add("ato:{}", milliseconds(i.ato));
    items.add("mss:{} pmtu:{} rcvmss:{} advmss:{}", i.snd_mss, i.pmtu, i.rcv_mss, i.advmss);
}

void add_congestion(Items& items, const sluice_info& i)
{
    uint32_t mss = i.snd_mss ? i.snd_mss : 1;
    items.add("cwnd:{} ({} bytes)", i.cwnd / mss, i.cwnd);
    if (i.ssthresh != ~0u)
        items.add("ssthresh:{} ({} bytes)", i.ssthresh / mss, i.ssthresh);
    items.add("recovery:{}", recovery_name(i.recovery));
    items.add_number("in_flight", i.in_flight);
    items.add_number("unacked", i.unacked);
    items.add_number("lost", i.lost);
    items.add_number("sacked", i.sacked);
    items.add_number("retransmits", i.retransmits);
    items.add_number("probes", i.probes);
    if (i.reordering != 3)
        items.add("reordering:{}", i.reordering);
    items.add_number("reord_seen", i.reord_seen);
    items.add_number("dsack_dups", i.dsack_dups);
}

void add_totals(Items& items, const sluice_info& i)
{
    items.add_number("bytes_sent", i.bytes_sent);
    items.add_number("bytes_retrans", i.bytes_retrans);
    items.add_number("bytes_acked", i.bytes_acked);
    items.add_number("bytes_received", i.bytes_received);
    items.add("segs_out:{} segs_in:{}", i.segs_out, i.segs_in);
    items.add_number("data_segs_out", i.data_segs_out);
    items.add_number("data_segs_in", i.data_segs_in);
    items.add_number("retrans", i.retrans_segs);
    items.add_number("retrans_out", i.retrans_out_segs);
    items.add_number("timeouts", i.timeouts);
    items.add_number("rcv_ooopack", i.out_of_order);
    items.add_number("delivered", i.delivered);
    items.add_number("delivered_ce", i.delivered_ce);
}

void add_rates(Items& items, const sluice_info& i)
{
    if (i.rtt)
        items.add("send {}", human_bits(i.cwnd * 1e6 / i.rtt));
    if (i.delivery_rate)
        items.add("delivery_rate {}", human_bits(static_cast<double>(i.delivery_rate)));
    if (i.rate_app_limited)
        items.add("app_limited");
    if (i.pacing_rate && i.pacing_rate != ~0ull)
        items.add("pacing_rate {}", human_bits(static_cast<double>(i.pacing_rate)));
    if (i.busy_time)
        items.add("busy:{}", milliseconds(i.busy_time));
    if (i.rwnd_limited)
        items.add("rwnd_limited:{}", milliseconds(i.rwnd_limited));
    if (i.sndbuf_limited)
        items.add("sndbuf_limited:{}", milliseconds(i.sndbuf_limited));
}

void add_windows(Items& items, const sluice_info& i)
{
    items.add("snd_wnd:{} rcv_wnd:{}", i.snd_wnd, i.rcv_wnd);
    items.add_number("rcv_space", i.rcv_space);
    if (i.rcv_rtt)
        items.add("rcv_rtt:{}", milliseconds(i.rcv_rtt));
    items.add_number("unsent", i.unsent);
    items.add_number("held", i.held);
    items.add("lastsnd:{}ms lastrcv:{}ms lastack:{}ms", i.last_data_sent, i.last_data_recv,
              i.last_ack_recv);
}

std::string timer_item(const sluice_diag_msg& m)
{
    return fmt::format("timer:({},{}ms,{})", timer_name(m.timer), m.expires, m.retrans);
}

std::string info_line(const sluice_socket& s)
{
    Items items;
    if (s.cc[0])
        items.add("{}", s.cc);
    if (s.msg.timer != SLUICE_TIMER_NONE)
        items.add("{}", timer_item(s.msg));
    add_path(items, s.info);
    add_congestion(items, s.info);
    add_totals(items, s.info);
    add_rates(items, s.info);
    add_windows(items, s.info);
    return "\t " + items.text();
}

// The letters of ss -m: SK_MEMINFO_* in their order.
std::string memory_line(const sluice_socket& s)
{
    static constexpr std::array letters = {"r", "rb", "t", "tb", "f", "w", "o", "bl", "d"};
    std::string text;
    for (size_t i = 0; i < letters.size(); i++)
        text += fmt::format("{}{}{}", i ? "," : "", letters[i], s.meminfo[i]);
    return "\t skmem:(" + text + ")";
}

std::string details(const sluice_socket& s, const Owners& owners, const SsOptions& o)
{
    Items items;
    if (auto found = owners.find(s.msg.inode); s.msg.inode && found != owners.end()) {
        std::string list;
        for (const Owner& owner : found->second)
            list += fmt::format("{}(\"{}\",pid={},fd={})", list.empty() ? "" : ",", owner.program,
                                owner.pid, owner.fd);
        items.add("users:({})", list);
    }
    if (o.timers && s.msg.timer != SLUICE_TIMER_NONE)
        items.add("{}", timer_item(s.msg));
    if (o.extended) {
        items.add_number("uid", s.msg.uid);
        if (s.msg.inode)
            items.add("ino:{}", s.msg.inode);
        if (s.msg.cookie)
            items.add("sk:{:x}", s.msg.cookie);
        if (s.mark)
            items.add("fwmark:{:#x}", s.mark);
        if (s.shutdown)
            items.add("shutdown:{}{}", s.shutdown & 1 ? "r" : "", s.shutdown & 2 ? "w" : "");
        items.add_number("v6only", s.v6only);
        items.add_number("half_open", s.half_open);
    }
    return items.text();
}

std::vector<std::string> columns(const sluice_socket& s, const Owners& owners, const SsOptions& o)
{
    char local[SLUICE_ADDRESS_TEXT], remote[SLUICE_ADDRESS_TEXT];
    const sluice_diag_id& id = s.msg.id;
    sluice_format_address(id.src, id.ifindex, id.sport, local);
    sluice_format_address(id.dst, id.ifindex, id.dport, remote);
    return {std::string(state_name(s.msg.state)),
            std::to_string(s.msg.rqueue),
            std::to_string(s.msg.wqueue),
            local,
            remote,
            std::string(wire_name(s)),
            details(s, owners, o)};
}

} // namespace

const char* timer_name(unsigned timer)
{
    static constexpr std::array names = {"none",      "retransmit", "persist",   "delayed-ack",
                                         "keepalive", "fin-wait-2", "time-wait", "pacing"};
    return timer < names.size() ? names[timer] : "unknown";
}

const char* recovery_name(unsigned recovery)
{
    static constexpr std::array names = {"open", "disorder", "cwr", "recovery", "loss"};
    return recovery < names.size() ? names[recovery] : "unknown";
}

std::string sockets_as_text(const std::vector<sluice_socket>& sockets, const Owners& owners,
                            const SsOptions& options)
{
    Table table("<>><<<<");
    if (!options.no_header)
        table.add({"State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Wire",
                   options.processes ? "Process" : ""});
    for (const sluice_socket& s : sockets) {
        table.add(columns(s, owners, options));
        if (options.memory && s.has_meminfo)
            table.add_line(memory_line(s));
        if (options.info && s.has_info && s.msg.state != state_listen)
            table.add_line(info_line(s));
    }
    return table.text();
}

} // namespace sluice
