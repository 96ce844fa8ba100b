// SPDX-License-Identifier: GPL-2.0
// The applications of a soak run: they write, read at their pace, change their
// options, and end as their manner is.
#include "connection.h"
#include "soak.h"

namespace sluice::test
{

namespace
{
// An end whose peer vanished without a word waits no longer than this.
constexpr uint64_t patience = 1500 * second;
} // namespace

void Application::read()
{
    Bytes part = socket->read(1 + soak->sim().below(read_most));
    if (part.empty())
        return;
    progress = soak->sim().now();
    if (got + part.size() > to_read.size())
        return soak->wrong("more was read than was written");
    if (!std::equal(part.begin(), part.end(), to_read.begin() + static_cast<long>(got)))
        return soak->wrong("other bytes were read than written");
    got += part.size();
}

void Application::write()
{
    if (written == to_write.size() || shut || !socket->send_room())
        return;
    size_t n = std::min<size_t>(to_write.size() - written, 1 + soak->sim().below(write_most));
    auto first = to_write.begin() + static_cast<long>(written);
    Bytes part(first, first + static_cast<long>(n));
    bool urgent = soak->sim().chance(urgency);
    size_t taken =
        urgent ? socket->write_urgent(part) : socket->write(part, soak->sim().chance(0.1));
    written += taken;
    if (urgent && taken)
        last_urgent = written;
    if (taken)
        progress = soak->sim().now();
}

void Application::change_options()
{
    lab::Simulation& sim = soak->sim();
    if (!sim.chance(0.05))
        return;
    switch (sim.below(7)) {
    case 0:
        socket->set(SLUICE_OPTION_NODELAY, sim.below(2));
        break;
    case 1:
        socket->set(SLUICE_OPTION_CORK, sim.below(2));
        break;
    case 2:
        socket->set(SLUICE_OPTION_QUICKACK, sim.below(2));
        break;
    case 3:
        sluice_conn_set_cc(&socket->conn, sluice_cc_builtin[sim.below(2)], sim.now());
        break;
    case 4:
        sluice_conn_drop_held(&socket->conn);
        break;
    case 5:
        socket->receive_buffer = socket->receive_buffer / 2 + sim.below(socket->receive_buffer) + 1;
        break;
    case 6:
        sluice_conn_push(&socket->conn, sim.now());
        break;
    }
}

// As offsets, behind the byte.
void Application::note_mark()
{
    Sequence first = of(&socket->conn).rcv.irs + 1;
    if (!socket->marks.empty())
        last_mark = Sequence(socket->marks.back()) + 1 - first;
}

void Application::finish()
{
    note_mark();
    done = true;
    error = socket->error;
    saw_end = socket->fin;
    soak->say("done, error " + std::to_string(error));
    socket->close();
    socket = nullptr; // the machine may forget it now
}

void Application::look()
{
    lab::Simulation& sim = soak->sim();
    if (done)
        return;
    if (socket->connected)
        was_connected = true;
    if (sim.now() > progress + patience)
        lost_patience = true;
    bool time_to_quit = manner != Manner::Orderly && sim.now() >= quits;
    if (time_to_quit && manner == Manner::Aborts) {
        done = true;
        soak->say("abort");
        socket->abort();
        socket->close();
        socket = nullptr;
        return;
    }
    if ((time_to_quit && manner == Manner::Closes) || lost_patience)
        return finish();
    if (was_connected && !socket->closed) {
        write();
        if (fickle)
            change_options();
    }
    if (socket->readable())
        read();
    bool all = written == to_write.size() || time_to_quit;
    if (was_connected && all && !shut && !socket->closed) {
        shut = true;
        soak->say("shutdown");
        socket->shutdown();
    }
    if ((shut && socket->end_of_input()) || (socket->closed && !socket->readable()))
        return finish();
    // Where nothing happens, looks become rare.
    lull = progress == sim.now() ? 1 : std::min<uint64_t>(lull * 2, 1000);
    sim.after(1 + sim.below(std::min<uint64_t>(pause * lull, std::max(pause, second / 5))),
              [this] { look(); });
}

} // namespace sluice::test
