// SPDX-License-Identifier: Apache-2.0
//
// main() of every test program. sc_main is defined because libsystemc's own main refers to it; the
// tests that elaborate a SystemC platform run it as a process of its own (one elaboration per process).
#include <gtest/gtest.h>

int main(int argc, char **argv)
{
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
