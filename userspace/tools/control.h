// SPDX-License-Identifier: GPL-2.0
// The module's generic netlink interface as C++ values and Failures.
#pragma once

#include <libsluice.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice
{

// A counter, a parameter or an algorithm.
struct Row {
    std::string name, text, unit, help; // text: a parameter's value when it is no number
    std::string sysctl;                 // that a parameter follows, or empty
    uint64_t value = 0, min = 0, max = 0, standard = 0;
    sluice_source source = SLUICE_SOURCE_DEFAULT; // of a parameter's value
    bool is_number = false, is_default = false;
    bool is_hidden = false; // a secret parameter, in a list
};

class Control
{
public:
    // Failure when the module isn't loaded.
    Control();

    uint16_t family();
    std::string module_version();
    std::vector<Row> counters();
    std::vector<Row> parameters();
    std::vector<Row> algorithms();
    Row parameter(const std::string& name);

    void set(const std::string& name, uint64_t value);
    void set(const std::string& name, const std::string& text);
    // Takes back what set() did.
    void reset(const std::string& name);
    // 0 or empty: left as it is.
    void set_connection(const sluice_diag_id& id, const std::string& cc, uint32_t send_buffer,
                        uint32_t receive_buffer);

private:
    using Each = int (*)(sluice_control*, sluice_row_fn, void*);
    std::vector<Row> list(Each each);
    void check(int error, const std::string& about);

    struct Closer {
        void operator()(sluice_control* c) const { sluice_control_close(c); }
    };
    std::unique_ptr<sluice_control, Closer> control_;
};

// The number of AF_SLUICE in use; the usual one when the module doesn't say.
uint16_t family_number();

} // namespace sluice
