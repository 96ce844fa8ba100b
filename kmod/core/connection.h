// SPDX-License-Identifier: GPL-2.0
// One connection: the transmission control block of RFC 9293 3.3.1, in parts
// that each hold one concern, and the functions on it. They are defined by
// concern too:
//   connection.cc  the host's entry points, states, the end of a connection
//   open.cc        active open, simultaneous open, the child of a listener
//   input.cc       a segment in a synchronized state (RFC 9293 3.10.7.4)
//   ack.cc         what an acknowledgment tells (send window, RTT, release)
//   recovery.cc    loss detection and recovery (RFC 6675, 8985, 6937, 6582)
//   mtu_search.cc  the path asked for the size that it takes (RFC 4821)
//   ecn.cc         congestion that routers tell of (RFC 3168)
//   fastopen.cc    data in the SYN (RFC 7413)
//   urgent.cc      the urgent pointer, both ways (RFC 9293 3.8.5)
//   pacing.cc      how fast, and how much at once
//   receive.cc     payload in: reassembly, delivery, duplicate reports
//   window.cc      the advertised window and delayed acknowledgments
//   autotune.cc    buffer sizes that follow the path
//   output.cc      what may be sent, and the segments themselves
//   timers.cc      every deadline
//   close.cc       shutdown, close, abort, TIME_WAIT
//   settings.cc    options; info.cc  what the tools see
#pragma once

#include "cc.h"
#include "delivery_rate.h"
#include "host.h"
#include "instant.h"
#include "reassembly.h"
#include "rtt.h"
#include "scoreboard.h"
#include "sequence.h"
#include "sluice.h"

