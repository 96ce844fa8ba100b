// SPDX-License-Identifier: GPL-2.0
// The advertised window: it follows the free space of the receive buffer,
// never moves its right edge left, and avoids the silly window syndrome
// (RFC 9293 3.8.6.2.2). When to acknowledge: at once, or delayed (RFC 9293
// 3.8.6.3, RFC 5681 4.2), with quick acknowledgments while the peer's window
// is still small.
#include "connection.h"
#include "wire.h"

namespace sluice
{

namespace
{
constexpr uint8_t most_quick_acks = 16;
}

void Connection::choose_scale()
{
    uint32_t full = 0;
    sluice_host_receive_space(handle(), &full);
    uint64_t most = greatest<uint64_t>(config->rmem_max, full);
    if (set.window_clamp)
        most = least<uint64_t>(most, set.window_clamp);
    rcv.wscale = config->window_scaling ? choose_wscale(most) : uint8_t{0};
}

uint32_t Connection::first_window()
{
    uint32_t full = 0;
    uint32_t window = least(sluice_host_receive_space(handle(), &full), 65535u);
    return set.window_clamp ? least(window, set.window_clamp) : window;
}

uint32_t Connection::choose_window()
{
    uint32_t current = receive_window();
    uint32_t full = 0;
    uint32_t space = sluice_host_receive_space(handle(), &full);
    if (set.window_clamp) {
        space = least(space, set.window_clamp);
        full = least(full, set.window_clamp);
    }
    // A buffer smaller than the scale's unit: what can't be said must be
    // exceeded, or the window would never open.
    uint32_t unit = 1u << rcv.wscale;
    if (space == full && space > 0)
        space = full = greatest(space, unit);
    space = least(space, 65535u << rcv.wscale);
    space &= ~0u << rcv.wscale;
    uint32_t step = least<uint32_t>(full / 2, rcv.mss);
    if (space < step || space <= current || space - current < step)
        return current;
    return space;
}

// What is left is less than a segment, of a size that goes with the buffer, as
// the peer may not have sent any full one yet.
bool Connection::window_used()
{
    uint32_t full = 0;
    sluice_host_receive_space(handle(), &full);
    return receive_window() <= least<uint32_t>(full / 8, rcv.mss);
}

uint16_t Connection::advertise()
{
    uint32_t window = choose_window();
    // Rounding down would move the right edge left in the peer's eyes.
    uint32_t wire = (window + (1u << rcv.wscale) - 1) >> rcv.wscale;
    wire = least(wire, 65535u);
    rcv.right = later(rcv.right, rcv.nxt + (wire << rcv.wscale));
    if (wire == 0 && !rcv.zero_window_sent)
        count(SLUICE_CNT_zero_windows_sent);
    rcv.zero_window_sent = wire == 0;
    return static_cast<uint16_t>(wire);
}

void Connection::quick_acks()
{
    uint32_t segments = receive_window() / (2u * rcv.mss);
    ack.quick = static_cast<uint8_t>(clamped<uint32_t>(segments, 2, most_quick_acks));
    ack.interactive = false;
}

// Payload came. The delay follows the peer's sending rhythm.
void Connection::schedule_ack(const sluice_segment& seg, Instant now)
{
    uint32_t low = static_cast<uint32_t>(config->delayed_ack_min);
    uint32_t high = static_cast<uint32_t>(config->delayed_ack_max);
    uint64_t gap = (now - ack.last_data).us();
    if (!ack.last_data)
        ack.ato = low;
    else if (gap <= low / 2)
        ack.ato = ack.ato / 2 + low / 2;
    else if (gap < ack.ato)
        ack.ato = least(ack.ato / 2 + static_cast<uint32_t>(gap), high);
    else if (gap > rto().us())
        quick_acks(); // the peer may be in slow start again
    ack.last_data = now;
    ack.pending = true;

    uint32_t unacknowledged = rcv.nxt - rcv.wup;
    if (!held.empty() || rcv.duplicate.start != rcv.duplicate.end)
        ack.now = true;
    else if (ack.quick && !ack.interactive && !(seg.flags & SLUICE_FIN))
        ack.now = true;
    else if (unacknowledged > rcv.mss && choose_window() >= rcv.right - rcv.wup)
        ack.now = true;
}

void Connection::acknowledge_if_due(Instant now)
{
    if (state == State::Closed || !ack.pending)
        return;
    if (ack.now) {
        send_ack(now);
        return;
    }
    if (!ack.deadline) {
        uint64_t least_delay = config->delayed_ack_min;
        uint64_t greatest_delay = config->delayed_ack_max;
        if (rtt.measured()) // waiting longer gains little, and the peer may take it for a loss
            greatest_delay = least(greatest_delay, greatest(rtt.srtt().us(), least_delay));
        ack.deadline = now + Duration(clamped<uint64_t>(ack.ato, least_delay, greatest_delay));
    }
}

void Connection::ack_sent()
{
    if (ack.pending && ack.quick)
        ack.quick--;
    rcv.wup = rcv.nxt;
    rcv.duplicate = {};
    ack.pending = ack.now = false;
    ack.deadline.clear();
}

// The application made room. A larger window is told when it has doubled, and
// an acknowledgment that waited for the application to read goes now.
void Connection::application_read(uint32_t bytes, Instant now)
{
    rcv.unread -= least(rcv.unread, bytes);
    tune.copied += bytes;
    if (!synchronized() || rcv.fin_taken)
        return;
    autotune_receive(now);
    bool waiting =
        ack.pending && (rcv.nxt - rcv.wup > rcv.mss || (rcv.unread == 0 && !ack.interactive));
    uint32_t current = receive_window();
    if (!waiting) {
        uint32_t window = choose_window();
        waiting = window > current && window >= 2 * current;
    }
    if (waiting)
        send_ack(now);
}

} // namespace sluice
