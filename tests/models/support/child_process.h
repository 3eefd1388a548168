// SPDX-License-Identifier: Apache-2.0
//
// Runs a piece of a test in a process of its own. SystemC elaborates once per process, so a test that
// wants several elaborations, or shares its program with others that want one, forks for each.
#ifndef IOMMU_SIM_TESTS_MODELS_SUPPORT_CHILD_PROCESS_H
#define IOMMU_SIM_TESTS_MODELS_SUPPORT_CHILD_PROCESS_H

#include <functional>
#include <string>

/// Calls `body` in a child process. Returns its result, or, if the child threw or died, a text that says
/// so (starting with "child"). By convention of the callers the empty text means success.
std::string in_child(const std::function<std::string()> &body);

/// To be called in a child that runs SC_THREADs: their stacks hide the main stack from LeakSanitizer, which
/// would then report what is still in use there.
void no_leak_check_in_this_child();

#endif
