// SPDX-License-Identifier: GPL-2.0
// A connection that a listener has answered and whose peer has not yet
// answered back: SYN-RECEIVED of a passive open (RFC 9293 3.10.7.2 and
// 3.10.7.4), with RFC 7323's options and RFC 5961's care about RST and SYN.
//
// Timer: the SYN-ACK goes out again after rto_initial, then after twice that,
// and so on up to rto_max; after synack_retries of them the object is dropped
// when the next would be due.
//
// With TCP_DEFER_ACCEPT an ACK that brings nothing is put off, and no SYN-ACK
// is sent again, until the last of `defer` timeouts; that one asks the peer for
// another ACK, which is taken.
#include "half_open.h"

#include "acceptable.h"
#include "ecn.h"
#include "instant.h"
#include "isn.h"
#include "wire.h"

namespace sluice
{

namespace
{

using HalfOpen = sluice_half_open;

Sequence rcv_nxt(const HalfOpen& h)
{
    return Sequence(h.irs) + 1;
}
Sequence snd_nxt(const HalfOpen& h)
{
    return Sequence(h.iss) + 1;
}

HeaderFields header(const HalfOpen& h, uint32_t ts_value)
{
    HeaderFields f;
    f.source = h.local_port;
    f.destination = h.remote_port;
    f.ack = rcv_nxt(h).value();
    f.timestamp = h.timestamp_ok;
    f.ts_value = ts_value;
    f.ts_echo = h.ts_recent;
    return f;
}

void write_ack(const HalfOpen& h, const sluice_config* config, sluice_reply& reply, sluice_usec now)
{
    sluice_host_count(config, SLUICE_CNT_segs_out, 1);
    HeaderFields f = header(h, wire_timestamp(now, h.ts_offset));
    f.seq = snd_nxt(h).value();
    f.flags = SLUICE_ACK;
    f.window = static_cast<uint16_t>(h.rcv_wnd >> h.rcv_wscale);
    reply.header_length = write_header(reply.header, f);
}

void resend_syn_ack(HalfOpen& h, const sluice_config* config, sluice_reply& reply, sluice_usec now)
{
    h.resent = true;
    sluice_host_count(config, SLUICE_CNT_syn_retrans, 1);
    sluice_host_count(config, SLUICE_CNT_retrans_segs, 1);
    write_syn_ack(h, wire_timestamp(now, h.ts_offset), reply);
}

// RFC 6298 5.5.
sluice_usec next_deadline(const HalfOpen& h, const sluice_config* config, sluice_usec now)
{
    // rto_initial is under 2^26, so 32 doublings can't overflow
    uint32_t doublings = least<uint32_t>(h.retries, 32);
    return now + least<sluice_usec>(config->rto_initial << doublings, config->rto_max);
}

void challenge(HalfOpen& h, const sluice_config* config, sluice_reply& reply, sluice_usec now)
{
    if (answered_lately(h.last_answer, now) || !sluice_host_challenge_allowed(config)) {
        sluice_host_count(config, SLUICE_CNT_challenge_acks_limited, 1);
        return;
    }
    h.last_answer = now;
    sluice_host_count(config, SLUICE_CNT_challenge_acks, 1);
    write_ack(h, config, reply, now);
}

// RFC 5961 3.2: exact, in the window, or nothing.
sluice_half_open_result reset_received(HalfOpen& h, const sluice_config* config,
                                       const sluice_segment& seg, sluice_reply& reply,
                                       sluice_usec now)
{
    if (Sequence(seg.seq) == rcv_nxt(h)) {
        sluice_host_count(config, SLUICE_CNT_resets_in, 1);
        sluice_host_count(config, SLUICE_CNT_half_open_resets, 1);
        sluice_host_count(config, SLUICE_CNT_attempt_fails, 1);
        return SLUICE_HALF_OPEN_DROP;
    }
    if (in_window(seg, rcv_nxt(h), h.rcv_wnd)) {
        sluice_host_count(config, SLUICE_CNT_rst_challenged, 1);
        challenge(h, config, reply, now);
    } else {
        sluice_host_count(config, SLUICE_CNT_out_of_window, 1);
    }
    return SLUICE_HALF_OPEN_KEEP;
}

// The peer didn't hear us: our answer again, and the timer starts anew.
void repeated_syn(HalfOpen& h, const sluice_config* config, const sluice_segment& seg,
                  sluice_reply& reply, sluice_usec now)
{
    h.ecn_fell_back |= !asks_for_ecn(seg);
    if (!may_answer(seg, h.last_answer, now))
        return;
    if (h.timestamp_ok && seg.has_timestamp)
        h.ts_recent = seg.ts_value;
    h.deadline = next_deadline(h, config, now);
    resend_syn_ack(h, config, reply, now);
}

bool put_off(HalfOpen& h, const sluice_config* config, const sluice_segment& seg, sluice_usec now)
{
    if (h.retries >= h.defer || segment_end(seg) != rcv_nxt(h))
        return false;
    if (!h.deferred && !h.resent)
        h.rtt = now - h.sent;
    h.deferred = true;
    sluice_host_count(config, SLUICE_CNT_accepts_deferred, 1);
    return true;
}

bool is_repeated_syn(const HalfOpen& h, const sluice_segment& seg)
{
    return seg.seq == h.irs && (seg.flags & (SLUICE_SYN | SLUICE_ACK)) == SLUICE_SYN;
}

void unacceptable(HalfOpen& h, const sluice_config* config, const sluice_segment& seg,
                  sluice_counter why, sluice_reply& reply, sluice_usec now)
{
    sluice_host_count(config, why, 1);
    if (may_answer(seg, h.last_answer, now))
        write_ack(h, config, reply, now);
}

void choose_options(HalfOpen& h, const sluice_config* config, const sluice_segment& syn)
{
    h.sack_ok = config->sack && syn.sack_permitted;
    h.timestamp_ok = config->timestamps && syn.has_timestamp;
    h.wscale_ok = config->window_scaling && syn.has_wscale;
    h.ts_recent = h.timestamp_ok ? syn.ts_value : 0;
    h.snd_wscale = h.wscale_ok ? syn.wscale : uint8_t{0};
    h.ecn_ok = config->ecn != ECN_NEVER && asks_for_ecn(syn);
}

void choose_window(HalfOpen& h, const sluice_config* config, const sluice_conn* listener,
                   uint32_t space)
{
    uint64_t most = greatest<uint64_t>(config->rmem_max, space);
    uint64_t clamp = sluice_conn_option(listener, SLUICE_OPTION_WINDOW_CLAMP);
    if (clamp) {
        most = least(most, clamp);
        space = static_cast<uint32_t>(least<uint64_t>(space, clamp));
    }
    h.rcv_wscale = h.wscale_ok ? choose_wscale(most) : uint8_t{0};
    h.rcv_wnd = least<uint32_t>(space, 65535);
}

} // namespace

void describe_half_open(HalfOpen& h, const sluice_conn* listener, const sluice_config* config,
                        const sluice_path& path, const sluice_segment& syn, uint32_t space)
{
    h = {};
    h.local_port = path.local_port;
    h.remote_port = path.remote_port;
    h.irs = syn.seq;
    h.ts_offset = timestamp_offset(path);
    h.advertise_mss = path.advertise_mss;
    if (uint64_t maxseg = sluice_conn_option(listener, SLUICE_OPTION_MAXSEG))
        h.advertise_mss = static_cast<uint16_t>(least<uint64_t>(maxseg, path.advertise_mss));
    h.peer_mss = syn.mss ? syn.mss : default_mss(path.remote);
    h.defer = static_cast<uint8_t>(sluice_conn_option(listener, SLUICE_OPTION_DEFER_ACCEPT));
    choose_options(h, config, syn);
    choose_window(h, config, listener, space);
}

void write_syn_ack(const HalfOpen& h, uint32_t ts_value, sluice_reply& reply,
                   const sluice_fastopen_cookie* grant)
{
    HeaderFields f = header(h, ts_value);
    f.fastopen = grant;
    f.seq = h.iss;
    f.flags = SLUICE_SYN | SLUICE_ACK | (h.ecn_ok ? SLUICE_ECE : 0);
    f.window = static_cast<uint16_t>(h.rcv_wnd); // never scaled in a SYN (RFC 7323 2.2)
    f.mss = h.advertise_mss;
    f.sack_permitted = h.sack_ok;
    f.wscale = h.wscale_ok ? static_cast<int8_t>(h.rcv_wscale) : int8_t{-1};
    reply.header_length = write_header(reply.header, f);
}

} // namespace sluice

