// SPDX-License-Identifier: Apache-2.0
//
// A scripted system under test with the fault recording register of the VT-d machine of the vectors.
#ifndef IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_TARGET_H
#define IOM_TESTS_MODELS_SUPPORT_VERIFY_FAKE_TARGET_H

#include <vector>

#include "core/arch/vtd/vtd.h"
#include "models/verify/family.h"
#include "tests/models/support/scripted_target.h"

namespace iommu_sim::verify
{

/// RTADDR alone is a register here; faults are put into the recording register by the script.
class FakeTarget : public ScriptedTarget
{
  public:
    explicit FakeTarget(const std::vector<RamRange> &ram = family_of("vtd").ram({})) : ScriptedTarget(ram)
    {
    }

    void write_register(uint32_t offset, unsigned, uint64_t value) override
    {
        if (offset == record_at + 12 && (value >> 31) != 0) // F is write-1-to-clear
            registers[record_at + 8] &= ~IOM_VTD_FRCD_F;
        else if (offset == IOM_VTD_FSTS)
            registers[offset] &= ~value;
        else
            registers[offset] = value;
        if (on_register)
            on_register(offset, value);
    }
    /// Records a fault as the hardware would.
    void record(uint64_t reason, uint64_t source, uint64_t address, bool write)
    {
        registers[record_at] = address & ~UINT64_C(0xfff);
        registers[record_at + 8] =
            IOM_VTD_FRCD_F | (write ? 0 : IOM_VTD_FRCD_READ) | reason << IOM_VTD_FRCD_REASON_SHIFT | source;
    }

    static constexpr uint32_t record_at = 0x220; // CAP.FRO of the recorded machine
};

} // namespace iommu_sim::verify

#endif