namespace sluice
{

struct HeaderFields;

// Figure 5 of RFC 9293; the numbers are Linux's.
enum class State : uint8_t {
    Established = SLUICE_ESTABLISHED,
    SynSent = SLUICE_SYN_SENT,
    SynReceived = SLUICE_SYN_RECEIVED,
    FinWait1 = SLUICE_FIN_WAIT_1,
    FinWait2 = SLUICE_FIN_WAIT_2,
    TimeWait = SLUICE_TIME_WAIT,
    Closed = SLUICE_CLOSED,
    CloseWait = SLUICE_CLOSE_WAIT,
    LastAck = SLUICE_LAST_ACK,
    Closing = SLUICE_CLOSING,
};

// Cwr: the window is being reduced for an ECN mark, and nothing is known to be lost.
enum class RecoveryState : uint8_t {
    Open = SLUICE_REC_OPEN,
    Disorder = SLUICE_REC_DISORDER,
    Cwr = SLUICE_REC_CWR,
    Recovery = SLUICE_REC_RECOVERY,
    Loss = SLUICE_REC_LOSS,
};

// Payload and TCP options that each path is taken to carry, whatever is said of
// it: a packet of 68 bytes (RFC 791 3.2).
inline constexpr uint16_t PAYLOAD_LEAST = 28;

// SND.* and what stands in the send buffer. The buffer's bytes begin at
// buffer_start and end at write_end; a queued FIN stands at write_end.
struct SendState {
    Sequence iss, una, nxt;
    Sequence buffer_start, write_end;
    Sequence wl1, wl2;
    Sequence small_end; // end of the last partial segment sent (Nagle, Minshall)
    Sequence up;        // behind the urgent byte; meaningful while `urgent`
    uint32_t wnd = 0, max_wnd = 0;
    uint32_t segment_max = 65535; // payload bytes of one transmission
    uint16_t max_payload = 536;   // path MTU less IP header and 20
    uint16_t peer_mss = 536;
    uint16_t mss = 536; // payload of a full segment without SACK blocks
    uint8_t wscale = 0;
    bool fin_queued = false;
    bool more = false;   // MSG_MORE: hold a partial segment back
    bool urgent = false; // the byte before `up` is not acknowledged
};

struct ReceiveState {
    Sequence irs, nxt;
    Sequence wup;   // nxt when last acknowledged: Last.ACK.sent
    Sequence right; // right edge ever advertised; never moves left
    Sequence fin;
    Sequence up; // behind the peer's urgent byte; meaningful while `urgent`
    uint32_t unread = 0;
    uint16_t mss = 536; // size of a full segment as the peer sends them
    uint16_t advertise_mss = 536;
    uint8_t wscale = 0;
    bool fin_known = false, fin_taken = false;
    bool urgent = false; // the byte before `up` is still to come
    bool zero_window_sent = false;
    sluice_sack_block duplicate{}; // D-SACK to report next (RFC 2883)
};

// When and how to acknowledge (RFC 9293 3.8.6.3, RFC 5681 4.2).
struct AckState {
    Instant deadline;
    Instant last_data;        // arrival of the last payload
    uint32_t ato = 0;         // delay in use, microseconds
    uint8_t quick = 0;        // acknowledgments still to be sent at once
    bool interactive = false; // we answer soon: let the answer carry it
    bool now = false;
    bool pending = false;
    Instant last_answer; // to an unacceptable segment, for their rate limit
};

struct TimestampState {
    bool on = false;
    uint32_t recent = 0; // TS.Recent
    uint32_t offset = 0;
    Instant recent_at;
};

struct Timers {
    enum class Kind : uint8_t { None, Retransmit, Reordering, LossProbe, Persist, Cork, Held };
    Instant send; // retransmission and its kin: one runs at a time
    Kind kind = Kind::None;
    Instant keep;          // keepalive, or the end of FIN_WAIT_2
    Instant armed;         // what the host was told
    Instant retrans_began; // first unanswered retransmission of this episode
    Instant probes_began;  // first unanswered probe
    Instant last_receive, last_send;
    uint8_t backoff = 0, retransmits = 0;
    uint8_t probes = 0, keepalive_probes = 0;
};

// How far the question is whether a timeout was spurious (frto.cc).
enum class Frto : uint8_t { Off, Began, NewDataDue, NewDataSent };

// The bits of `recovery`, as Linux numbers them.
enum RecoveryBit : uint8_t { RACK_FINDS = 1, RACK_WINDOW_STAYS = 2, RACK_WITHOUT_DUPTHRESH = 4 };

struct Recovery {
    RecoveryState state = RecoveryState::Open;
    Frto frto = Frto::Off;
    bool sack = false;
    bool reordering_seen = false;
    bool probe_outstanding = false; // tail loss probe (RFC 8985 7)
    bool probe_retransmitted = false;
    uint8_t window_steps = 1; // of RACK's reordering window
    uint8_t window_persist = 0;
    uint16_t reordering = 3; // DupThresh, segments
    uint32_t duplicate_acks = 0;
    Sequence high; // snd_nxt when the episode began
    Sequence probe_high;
    // RACK (RFC 8985 6.2)
    Instant rack_sent;
    Sequence rack_end;
    Sequence widen_after; // snd_una from which on a D-SACK makes the window wider again
    Duration rack_rtt;
    // undo: what was before the last episode (RFC 4015, RFC 2883)
    bool undo_valid = false;
    bool has_retrans_stamp = false;
    uint32_t undo_cwnd = 0, undo_ssthresh = 0;
    Sequence undo_from, undo_to;     // what was retransmitted lies between
    uint64_t undo_retransmitted = 0; // bytes retransmitted and not reported duplicate
    uint32_t retrans_stamp = 0;      // wire timestamp of the first retransmission
    // PRR (RFC 6937)
    uint32_t prr_delivered = 0, prr_out = 0, recover_fs = 0, prr_target = 0;
};

struct EcnState {
    bool asked = false;     // our SYN did
    bool on = false;        // both ends agreed
    bool fell_back = false; // a SYN without it went or came too: no ECT from us (RFC 3168 6.1.1)
    bool seen = false;      // ECT or CE came from the peer
    bool echo = false;      // ECE goes out until CWR comes
    bool cwr_due = false;   // CWR goes with the next new data
    Sequence high;          // snd_nxt when the window was last reduced
    Instant held_until;     // no new data before that (6.1.2, a window of one segment)
};

// Of a segment with its options. A probe carries [start, end).
struct MtuSearch {
    bool on = false;
    uint16_t low = 0, high = 0; // known to arrive; not known not to
    uint16_t size = 0;          // of the probe that is out; 0: none
    Sequence start, end;
    Instant rest_until;   // until then `high` is believed
    bool waiting = false; // for data to probe with, since snd_una was waits_from
    Sequence waits_from;
    Instant tries_again;
};

struct Pacing {
    uint64_t rate = ~0ull; // bytes per second of the window; ~0: not known yet, 0: none
    uint64_t next = 0;     // nanoseconds: then what was sent is over, at that rate; 0: unpaced
    uint32_t burst = ~0u;  // payload bytes of one transmission
    Instant waits_until;   // output has more and waits: for `next`, or the host's queues
    bool limited = false;  // the user or congestion control asked for a rate
    bool queued = false;   // it is the host's queues that are waited for
    uint8_t checks = 0;    // in a row that found the host's queues full
};

struct FastOpen {
    enum Failure : uint8_t { None, CookieUnavailable, NotAcknowledged, SynRetransmitted };
    uint16_t offered = 0;   // bytes of data in our SYN
    bool asked = false;     // our SYN had a cookie, or asked for one, or data
    bool taken = false;     // data in a SYN were acknowledged, by the peer or by us
    bool early = false;     // SYN_RECEIVED, open already
    Failure failure = None; // why not, as tcp_info tells it
};

struct Settings {
    uint32_t keep_idle_s = 0, keep_interval_s = 0; // 0: the namespace's
    uint32_t user_timeout_ms = 0;
    uint32_t linger2_s = 0; // ~0: none
    uint32_t notsent_lowat = ~0u;
    uint32_t window_clamp = 0;
    uint64_t max_pacing_rate = ~0ull;
    uint16_t maxseg = 0;
    uint8_t keep_count = 0, syn_count = 0, defer_accept = 0;
    bool nodelay = false, cork = false, keepalive = false;
    bool fastopen_no_cookie = false;
    uint32_t fastopen = 0; // of a listener: connections open early at most
};

struct Autotune {
    Instant space_since; // DRS: start of the current round trip
    uint64_t copied = 0; // bytes read by the application
    uint64_t space_copied = 0;
    uint32_t space = 0;     // most bytes read in a round trip
    uint32_t rcv_rtt = 0;   // microseconds
    uint32_t last_echo = 0; // of those that were timed
    Sequence rtt_seq;       // window's end one round trip from rtt_since
    Instant rtt_since;
};

struct Chrono {
    enum Kind : uint8_t { Idle, Busy, PeerWindow, SendBuffer };
    Kind kind = Idle;
    Instant since;
    uint64_t spent[3] = {}; // microseconds, of each but Idle
};

// A round is over when something is acknowledged that was sent after its begin.
struct Round {
    uint32_t most = 0; // in flight in it
    Sequence end;
};

struct Tally {
    Instant timeouts_began;    // first of the last row
    uint64_t timeout_time = 0; // microseconds, of rows that are over
    uint16_t timeouts = 0, timeout_rows = 0;
    uint32_t out_of_order = 0; // segments
    uint64_t bytes_sent = 0, bytes_retrans = 0, bytes_acked = 0, bytes_received = 0;
    uint64_t delivered_ce = 0;
    uint32_t segs_in = 0, segs_out = 0, data_in = 0, data_out = 0, retrans = 0;
    uint32_t dsacks = 0, reorders = 0;
};

struct Connection {
    const sluice_config* config;
    State state = State::Closed;
    bool orphaned = false;
    bool passive = false;
    bool cwnd_limited = false;
    bool died = false; // in this call: nothing more may be sent
    bool cc_begun = false;
    uint16_t local_port = 0, remote_port = 0;
    uint32_t events = 0;
    SendState snd;
    ReceiveState rcv;
    AckState ack;
    TimestampState ts;
    Timers timers;
    Recovery rec;
    EcnState ecn;
    MtuSearch mtu;
    FastOpen fast;
    Pacing pace;
    Settings set;
    Autotune tune;
    Round flown;
    Tally tally;
    Chrono chrono;
    RttEstimator rtt;
    DeliveryRate rate;
    Scoreboard board;
    Reassembly held;
    sluice_cc cc;

