// SPDX-License-Identifier: GPL-2.0
// The algorithms that come with the core; the first is the default.
#include "../cc.h"

const sluice_cc_ops* const sluice_cc_builtin[] = {
    &sluice_cc_cubic,
    &sluice_cc_reno,
    nullptr,
};
