// SPDX-License-Identifier: GPL-2.0
// Figure 5 of RFC 9293 and the event processing of its section 3.10, as a
// table: in each state each event leads where the standard says, and is
// answered as it says.
#include <criterion/criterion.h>

#include "lab_test.h"

using namespace sluice;
using namespace sluice::test;

namespace
{

enum Event {
    Ack,      // acknowledges all that we sent, our FIN too
    Fin,      // the peer's FIN, which doesn't acknowledge ours
    FinAck,   // the peer's FIN, which does
    FinAgain, // a repetition of the FIN that brought us here
    Rst,      // exactly in sequence
    RstOfFin, // with the number before, which the peer's FIN had, if it came
    Syn,      // inside the window
    Data,     // ten bytes in sequence
    Shutdown,
    Abort,
};

struct Row {
    sluice_state state;
    Event event;
    sluice_state next;
    const char* answer; // flags of each segment sent, separated by spaces
    bool time_wait;
    int error;
};

constexpr int refused = 111, reset = 104, broken_pipe = 32;

const Row table[] = {
    {SLUICE_SYN_SENT, Rst, SLUICE_CLOSED, "", false, refused},
    {SLUICE_SYN_SENT, Data, SLUICE_SYN_SENT, "", false, 0},
    {SLUICE_SYN_SENT, Syn, SLUICE_SYN_RECEIVED, "SA", false, 0},
    {SLUICE_SYN_SENT, Shutdown, SLUICE_SYN_SENT, "", false, 0},
    {SLUICE_SYN_SENT, Abort, SLUICE_CLOSED, "", false, 0},

    {SLUICE_SYN_RECEIVED, Ack, SLUICE_ESTABLISHED, "", false, 0},
    {SLUICE_SYN_RECEIVED, Fin, SLUICE_SYN_RECEIVED, "R", false, 0}, // acknowledges nothing of ours
    {SLUICE_SYN_RECEIVED, FinAck, SLUICE_CLOSE_WAIT, "", false, 0},
    {SLUICE_SYN_RECEIVED, Data, SLUICE_ESTABLISHED, "A", false, 0},
    {SLUICE_SYN_RECEIVED, Rst, SLUICE_CLOSED, "", false, refused},
    {SLUICE_SYN_RECEIVED, Syn, SLUICE_SYN_RECEIVED, "A", false, 0},
    {SLUICE_SYN_RECEIVED, Shutdown, SLUICE_SYN_RECEIVED, "", false, 0},
    {SLUICE_SYN_RECEIVED, Abort, SLUICE_CLOSED, "RA", false, 0},

    {SLUICE_ESTABLISHED, Ack, SLUICE_ESTABLISHED, "", false, 0},
    {SLUICE_ESTABLISHED, Fin, SLUICE_CLOSE_WAIT, "", false, 0},
    {SLUICE_ESTABLISHED, FinAck, SLUICE_CLOSE_WAIT, "", false, 0},
    {SLUICE_ESTABLISHED, Data, SLUICE_ESTABLISHED, "A", false, 0},
    {SLUICE_ESTABLISHED, Rst, SLUICE_CLOSED, "", false, reset},
    {SLUICE_ESTABLISHED, RstOfFin, SLUICE_ESTABLISHED, "", false, 0},
    {SLUICE_ESTABLISHED, Syn, SLUICE_ESTABLISHED, "A", false, 0},
    {SLUICE_ESTABLISHED, Shutdown, SLUICE_FIN_WAIT_1, "FA", false, 0},
    {SLUICE_ESTABLISHED, Abort, SLUICE_CLOSED, "RA", false, 0},

    {SLUICE_FIN_WAIT_1, Ack, SLUICE_FIN_WAIT_2, "", false, 0},
    {SLUICE_FIN_WAIT_1, Fin, SLUICE_CLOSING, "A", false, 0},
    {SLUICE_FIN_WAIT_1, FinAck, SLUICE_CLOSED, "A", true, 0},
    {SLUICE_FIN_WAIT_1, FinAgain, SLUICE_FIN_WAIT_1, "A", false, 0}, // where data had been
    {SLUICE_FIN_WAIT_1, Data, SLUICE_FIN_WAIT_2, "A", false, 0},     // and acknowledges the FIN
    {SLUICE_FIN_WAIT_1, Rst, SLUICE_CLOSED, "", false, reset},
    {SLUICE_FIN_WAIT_1, RstOfFin, SLUICE_FIN_WAIT_1, "", false, 0},
    {SLUICE_FIN_WAIT_1, Syn, SLUICE_FIN_WAIT_1, "A", false, 0},
    {SLUICE_FIN_WAIT_1, Shutdown, SLUICE_FIN_WAIT_1, "", false, 0},
    {SLUICE_FIN_WAIT_1, Abort, SLUICE_CLOSED, "RA", false, 0},

    {SLUICE_FIN_WAIT_2, Ack, SLUICE_FIN_WAIT_2, "", false, 0},
    {SLUICE_FIN_WAIT_2, FinAck, SLUICE_CLOSED, "A", true, 0},
    {SLUICE_FIN_WAIT_2, Data, SLUICE_FIN_WAIT_2, "A", false, 0},
    {SLUICE_FIN_WAIT_2, Rst, SLUICE_CLOSED, "", false, reset},
    {SLUICE_FIN_WAIT_2, RstOfFin, SLUICE_FIN_WAIT_2, "", false, 0},
    {SLUICE_FIN_WAIT_2, Syn, SLUICE_FIN_WAIT_2, "A", false, 0},
    {SLUICE_FIN_WAIT_2, Shutdown, SLUICE_FIN_WAIT_2, "", false, 0},
    {SLUICE_FIN_WAIT_2, Abort, SLUICE_CLOSED, "RA", false, 0},

    {SLUICE_CLOSE_WAIT, Ack, SLUICE_CLOSE_WAIT, "", false, 0},
    {SLUICE_CLOSE_WAIT, FinAgain, SLUICE_CLOSE_WAIT, "A", false, 0},
    {SLUICE_CLOSE_WAIT, Data, SLUICE_CLOSE_WAIT, "A", false, 0}, // behind the FIN: nonsense
    {SLUICE_CLOSE_WAIT, Rst, SLUICE_CLOSED, "", false, broken_pipe},
    {SLUICE_CLOSE_WAIT, RstOfFin, SLUICE_CLOSED, "", false, broken_pipe},
    {SLUICE_CLOSE_WAIT, Syn, SLUICE_CLOSE_WAIT, "A", false, 0},
    {SLUICE_CLOSE_WAIT, Shutdown, SLUICE_LAST_ACK, "FA", false, 0},
    {SLUICE_CLOSE_WAIT, Abort, SLUICE_CLOSED, "RA", false, 0},

    {SLUICE_CLOSING, Ack, SLUICE_CLOSED, "", true, 0},
    {SLUICE_CLOSING, FinAgain, SLUICE_CLOSING, "A", false, 0},
    {SLUICE_CLOSING, Data, SLUICE_CLOSED, "", true, 0}, // acknowledges the FIN, and is nonsense
    {SLUICE_CLOSING, Rst, SLUICE_CLOSED, "", false, reset},
    {SLUICE_CLOSING, RstOfFin, SLUICE_CLOSED, "", false, reset},
    {SLUICE_CLOSING, Syn, SLUICE_CLOSING, "A", false, 0},
    {SLUICE_CLOSING, Shutdown, SLUICE_CLOSING, "", false, 0},
    {SLUICE_CLOSING, Abort, SLUICE_CLOSED, "", false, 0},

    {SLUICE_LAST_ACK, Ack, SLUICE_CLOSED, "", false, 0},
    {SLUICE_LAST_ACK, FinAgain, SLUICE_LAST_ACK, "A", false, 0},
    {SLUICE_LAST_ACK, Data, SLUICE_CLOSED, "", false, 0}, // likewise
    {SLUICE_LAST_ACK, Rst, SLUICE_CLOSED, "", false, reset},
    {SLUICE_LAST_ACK, RstOfFin, SLUICE_CLOSED, "", false, reset},
    {SLUICE_LAST_ACK, Syn, SLUICE_LAST_ACK, "A", false, 0},
    {SLUICE_LAST_ACK, Shutdown, SLUICE_LAST_ACK, "", false, 0},
    {SLUICE_LAST_ACK, Abort, SLUICE_CLOSED, "", false, 0},
};

// The peer's SYN of a simultaneous open.
void their_syn(Scripted& peer)
{
    peer.send(SLUICE_SYN);
}

void reach(Scripted& peer, sluice_state state)
{
    switch (state) {
    case SLUICE_SYN_SENT:
    case SLUICE_SYN_RECEIVED:
        peer.begin_active();
        if (state == SLUICE_SYN_RECEIVED)
            their_syn(peer);
        break;
    case SLUICE_FIN_WAIT_1:
    case SLUICE_FIN_WAIT_2:
    case SLUICE_CLOSING:
        peer.open_active();
        peer.socket->shutdown();
        if (state == SLUICE_FIN_WAIT_2)
            peer.ack();
        if (state == SLUICE_CLOSING)
            peer.send(SLUICE_FIN | SLUICE_ACK, {}, 0, -1);
        break;
    case SLUICE_CLOSE_WAIT:
    case SLUICE_LAST_ACK:
        peer.open_active();
        peer.send(SLUICE_FIN | SLUICE_ACK);
        if (state == SLUICE_LAST_ACK)
            peer.socket->shutdown();
        break;
    default:
        peer.open_active();
    }
    cr_assert_eq(peer.socket->state(), state);
    peer.sent.clear();
}

void happen(Scripted& peer, sluice_state state, Event event)
{
    switch (event) {
    case Ack:
        peer.ack();
        break;
    case Fin:
        peer.send(SLUICE_FIN | SLUICE_ACK, {}, 0, -1);
        break;
    case FinAck:
        peer.send(SLUICE_FIN | SLUICE_ACK);
        break;
    case FinAgain:
        peer.send(SLUICE_FIN | SLUICE_ACK, {}, -1, state == SLUICE_CLOSE_WAIT ? 0 : -1);
        break;
    case Rst:
        peer.send(state == SLUICE_SYN_SENT ? SLUICE_RST | SLUICE_ACK : SLUICE_RST);
        break;
    case RstOfFin:
        peer.send(SLUICE_RST, {}, -1);
        break;
    case Syn:
        if (state == SLUICE_SYN_SENT)
            their_syn(peer);
        else
            peer.send(SLUICE_SYN, {}, 100);
        break;
    case Data:
        peer.send(SLUICE_ACK, pattern(10));
        break;
    case Shutdown:
        peer.socket->shutdown();
        break;
    case Abort:
        peer.socket->abort();
        break;
    }
}

std::string answers(const Scripted& peer)
{
    std::string text;
    for (const Seen& s : peer.sent) {
        text += text.empty() ? "" : " ";
        for (auto [flag, letter] :
             {std::pair{SLUICE_SYN, 'S'}, {SLUICE_FIN, 'F'}, {SLUICE_RST, 'R'}, {SLUICE_ACK, 'A'}})
            if (s.flags & flag)
                text += letter;
    }
    return text;
}

} // namespace