    sluice_conn* handle() { return reinterpret_cast<sluice_conn*>(this); }
    const sluice_conn* handle() const { return reinterpret_cast<const sluice_conn*>(this); }
    void count(sluice_counter which, uint32_t n = 1) const { sluice_host_count(config, which, n); }

    // connection.cc
    bool synchronized() const;
    void finish(Instant now); // end of every entry: deadline, events
    void change(State to);
    void fail(int error); // error to the host, then CLOSED
    void closed();
    void inherit(const Connection& listener);
    void leave_cc(); // its release(), if it was ever begun

    // open.cc
    void set_path(const sluice_path& path);
    void connect(const sluice_path& path, const sluice_fastopen_cookie* cookie, Instant now);
    void accept(const sluice_half_open& h, const sluice_path& path, Instant now);
    void segment_in_syn_sent(sluice_segment& seg, Instant now);
    void take_peer_options(const sluice_segment& syn);
    void established(Instant now);
    void begin_transfer(Instant now);
    void handshake_over(Instant now);
    void init_windows();
    void send_syn(const sluice_fastopen_cookie* cookie, Instant now);

    // input.cc
    void segment(sluice_segment& seg, Instant now);
    void segment_synchronized(sluice_segment& seg, Instant now);
    void take_old(sluice_segment& seg, Instant now);
    void take(sluice_segment& seg, Instant now);
    void note_timestamp(const sluice_segment& seg, Instant now);
    bool timestamp_acceptable(const sluice_segment& seg, Instant now);
    bool reordered_ack(const sluice_segment& seg) const; // given that PAWS would reject it
    void older_timestamp(const sluice_segment& seg, Instant now);
    bool sequence_acceptable(const sluice_segment& seg) const;
    bool may_answer(Instant now);
    void answer_unacceptable(const sluice_segment& seg, Instant now);
    bool reset_after_fin(const sluice_segment& seg) const;
    void reset_received(const sluice_segment& seg, Instant now);
    void challenge_ack(Instant now);

