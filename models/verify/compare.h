// SPDX-License-Identifier: Apache-2.0
//
// Comparison of what a system did with what a vector expects.
//
// Vectors of the specification's models are compared exactly. Vectors recorded from an emulator carry
// its deviations; each is a named mask below that applies only on its stated condition. Masks change
// what is accepted here, never what the simulator does.
#ifndef IOM_MODELS_VERIFY_COMPARE_H
#define IOM_MODELS_VERIFY_COMPARE_H

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/verify/family.h"
#include "models/verify/target.h"
#include "models/verify/vector.h"

namespace iommu_sim::verify
{

enum class Mask {
    outside_ram,
    pass_through_width,
    pasid_value,
    rid_pasid,
    scalable_codes,
    permission_order,
    second_opinion,
    dirty_bit,
    accessed_refused,
    cached_flags,
    cached_permission,
    wide_address,
    recorded_cached,
    earlier_state,
};
constexpr size_t mask_count = 14;

/// Documentation of a mask; `iommu-sim verify --masks` and docs/verify.md print the table.
struct MaskRule {
    const char *name;
    const char *families;
    const char *condition; ///< when it applies
    const char *effect;    ///< what is accepted then
};
const MaskRule &mask_rule(Mask mask);

/// Do the masks of the VT-d recordings apply?
inline bool is_recorded_vtd(const VectorConfig &config)
{
    return config.source == Source::qemu && config.machine == "vtd";
}

/// How often each mask was needed to accept a result.
class MaskUse
{
  public:
    void note(Mask mask)
    {
        counts_[static_cast<size_t>(mask)]++;
    }
    void add(const MaskUse &other)
    {
        for (size_t i = 0; i < mask_count; i++)
            counts_[i] += other.counts_[i];
    }
    uint64_t count(Mask mask) const
    {
        return counts_[static_cast<size_t>(mask)];
    }

  private:
    std::array<uint64_t, mask_count> counts_ = {};
};

/// What a DMA did: its completion, and the fault records that were not there before.
struct Observation {
    DmaResult result;
    std::vector<FaultRecord> records;

    /// The IOMMU refused the request.
    bool refused() const
    {
        return result.completion == Completion::unsupported || result.completion == Completion::aborted;
    }
    bool translated() const
    {
        return result.completion == Completion::address || result.completion == Completion::access_error;
    }
};

/// One deviation.
struct Difference {
    std::string what; ///< "fault reason"
    std::string expected;
    std::string got;
};
using Differences = std::vector<Difference>; // empty: equal

/// What comparison needs to know about the vector a step belongs to.
struct CompareContext {
    const VectorConfig &config;
    const Family &family;
    Target &target; ///< memory and registers as they are after the step; masks look for evidence there
};

/// Uncached mode: `ref` if present; else `spec` or the recorded uncached outcome; else `res`. For
/// vectors of the specification's models `res`, exactly.
Differences compare_uncached(const CompareContext &context, const DmaStep &step, const Observation &got,
                             MaskUse *use);

/// Outcomes that earlier states of memory would have given, oldest first; asked for only when needed.
using EarlierOutcomes = std::function<std::vector<Observation>()>;

/// Cached mode: legal is the uncached outcome, `res`, or the outcome of an earlier memory state. For
/// vectors of the specification's models `res`, exactly (their invalidations are sufficient).
Differences compare_cached(const CompareContext &context, const DmaStep &step, const Observation &got,
                           const EarlierOutcomes &earlier, MaskUse *use);

/// Are two observations of one request the same: address, permission, refusal?
bool same_outcome(const DmaStep &step, const Observation &a, const Observation &b);

/// The hazard tracker's verdict on a request that came back as `came`, where a walk of the tables gives
/// `now`: another outcome must be flagged; nothing may be flagged but that, and an entry that grants what the
/// tables do not grant any more, even if the request did not need it. Counts what was flagged rightly.
Differences compare_tracker(const DmaStep &step, const Observation &now, const Observation &came,
                            bool flagged, uint64_t *stale_uses);

/// Compares with one given outcome (the building block of the two above).
Differences compare_outcome(const CompareContext &context, const DmaStep &step, const Outcome &expected,
                            const Observation &got, MaskUse *use);

/// Registers named by `expect`; unknown names are differences.
Differences compare_registers(const CompareContext &context, const std::vector<RegisterExpectation> &expect,
                              Target &target);

/// Queue results of an `inv` step.
Differences compare_queue(const InvalidationStep &step, const QueueResult &got, Target &target);

/// Results of a `cmd` step: everything that the vector names.
Differences compare_commands(const CommandStep &step, const std::map<std::string, uint64_t> &got);

/// A table word that software wrote, for the comparison of `fin`.
struct WatchedWord {
    uint64_t software = 0; ///< last value that software wrote
    uint64_t last = 0;     ///< value after the latest step (scratch of the runner)
    uint64_t refused = 0;  ///< bits that hardware set during requests that it refused
};
using WatchedWords = std::map<uint64_t, WatchedWord>; // by address

/// A word of memory at the end of an uncached run of the same steps, with all flags that may be set.
using UncachedWord = std::function<uint64_t(uint64_t address)>;

/// Final memory: every watched word must hold its `expected` value, others what software wrote. `uncached`:
/// cached mode, else null.
Differences compare_final(const CompareContext &context, const std::vector<MemoryWord> &expected,
                          const WatchedWords &watched, const UncachedWord &uncached, MaskUse *use);

/// Texts for messages.
std::string describe(const CompareContext &context, const Outcome &expected);
std::string describe(const CompareContext &context, const Observation &got);

} // namespace iommu_sim::verify

#endif
