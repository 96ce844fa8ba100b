// SPDX-License-Identifier: GPL-2.0
// TCP Fast Open (RFC 7413): data in a SYN, and a connection that the SYN opens.
//
// Client: the SYN carries data and a cookie, or asks for one. Data that the
// SYN-ACK doesn't acknowledge go again as if they had never been sent, and a SYN
// that was lost goes again without them.
//
// Server: a SYN with a good cookie makes the child at once. It is in
// SYN_RECEIVED, with its SYN counted as acknowledged (snd.una): it may be read
// from and written to. Until the SYN-ACK is acknowledged that alone is sent
// again; only then are data timed. A FIN waits until then, too.
#include "connection.h"
#include "half_open.h"
#include "wire.h"

namespace sluice
{

namespace
{

// Bits of the parameter `fastopen`, which are those of Linux's sysctl.
enum : uint64_t {
    SERVER = 2,
    CLIENT_NO_COOKIE = 4,
    SERVER_NO_COOKIE = 0x200,
    EVERY_LISTENER = 0x400
};

constexpr uint32_t SYN_OPTIONS_MAX = 40;

bool same(const sluice_fastopen_cookie& a, const sluice_fastopen_cookie& b)
{
    return a.length == b.length && !__builtin_memcmp(a.bytes, b.bytes, a.length);
}

} // namespace

// ---- the client ------------------------------------------------------------------

void Connection::connect_fast(const sluice_path& path, uint32_t bytes,
                              const sluice_fastopen_cookie* cookie, Instant now)
{
    fast.asked = true;
    fast.offered = static_cast<uint16_t>(bytes);
    if (cookie && !cookie->length)
        fast.failure = FastOpen::CookieUnavailable;
    connect(path, cookie, now);
}

// The answer to a SYN with data, or to one that asked. Acknowledged data leave
// the buffer; what isn't, never went.
void Connection::fast_open_answered(const sluice_segment& seg, Sequence seg_ack)
{
    static constexpr sluice_fastopen_cookie none{};
    sluice_host_fastopen_learned(handle(), seg.has_fastopen ? &seg.fastopen : &none, seg.mss);
    if (!fast.offered)
        return;
    fast.taken = seg_ack > snd.nxt;
    count(fast.taken ? SLUICE_CNT_fastopen_active : SLUICE_CNT_fastopen_active_fail);
    if (!fast.taken)
        fast.failure = timers.retransmits ? FastOpen::SynRetransmitted : FastOpen::NotAcknowledged;
    snd.nxt = later(snd.nxt, seg_ack);
}

// Two in a row: the path may drop such SYNs, and what follows them (4.1.3.1).
void Connection::fast_open_lost()
{
    if (fast.asked && timers.retransmits == 2) {
        count(SLUICE_CNT_fastopen_blackholes);
        sluice_host_fastopen_lost(handle());
    }
}

// ---- the server ------------------------------------------------------------------

void Connection::accept_early(sluice_segment& syn, const sluice_fastopen_cookie* grant, Instant now)
{
    count(SLUICE_CNT_fastopen_passive);
    fast.early = true;
    fast.taken = syn.length > 0;
    snd.una = snd.nxt;
    snd.wnd = snd.max_wnd = syn.window;
    timers.retrans_began = now;
    begin_transfer(now);
    syn.seq++;
    syn.flags &= static_cast<uint8_t>(~SLUICE_SYN);
    if (syn.length)
        payload(syn, now);
    send_syn(grant, now);
    ack_sent();
}

// It didn't hear the SYN-ACK.
void Connection::repeated_syn(Instant now)
{
    if (!may_answer(now))
        return;
    count(SLUICE_CNT_syn_retrans);
    timers.retransmits++; // no round trip can be measured by it now (Karn)
    send_syn(nullptr, now);
}

// The SYN-ACK is acknowledged.
void Connection::early_established(const sluice_segment& seg, Instant now)
{
    fast.early = false;
    if (!timers.retransmits)
        rtt.sample(now - timers.retrans_began, now);
    else
        take_echo(seg, now);
    handshake_over(now);
}

} // namespace sluice

using namespace sluice;

extern "C" void sluice_conn_connect_fast(sluice_conn* c, const sluice_path* path, uint32_t bytes,
                                         const sluice_fastopen_cookie* cookie, sluice_usec now)
{
    of(c).connect_fast(*path, bytes, cookie, Instant(now));
    of(c).finish(Instant(now));
}

extern "C" uint32_t sluice_fastopen_room(const sluice_path* path, uint16_t mss)
{
    uint32_t most = least<uint32_t>(path->max_payload, mss ? mss : default_mss(path->remote));
    return most > SYN_OPTIONS_MAX ? most - SYN_OPTIONS_MAX : 0;
}

extern "C" void sluice_conn_accept_early(sluice_conn* c, sluice_segment* syn,
                                         const sluice_fastopen_cookie* grant, sluice_usec now)
{
    of(c).accept_early(*syn, grant, Instant(now));
    of(c).finish(Instant(now));
}

extern "C" bool sluice_conn_open_early(const sluice_conn* c)
{
    return of(c).fast.early && of(c).state == State::SynReceived;
}

extern "C" bool sluice_fastopen_judge(const sluice_conn* listener, const sluice_config* config,
                                      const sluice_path* path, const sluice_segment* syn,
                                      sluice_fastopen_cookie* grant)
{
    const bool on = of(listener).set.fastopen || (config->fastopen & EVERY_LISTENER);
    const bool free = of(listener).set.fastopen_no_cookie || (config->fastopen & SERVER_NO_COOKIE);

    grant->length = 0;
    if (!on || !(config->fastopen & SERVER))
        return false;
    if (syn->length && free)
        return true;
    if (!syn->has_fastopen)
        return false;
    sluice_host_fastopen_cookie(listener, path, 0, grant);
    if (!syn->fastopen.length) {
        sluice_host_count(config, SLUICE_CNT_fastopen_cookies_asked, grant->length != 0);
        return false;
    }
    if (grant->length && same(*grant, syn->fastopen)) {
        grant->length = 0;
        return true;
    }
    sluice_fastopen_cookie older;
    sluice_host_fastopen_cookie(listener, path, 1, &older);
    if (older.length && same(older, syn->fastopen))
        return true; // and a new one goes with the answer
    sluice_host_count(config, SLUICE_CNT_fastopen_passive_fail, 1);
    return false;
}