    // ack.cc
    bool acknowledgment(const sluice_segment& seg, Instant now); // false: drop the segment
    void apply_ack(const sluice_segment& seg, Sequence ack, Instant now);
    void overtaken_ack(const sluice_segment& seg, Sequence ack, Instant now);
    // RFC 5961 5.2, of one that acknowledges nothing new.
    bool not_too_old(Sequence number) const;
    void advance_rack(const Delivery& d, Instant now);
    bool take_sacks(const sluice_segment& seg, Sequence ack, Delivery& d, Instant now);
    void take_dsack(Sequence start, Sequence end, Instant now);
    bool is_dsack(const sluice_segment& seg, Sequence ack) const;
    void update_send_window(const sluice_segment& seg, Sequence ack);
    bool take_rtt(const sluice_segment& seg, const Delivery& d, Instant now); // true: measured
    Duration echo_age(const sluice_segment& seg, Instant now) const;
    bool take_echo(const sluice_segment& seg, Instant now);
    void release_acked();
    void forget_old_marks();
    void fin_acknowledged(Instant now);
    void note_flight(uint32_t in_flight);
    void grow_window(const Delivery& d, uint32_t in_flight, uint64_t rate, bool marked,
                     Instant now);

    // recovery.cc
    uint32_t outstanding() const { return snd.nxt - snd.una; }
    uint32_t in_flight() const;
    uint32_t usual_segment() const;
    bool limit_duplicate_acks();     // true: there were too many
    bool detect_losses(Instant now); // true: something is newly lost
    Duration reordering_window() const;
    void widen_reordering_window();
    // Do they show losses, or does RACK?
    bool dup_acks_count() const { return !rec.sack || !(config->recovery & RACK_FINDS); }
    bool count_duplicates(const Delivery& d, bool advanced, bool duplicate);
    void recover(const Delivery& d, bool advanced, bool duplicate, Instant now);
    void enter_recovery(Instant now);
    void enter_loss(Instant now);
    void leave_episode();
    bool try_undo(const sluice_segment* seg, bool advanced, Instant now);
    void undo(Instant now);
    void note_reordering(const Delivery& d, Sequence highest);
    void proportional_rate(const Delivery& d, bool advanced, bool newly_lost);
    void begin_reduction(uint32_t flight);
    bool reduced_already() const;
    void save_undo();
    void note_retransmitted(const SentRange& r, Instant now);
    void loss_probe_acked(Sequence ack, bool dsack, bool duplicate, Instant now);

