// SPDX-License-Identifier: GPL-2.0
// Per-connection options: ranges are Linux's.
#include "connection.h"
#include "errors.h"

namespace sluice
{

namespace
{

bool in_range(sluice_option option, uint64_t v)
{
    constexpr uint64_t second = 1000000;
    switch (option) {
    case SLUICE_OPTION_NODELAY:
    case SLUICE_OPTION_CORK:
    case SLUICE_OPTION_QUICKACK:
    case SLUICE_OPTION_KEEPALIVE:
    case SLUICE_OPTION_FASTOPEN_NO_COOKIE:
        return v <= 1;
    case SLUICE_OPTION_MAXSEG:
        return v == 0 || (v >= 88 && v <= 32767);
    case SLUICE_OPTION_KEEPIDLE:
    case SLUICE_OPTION_KEEPINTVL:
        return v >= second && v <= 32767 * second;
    case SLUICE_OPTION_KEEPCNT:
    case SLUICE_OPTION_SYNCNT:
        return v >= 1 && v <= 127;
    case SLUICE_OPTION_DEFER_ACCEPT:
        return v <= 255;
    case SLUICE_OPTION_SEGMENT_MAX:
        return v >= 1 && v <= 0xffffffffu;
    case SLUICE_OPTION_FASTOPEN:
    case SLUICE_OPTION_WINDOW_CLAMP:
    case SLUICE_OPTION_NOTSENT_LOWAT:
        return v <= 0xffffffffu;
    case SLUICE_OPTION_USER_TIMEOUT:
        return v / 1000 <= 0xffffffffu;
    case SLUICE_OPTION_LINGER2:
    case SLUICE_OPTION_MAX_PACING_RATE:
        return true;
    default:
        return false;
    }
}

uint32_t to_seconds(uint64_t us)
{
    return static_cast<uint32_t>(us / 1000000);
}

} // namespace

} // namespace sluice

using namespace sluice;

extern "C" {

int sluice_conn_set_option(sluice_conn* c, sluice_option option, uint64_t v, sluice_usec now)
{
    Connection& n = of(c);
    Settings& s = n.set;
    if (!in_range(option, v))
        return -error::invalid;
    Instant t(now);
    switch (option) {
    case SLUICE_OPTION_NODELAY:
        s.nodelay = v;
        if (v)
            n.output(t);
        break;
    case SLUICE_OPTION_CORK:
        s.cork = v;
        if (!v)
            n.output(t);
        break;
    case SLUICE_OPTION_QUICKACK:
        n.ack.interactive = !v;
        if (v && n.ack.pending && n.synchronized())
            n.send_ack(t);
        break;
    case SLUICE_OPTION_MAXSEG:
        s.maxseg = static_cast<uint16_t>(v);
        break;
    case SLUICE_OPTION_KEEPALIVE:
        s.keepalive = v;
        if (v && n.synchronized())
            n.arm_keepalive(t);
        break;
    case SLUICE_OPTION_KEEPIDLE:
        s.keep_idle_s = to_seconds(v);
        if (s.keepalive && n.synchronized())
            n.arm_keepalive(n.timers.last_receive);
        break;
    case SLUICE_OPTION_KEEPINTVL:
        s.keep_interval_s = to_seconds(v);
        break;
    case SLUICE_OPTION_KEEPCNT:
        s.keep_count = static_cast<uint8_t>(v);
        break;
    case SLUICE_OPTION_SYNCNT:
        s.syn_count = static_cast<uint8_t>(v);
        break;
    case SLUICE_OPTION_LINGER2:
        s.linger2_s = v == ~0ull ? ~0u : least(to_seconds(v), 120u);
        break;
    case SLUICE_OPTION_DEFER_ACCEPT:
        s.defer_accept = static_cast<uint8_t>(v);
        break;
    case SLUICE_OPTION_FASTOPEN:
        s.fastopen = static_cast<uint32_t>(v);
        break;
    case SLUICE_OPTION_FASTOPEN_NO_COOKIE:
        s.fastopen_no_cookie = v;
        break;
    case SLUICE_OPTION_USER_TIMEOUT:
        s.user_timeout_ms = static_cast<uint32_t>(v / 1000);
        break;
    case SLUICE_OPTION_WINDOW_CLAMP:
        s.window_clamp = static_cast<uint32_t>(v);
        break;
    case SLUICE_OPTION_NOTSENT_LOWAT:
        s.notsent_lowat = static_cast<uint32_t>(v);
        break;
    case SLUICE_OPTION_MAX_PACING_RATE:
        s.max_pacing_rate = v;
        n.update_pacing();
        n.output(t);
        break;
    case SLUICE_OPTION_SEGMENT_MAX:
        n.snd.segment_max = static_cast<uint32_t>(v);
        break;
    default:
        return -error::invalid;
    }
    n.finish(t);
    return 0;
}

uint64_t sluice_conn_option(const sluice_conn* c, sluice_option option)
{
    const Connection& n = of(c);
    const Settings& s = n.set;
    switch (option) {
    case SLUICE_OPTION_NODELAY:
        return s.nodelay;
    case SLUICE_OPTION_CORK:
        return s.cork;
    case SLUICE_OPTION_QUICKACK:
        return !n.ack.interactive;
    case SLUICE_OPTION_MAXSEG:
        return n.synchronized() ? n.snd.mss : s.maxseg;
    case SLUICE_OPTION_KEEPALIVE:
        return s.keepalive;
    case SLUICE_OPTION_KEEPIDLE:
        return s.keep_idle_s ? s.keep_idle_s * 1000000ull : n.config->keepalive_time;
    case SLUICE_OPTION_KEEPINTVL:
        return s.keep_interval_s ? s.keep_interval_s * 1000000ull : n.config->keepalive_interval;
    case SLUICE_OPTION_KEEPCNT:
        return s.keep_count ? s.keep_count : n.config->keepalive_probes;
    case SLUICE_OPTION_SYNCNT:
        return s.syn_count ? s.syn_count : n.config->syn_retries;
    case SLUICE_OPTION_LINGER2:
        if (s.linger2_s == ~0u)
            return ~0ull;
        return s.linger2_s ? s.linger2_s * 1000000ull : n.config->fin_timeout;
    case SLUICE_OPTION_DEFER_ACCEPT:
        return s.defer_accept;
    case SLUICE_OPTION_FASTOPEN:
        return s.fastopen;
    case SLUICE_OPTION_FASTOPEN_NO_COOKIE:
        return s.fastopen_no_cookie;
    case SLUICE_OPTION_USER_TIMEOUT:
        return s.user_timeout_ms * 1000ull;
    case SLUICE_OPTION_WINDOW_CLAMP:
        return s.window_clamp;
    case SLUICE_OPTION_NOTSENT_LOWAT:
        return s.notsent_lowat;
    case SLUICE_OPTION_MAX_PACING_RATE:
        return s.max_pacing_rate;
    case SLUICE_OPTION_SEGMENT_MAX:
        return n.snd.segment_max;
    default:
        return 0;
    }
}

} // extern "C"
