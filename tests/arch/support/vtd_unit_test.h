// SPDX-License-Identifier: Apache-2.0
//
// Test fixture around one VT-d unit (vtd_fixture.h), opened with the features that a test wants.
#ifndef IOM_TESTS_ARCH_VTD_UNIT_TEST_H
#define IOM_TESTS_ARCH_VTD_UNIT_TEST_H

#include <gtest/gtest.h>

#include "tests/arch/support/vtd_fixture.h"

class VtdUnitTest : public ::testing::Test
{
  protected:
    void TearDown() override
    {
        vtd_fixture_close(&fixture);
    }
    /// A new unit in the place of the one before.
    void open(const iom_vtd_features &features)
    {
        if (fixture.memory != nullptr)
            vtd_fixture_close(&fixture);
        vtd_fixture_open(&fixture, &features);
    }

    vtd_fixture fixture{};
};

#endif