using namespace sluice;

extern "C" void sluice_half_open_init(sluice_half_open* h, const sluice_conn* listener,
                                      const sluice_config* config, const sluice_path* path,
                                      const sluice_segment* syn, uint32_t space, uint32_t isn_after,
                                      const sluice_fastopen_cookie* grant, sluice_reply* syn_ack,
                                      sluice_usec now)
{
    describe_half_open(*h, listener, config, *path, *syn, space);
    h->iss = initial_sequence(*path, now);
    if (isn_after)
        h->iss = later(Sequence(h->iss), Sequence(isn_after)).value();
    h->sent = now;
    h->deadline = next_deadline(*h, config, now);
    if (!syn_ack)
        return;
    sluice_host_count(config, SLUICE_CNT_segs_out, 1);
    write_syn_ack(*h, wire_timestamp(now, h->ts_offset), *syn_ack,
                  grant && grant->length ? grant : nullptr);
}

extern "C" sluice_half_open_result sluice_half_open_segment(sluice_half_open* h,
                                                            const sluice_config* config,
                                                            const sluice_segment* segment,
                                                            sluice_reply* reply, sluice_usec now)
{
    const sluice_segment& seg = *segment;

    reply->header_length = 0;
    if (seg.flags & SLUICE_RST)
        return reset_received(*h, config, seg, *reply, now);

    const bool old = older_than(seg, h->timestamp_ok, h->ts_recent);
    if (is_repeated_syn(*h, seg) && !old) {
        repeated_syn(*h, config, seg, *reply, now);
        return SLUICE_HALF_OPEN_KEEP;
    }
    // Before the window check: an ACK of what was never sent is reset in every
    // state that isn't synchronized (RFC 9293 3.5.2, group 2).
    if ((seg.flags & SLUICE_ACK) && Sequence(seg.ack) != snd_nxt(*h)) {
        sluice_host_count(config, SLUICE_CNT_future_ack, 1);
        sluice_host_count(config, SLUICE_CNT_segs_out, 1);
        sluice_host_count(config, SLUICE_CNT_resets_out, 1);
        sluice_reset_reply(segment, reply);
        return SLUICE_HALF_OPEN_KEEP;
    }
    if (old || !in_window(seg, rcv_nxt(*h), h->rcv_wnd)) {
        unacceptable(*h, config, seg, old ? SLUICE_CNT_paws_rejected : SLUICE_CNT_out_of_window,
                     *reply, now);
        return SLUICE_HALF_OPEN_KEEP;
    }
    // RFC 5961 4.2. A peer that really began anew answers with RST at rcv_nxt,
    // which makes room for its next SYN.
    if (seg.flags & SLUICE_SYN) {
        sluice_host_count(config, SLUICE_CNT_syn_in_window, 1);
        challenge(*h, config, *reply, now);
        return SLUICE_HALF_OPEN_KEEP;
    }
    if (!(seg.flags & SLUICE_ACK)) {
        sluice_host_count(config, SLUICE_CNT_no_ack_flag, 1);
        return SLUICE_HALF_OPEN_KEEP;
    }
    // RFC 7323 4.3
    if (h->timestamp_ok && seg.has_timestamp && Sequence(seg.seq) <= rcv_nxt(*h))
        h->ts_recent = seg.ts_value;
    if (put_off(*h, config, seg, now))
        return SLUICE_HALF_OPEN_KEEP;
    if (h->deferred)
        h->sent = h->rtt ? now - h->rtt : 0;
    return SLUICE_HALF_OPEN_ESTABLISHED;
}

extern "C" sluice_half_open_result sluice_half_open_time(sluice_half_open* h,
                                                         const sluice_config* config,
                                                         sluice_reply* reply, sluice_usec now)
{
    reply->header_length = 0;
    if (now < h->deadline)
        return SLUICE_HALF_OPEN_KEEP;
    const bool waits = h->deferred && h->retries < h->defer;
    if (h->retries >= config->synack_retries && !waits) {
        sluice_host_count(config, SLUICE_CNT_half_open_timeouts, 1);
        sluice_host_count(config, SLUICE_CNT_attempt_fails, 1);
        return SLUICE_HALF_OPEN_DROP;
    }
    if (h->retries < 255)
        h->retries++;
    h->deadline = next_deadline(*h, config, now);
    if (!waits || h->retries == h->defer)
        resend_syn_ack(*h, config, *reply, now);
    return SLUICE_HALF_OPEN_KEEP;
}
