// SPDX-License-Identifier: GPL-2.0
// The module's generic netlink interface as C++ values and Failures.
#include "control.h"

#include "connection.h"
#include "failure.h"

namespace sluice
{

namespace
{

std::string or_empty(const char* text)
{
    return text ? text : "";
}

void keep_row(const sluice_row* r, void* rows)
{
    static_cast<std::vector<Row>*>(rows)->push_back({
        .name = or_empty(r->name),
        .text = or_empty(r->string),
        .unit = or_empty(r->unit),
        .help = or_empty(r->help),
        .sysctl = or_empty(r->sysctl),
        .value = r->value,
        .min = r->min,
        .max = r->max,
        .standard = r->standard,
        .source = static_cast<sluice_source>(r->source),
        .is_number = r->has_value,
        .is_default = r->is_default,
        .is_hidden = !r->has_value && !r->string,
    });
}

sluice_control* open_control()
{
    sluice_control* c = nullptr;
    int error = sluice_control_open(&c);
    if (error == -ENOENT)
        throw module_missing();
    if (error)
        throw system_failure("generic netlink", error);
    return c;
}

} // namespace

Control::Control() : control_(open_control()) {}

// The kernel's own words, when it has some, say more than the errno.
void Control::check(int error, const std::string& about)
{
    if (!error)
        return;
    std::string words = sluice_control_message(control_.get());
    if (words.empty() && error == -EPERM)
        words = "only for root, or with CAP_NET_ADMIN in this network namespace";
    if (words.empty())
        throw system_failure(about, error);
    throw Failure(fmt::format("{}: {}", about, words));
}

uint16_t Control::family()
{
    uint16_t family;
    char version[64];
    check(sluice_get_version(control_.get(), &family, version, sizeof(version)), "version");
    return family;
}

std::string Control::module_version()
{
    uint16_t family;
    char version[64];
    check(sluice_get_version(control_.get(), &family, version, sizeof(version)), "version");
    return version;
}

std::vector<Row> Control::list(Each each)
{
    std::vector<Row> rows;
    check(each(control_.get(), keep_row, &rows), "generic netlink");
    return rows;
}

std::vector<Row> Control::counters()
{
    return list(sluice_each_counter);
}

std::vector<Row> Control::parameters()
{
    return list(sluice_each_parameter);
}

std::vector<Row> Control::algorithms()
{
    return list(sluice_each_cc);
}

Row Control::parameter(const std::string& name)
{
    std::vector<Row> rows;
    check(sluice_get_parameter(control_.get(), name.c_str(), keep_row, &rows), name);
    if (rows.empty())
        throw Failure(fmt::format("{}: the module gave no answer", name));
    return rows.front();
}

void Control::set(const std::string& name, uint64_t value)
{
    check(sluice_set_parameter(control_.get(), name.c_str(), value), name);
}

void Control::set(const std::string& name, const std::string& text)
{
    check(sluice_set_parameter_string(control_.get(), name.c_str(), text.c_str()), name);
}

void Control::reset(const std::string& name)
{
    check(sluice_reset_parameter(control_.get(), name.c_str()), name);
}

void Control::set_connection(const sluice_diag_id& id, const std::string& cc, uint32_t send_buffer,
                             uint32_t receive_buffer)
{
    check(sluice_set_connection(control_.get(), &id, cc.empty() ? nullptr : cc.c_str(), send_buffer,
                                receive_buffer),
          connection_name(id));
}

uint16_t family_number()
{
    sluice_control* c = nullptr;
    uint16_t family = AF_SLUICE;
    char version[64];
    if (sluice_control_open(&c) == 0)
        sluice_get_version(c, &family, version, sizeof(version));
    sluice_control_close(c);
    return family;
}

} // namespace sluice
