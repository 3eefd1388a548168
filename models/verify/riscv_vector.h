// SPDX-License-Identifier: Apache-2.0
//
// Vectors of the RISC-V reference model: the second schema that `iommu-sim verify` plays.
//
// Unlike the vectors of vector.h, a step of these names every effect that it may have: fault and page request
// records, messages to devices, words of memory, registers. What is not named must not happen. docs/verify.md
// describes the JSON; parse_riscv_vector() is as strict as parse_vector().
//
// Source of the formats: RISC-V IOMMU Architecture Specification 1.0; PCI Express Base 6.0, 10.3 and 10.4.
#ifndef IOM_MODELS_VERIFY_RISCV_VECTOR_H
#define IOM_MODELS_VERIFY_RISCV_VECTOR_H

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "models/verify/target.h"
#include "models/verify/vector.h"

namespace iommu_sim::verify::riscv
{

/// A record of the fault queue.
struct FaultEntry {
    uint32_t cause = 0, transaction = 0, device = 0, process = 0;
    bool has_process = false, priv = false;
    uint64_t iotval = 0, iotval2 = 0;
};

/// A record of the page request queue.
struct PageEntry {
    uint32_t device = 0, process = 0;
    bool has_process = false, priv = false, exec = false;
    uint64_t payload = 0;
};

/// Registers that a step may change without being asked to.
enum class Watched { cqh, cqcsr, fqcsr, pqcsr, ipsr };
constexpr size_t watched_count = 5;
struct WatchedRegister {
    const char *name;
    uint32_t offset;
};
const WatchedRegister &watched_register(Watched which);

/// What a step brings about besides its result.
struct Effects {
    std::vector<FaultEntry> faults;
    std::vector<PageEntry> page_requests;
    std::vector<DeviceMessage> messages;
    std::vector<MemoryWord> memory;                               ///< words that are not queue records
    std::array<std::optional<uint32_t>, watched_count> registers; ///< new values of those that change
    std::optional<Drain> drain;                                   ///< older DMA that a fence waited for
};

struct RegisterWriteStep {
    RegisterWrite write;
    Effects effects;
};

struct RegisterReadStep {
    uint32_t offset = 0;
    unsigned bytes = 4;
    uint64_t value = 0, mask = UINT64_MAX;
};

/// Software stores 8 bytes (little-endian).
struct MemoryWriteStep {
    MemoryWord word;
};

/// Software appends a command (its logical doublewords) and rings the doorbell.
struct QueueStep {
    std::string name; ///< for messages
    std::array<uint64_t, 2> words = {};
    uint32_t tail = 0; ///< index to write
    Effects effects;
};

enum class Status { success, unsupported, aborted };

struct Result {
    Status status = Status::success;
    std::optional<uint64_t> pa;             ///< of the request's first byte
    std::optional<uint8_t> size_log2;       ///< largest range that may be reported
    std::optional<uint8_t> memory_type;     ///< 0 PMA, 1 NC, 2 IO
    std::optional<bool> msi;                ///< went through an MSI page table
    bool mrif = false;                      ///< goes to a memory-resident interrupt file:
    uint64_t mrif_address = 0;              ///< with mrif
    uint64_t notice_ppn = 0, notice_id = 0; ///< with mrif: the notice's page and identity
    // Answer to a translation request; absent: not compared
    std::optional<bool> read, write, exec, untranslated, priv, global, no_snoop, cxl_io;
    std::optional<uint8_t> ama;
};

struct RequestStep {
    DmaStep request;
    Result result;
    Effects effects;
    std::optional<Result> stale_result; ///< also legal: an entry that was not invalidated was used
    std::optional<Effects> stale_effects;
};

struct PageRequestStep {
    PageRequest request;
    Effects effects;
};

/// The device answers invalidation requests.
struct CompletionStep {
    InvalidationCompletion completion;
    bool unexpected = false; ///< nobody waits for it
    Effects effects;
};

/// The completion timer of these tags expires.
struct TimeoutStep {
    uint32_t tags = 0;
    Effects effects;
};

using Step = std::variant<RegisterWriteStep, RegisterReadStep, MemoryWriteStep, QueueStep, RequestStep,
                          PageRequestStep, CompletionStep, TimeoutStep>;

/// Word for a step in messages: "reg_write", ...
const char *step_name(const Step &step);

struct Vector {
    std::string id, family;
    size_t line = 0;     ///< in its file, from 1
    VectorConfig config; ///< machine "riscv", with its parameters
    std::vector<MemoryWord> memory;
    std::vector<MemoryMark> marks;
    std::vector<Step> steps;
};

} // namespace iommu_sim::verify::riscv

#endif
