// SPDX-License-Identifier: Apache-2.0
//
// The table of masks: what the comparison forgives, and when. See compare.h.
#include "models/verify/compare.h"

namespace iommu_sim::verify
{

const MaskRule &mask_rule(Mask mask)
{
    static const std::array<MaskRule, mask_count> rules = {{
        {"outside-ram", "vtd (recorded)", "the recording says 'noram'",
         "a translation to an address that is not RAM, without a fault record; the recording does not know "
         "the address"},
        {"pass-through-width", "vtd (recorded)",
         "the recording says 'noram', the request is passed through, and its address is beyond the host "
         "address width or beyond the width in the context or PASID entry",
         "a refusal with the code for such an address (4; scalable mode 83 or 84, hexadecimal): the emulator "
         "does not check the width of requests that it passes through"},
        {"pasid-value", "vtd (recorded)", "the recorded fault has pp = 0",
         "any PASID value in the record: the emulator leaves garbage there"},
        {"rid-pasid", "vtd scalable mode (recorded)", "the request carries no PASID, the record has pp = 1",
         "pp = 0 only: the emulator reports RID_PASID as if the request had carried it"},
        {"scalable-codes", "vtd scalable mode (recorded)", "the recorded code is one of legacy mode",
         "the scalable-mode code of the same condition: 8 38, 1 39, a 3a, 9 40, 2 41, b 42, 3 43, 7 78, "
         "5 and 6 79, c 7a, 4 83 or 84 (hexadecimal)"},
        {"permission-order", "vtd (recorded)",
         "the recorded code is a missing permission, and an entry of the request's page-table path does lack "
         "it; the emulator checks level by level and permissions before reserved bits",
         "the code of another defect at the same or a lower level (hexadecimal): second stage 5 and 6 c, 79 "
         "7a; "
         "first stage 81 and 85 71 and 72, 85 81, 81 85"},
        {"second-opinion", "vtd (recorded)", "the step has a 'spec' result",
         "that result instead of the recorded one; with condition 'rsvd' or 'beyond' any refusal"},
        {"dirty-bit", "vtd first stage (recorded)", "a final table word has A set",
         "D set although the recording has it clear: the emulator does not set D once A is set"},
        {"accessed-refused", "vtd first stage (recorded)",
         "the A bit of a final table word was set during a request that was refused",
         "A set although the recording has it clear"},
        {"cached-flags", "vtd first stage (recorded), cached mode", "A or D of a final table word differ",
         "A and D that the recording or an uncached run of the same steps sets, any after a stale use; those "
         "that "
         "software wrote must be there: which request walks, and where, depends on the caches"},
        {"cached-permission", "vtd (recorded), cached mode", "the recording says 'hit-perm'",
         "a refusal without a record: the emulator found a cached translation without the permission"},
        {"wide-address", "riscv (recorded)",
         "the request passes through and its address has more than 56 bits",
         "the address itself: the reference model truncates it to the width of physical addresses"},
        {"recorded-cached", "all (recorded), cached mode", "the uncached outcome does not fit",
         "what the emulator did with its own caches (riscv: of a fault record cause and device alone; the "
         "others are not reliable)"},
        {"earlier-state", "all (recorded), cached mode", "neither of the two fits",
         "the outcome that a walk of an earlier memory state of the vector gives"},
    }};
    return rules[static_cast<size_t>(mask)];
}

} // namespace iommu_sim::verify