    // chrono.cc
    Chrono::Kind occupation() const;
    void keep_time(Instant now);
    void note_timeout(Instant now);
    void timeouts_over(Instant now);

    // frto.cc
    void begin_frto(bool alone);
    bool timeout_was_spurious(const Delivery& d, bool advanced, bool duplicate, Instant now);
    void send_for_frto(Instant now);

    // ecn.cc
    bool ecn_capable() const { return ecn.on && !ecn.fell_back; } // may our data be marked?
    bool held_by_ecn(Instant now) const { return now < ecn.held_until; }
    void negotiate_ecn(const sluice_segment& syn);
    uint8_t ecn_flags(bool new_data) const;
    void take_cwr(const sluice_segment& seg);
    void take_mark(const sluice_segment& seg);
    void quick_acks_for_ecn();
    void window_reduced();
    void withdraw_reduction();
    void keep_reduced() { rec.undo_cwnd = rec.undo_ssthresh = 0; }
    void enter_cwr(uint32_t flight, Instant now);
    void take_echo_of_mark(const Delivery& d, uint32_t flight, bool advanced, Instant now);

    // mtu_search.cc
    uint32_t option_bytes() const;    // in every segment
    uint32_t largest_segment() const; // that route, peer and TCP_MAXSEG allow
    void begin_mtu_search();
    void mtu_search_from_start();
    void suspect_black_hole();
    void bound_mtu_search();
    uint32_t next_mtu_probe(Instant now);
    bool room_for_mtu_probe(uint32_t payload, uint32_t needed) const;
    bool wait_for_mtu_probe(uint32_t needed, Instant now);
    bool probe_mtu(Instant now);
    void mtu_probe_acked();
    void mtu_probe_retransmitted(const SentRange& r);
    bool mtu_probe_lost(Instant now);

    // fastopen.cc
    void connect_fast(const sluice_path& path, uint32_t bytes, const sluice_fastopen_cookie* cookie,
                      Instant now);
    void fast_open_answered(const sluice_segment& seg, Sequence seg_ack);
    void fast_open_lost();
    void accept_early(sluice_segment& syn, const sluice_fastopen_cookie* grant, Instant now);
    void repeated_syn(Instant now);
    void early_established(const sluice_segment& seg, Instant now);

    // pacing.cc
    bool paced();
    void update_pacing();
    void pace_after(uint32_t bytes, Instant now);
    Duration pacing_delay(Instant now) const;
    bool output_waits(Instant now);
    void wait_is_over(Instant now);
    bool corks_itself(Instant now);
    void queue_drained(Instant now);
    bool better_later(uint32_t length, uint32_t limit, Instant now) const;

    // urgent.cc
    void written_urgent(uint32_t bytes, Instant now);
    void tell_urgent(Instant now);
    void point_at_urgent(HeaderFields& f, Sequence start) const;
    void take_urgent(const sluice_segment& seg);

    // receive.cc
    void payload(sluice_segment& seg, Instant now);
    void note_fin(Sequence at);
    void take_fin(Instant now);
    bool keep_payload(sluice_segment& seg, Sequence start, Sequence end);
    void report_duplicate(Sequence start, Sequence end);
    void measure_peer_mss(const sluice_segment& seg);
    void application_read(uint32_t bytes, Instant now);

