// SPDX-License-Identifier: Apache-2.0
//
// Comparison of a record with what a model did.
//
// Compared are, to the cycle:
//   requests       result, address or cause, handshake, completion; the reads of memory made for it: how
//                  many, where, when. A request without result is exact if the model has not completed it by
//                  the end of the record either; one that was never presented (behind one that hangs) is not
//                  counted
//   commands       the read that fetched it, when the head passes it, which invalidation it does and when,
//                  data of a fence
//   fault records  every handshake of their way to memory, their contents, when the tail passes them
//   operations     start and end of what software did, and when a doorbell shows
// A read belongs to the request in service when memory accepts it: the next one to be accepted, if it has
// been presented. Reads that belong to no request are not compared.
#ifndef IOMMU_SIM_MODELS_TIMING_COMPARE_H
#define IOMMU_SIM_MODELS_TIMING_COMPARE_H

#include "models/timing/record.h"

namespace iommu_sim::timing
{

/// What a model did when it played a record, in the terms of the record.
struct Observation {
    std::vector<Outcome> requests;
    std::vector<OpTimes> ops;
    Activity activity; ///< Read.request is not used
};

/// The request in service in each of the cycles, as said above; `cycles` in ascending order.
std::vector<std::optional<uint32_t>> requests_in_service(const std::vector<Outcome> &requests,
                                                         const std::vector<iom_cycle> &cycles);

struct Difference {
    std::string what, expected, got;
};

/// A request, command, ... that differs.
struct OffItem {
    std::string name;                    ///< "request 3"
    iom_cycle cycle = IOM_NEVER;         ///< of its first difference
    std::vector<Difference> differences; ///< the first few
    uint64_t more = 0;                   ///< differences beyond them
};

struct Count {
    uint64_t exact = 0, off = 0;

    Count &operator+=(const Count &other)
    {
        exact += other.exact;
        off += other.off;
        return *this;
    }
};

/// Uncounted: never presented in the record.
enum class Verdict { exact, off, uncounted };

/// A request as the record has it and as the model did it.
struct ComparedRequest {
    Outcome recorded, simulated;
    uint64_t recorded_reads = 0, simulated_reads = 0; ///< of memory, made for it
    Verdict verdict = Verdict::uncounted;
    std::string why; ///< off: its first few differences
};

struct Comparison {
    Count requests, commands, fault_records, operations;
    uint64_t max_error_cycles = 0;             ///< of all cycles compared
    std::optional<OffItem> first;              ///< the earliest
    std::vector<ComparedRequest> each_request; ///< as many as the record has

    std::vector<uint32_t> off_requests() const; ///< indices, ascending
    uint64_t off() const
    {
        return requests.off + commands.off + fault_records.off + operations.off;
    }
};

Comparison compare(const Record &record, const Observation &seen);

} // namespace iommu_sim::timing

#endif