Test(state, every_event_leads_where_rfc9293_says)
{
    for (const Row& row : table) {
        Scripted peer;
        reach(peer, row.state);
        happen(peer, row.state, row.event);
        int at = static_cast<int>(&row - table);
        cr_expect_eq(peer.socket->state(), row.next, "row %d: state %d, event %d: %d, not %d", at,
                     row.state, row.event, peer.socket->state(), row.next);
        cr_expect_eq(answers(peer), row.answer,
                     "row %d: state %d, event %d: answers '%s', not '%s'", at, row.state, row.event,
                     answers(peer).c_str(), row.answer);
        cr_expect_eq(peer.socket->time_wait, row.time_wait, "row %d: TIME_WAIT", at);
        cr_expect_eq(peer.socket->error, row.error, "row %d: error %d", at, peer.socket->error);
    }
}

Test(state, shutdown_before_the_handshake_ends_takes_effect_after_it)
{
    Scripted peer;
    reach(peer, SLUICE_SYN_RECEIVED);
    peer.socket->shutdown();
    peer.ack();
    cr_assert_eq(peer.socket->state(), SLUICE_FIN_WAIT_1);
    cr_assert(peer.last().flags & SLUICE_FIN);
}

Test(state, nothing_is_readable_behind_a_fin)
{
    Scripted peer;
    reach(peer, SLUICE_CLOSE_WAIT);
    peer.send(SLUICE_ACK, pattern(10));
    cr_assert_eq(peer.socket->readable(), 0);
}

Test(state, reset_after_unsent_output_tells_the_peer_in_last_ack)
{
    Scripted peer;
    peer.open_active();
    peer.window = 0;
    peer.send(SLUICE_FIN | SLUICE_ACK);
    peer.socket->write(pattern(10)); // the window is closed: stays, and the FIN with it
    peer.socket->shutdown();
    cr_assert_eq(peer.socket->state(), SLUICE_LAST_ACK);
    peer.sent.clear();
    peer.socket->abort();
    cr_assert_eq(answers(peer), "RA");
}