    // window.cc
    bool window_used();
    uint32_t receive_window() const { return rcv.right > rcv.nxt ? rcv.right - rcv.nxt : 0; }
    void choose_scale();
    uint32_t first_window();  // of a SYN, bytes: never scaled (RFC 7323 2.2)
    uint32_t choose_window(); // bytes from rcv.nxt; moves nothing
    uint16_t advertise();     // wire value; moves rcv.right
    void schedule_ack(const sluice_segment& seg, Instant now);
    void acknowledge_if_due(Instant now);
    void ack_sent();
    void quick_acks();

    // autotune.cc
    void autotune_receive(Instant now);
    void measure_receive_rtt(const sluice_segment& seg, Instant now);
    void autotune_send();

    // output.cc
    void output(Instant now);
    uint32_t effective_mss() const;
    uint8_t sack_room(bool with_payload) const;
    uint32_t unsent() const { return snd.write_end > snd.nxt ? snd.write_end - snd.nxt : 0; }
    uint32_t transmission_max() const;
    bool fin_sent() const { return snd.fin_queued && snd.nxt > snd.write_end; }
    // Not before the handshake is over, even if data may go earlier (RFC 7413).
    bool fin_due() const { return snd.fin_queued && !fin_sent() && state != State::SynReceived; }
    bool can_send_data() const;
    void retransmit_lost(Instant now);
    void send_new(Instant now);
    uint32_t new_segment_length(uint32_t room, uint32_t window, bool& with_fin);
    bool nagle_holds(uint32_t length, bool with_fin) const;
    bool transmit(Sequence start, Sequence end, bool again, Instant now);
    bool transmit_cut(Sequence start, Sequence end, bool again, uint32_t mss, Instant now);
    bool send_control(uint8_t flags, Sequence seq, Instant now);
    bool send_control(uint8_t flags, Sequence seq, const sluice_fastopen_cookie* cookie,
                      uint32_t payload, Instant now);
    void send_ack(Instant now);
    void send_reset(Instant now);
    bool retransmit_range(uint32_t i, uint32_t room, Instant now);
    bool retransmit_head(Instant now);
    bool restart_after_idle(Instant now);
    void update_mss();
    SentRange stamped(Sequence start, Sequence end, Instant now);

    // timers.cc
    Duration rto() const;
    Duration backed_off() const; // doubled as often as it has expired, up to rto_max
    void arm_send(Timers::Kind kind, Instant at);
    void stop_send_timer();
    void arm_retransmit(Instant now);
    void put_off_loss_probe(Instant now);
    void arm_after_output(Instant now);
    void time_passed(Instant now);
    void retransmit_timeout(Instant now);
    void handshake_timeout(Instant now);
    void reordering_timeout(Instant now);
    void loss_probe_timeout(Instant now);
    void persist_timeout(Instant now);
    void keepalive_timeout(Instant now);
    void arm_keepalive(Instant now);
    Instant user_timeout_cuts(Instant when, Instant began) const;
    bool user_timeout_over(Instant began, Instant now) const;
    bool gave_up(Instant now) const;
    bool syn_gave_up(Instant now) const;
    Instant next_deadline() const;
    void send_probe(Instant now);
    void send_held_back(Instant now);

    // close.cc
    void shutdown_write(Instant now);
    void close(bool unread, Instant now);
    void abort(Instant now);
    void enter_time_wait(Instant now);
    void arm_fin_wait_2(Instant now);

    const char* broken_invariant() const;
};

inline Connection& of(sluice_conn* c)
{
    return *reinterpret_cast<Connection*>(c);
}
inline const Connection& of(const sluice_conn* c)
{
    return *reinterpret_cast<const Connection*>(c);
}

// For tests: the name of the invariant that doesn't hold, or nullptr.
const char* broken_invariant(const sluice_conn* c);

static_assert(sizeof(Connection) <= sizeof(sluice_conn), "raise SLUICE_CONN_SIZE in host.h");

} // namespace sluice
