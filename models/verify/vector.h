// SPDX-License-Identifier: Apache-2.0
//
// A conformance vector as typed data: a memory image, register writes and a list of steps, each
// with what the IOMMU under test must do.
//
// The JSON schema (one object per line) is described in docs/verify.md; parse_vector() is strict: an
// unknown operation, a missing field or a malformed number is an error, never a guess. Fields that
// it does not know are reported as notes, so that an expectation is not lost in silence.
//
// Units: addresses and sizes are bytes, register offsets count from the IOMMU's register base.
#ifndef IOM_MODELS_VERIFY_VECTOR_H
#define IOM_MODELS_VERIFY_VECTOR_H

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "models/input/line_reader.h"

namespace iommu_sim::verify
{

/// A file that is no conformance vector. what() names file, line, vector and field.
using VectorError = InputError;

/// Bytes that software puts into memory, lowest address first.
struct MemoryImage {
    uint64_t address = 0;
    std::vector<uint8_t> bytes;
};

/// A 64-bit table word with an expected value (`fin`, `finfresh`).
struct MemoryWord {
    uint64_t address = 0;
    uint64_t value = 0;
};

struct RegisterWrite {
    uint32_t offset = 0;
    uint8_t bytes = 4; ///< 4 or 8
    uint64_t value = 0;
};

/// `expect`: a register that must hold `value` in the bits of `mask` after the step.
struct RegisterExpectation {
    std::string name; ///< "FSTS", "FRCD2_HI", ...
    uint64_t value = 0;
    uint64_t mask = UINT64_MAX;
};

/// A fault record by field name ("reason", "sid", "addr", ...). `type` "r" is 0 and "w" is 1. The same
/// shape holds what is expected and what came, so comparison needs no knowledge of an architecture.
struct FaultFields {
    std::map<std::string, uint64_t> fields;
    std::vector<uint64_t> reason_any; ///< accepted codes, where `reason` is not given
    bool exact = false;
};

/// Expected result of a DMA.
struct Outcome {
    bool ok = false;
    std::optional<uint64_t> pa;
    std::optional<FaultFields> fault;
    bool nofault = false; ///< refused and nothing recorded
    std::string why;      ///< reason without a record: "noram", "fpd", "hit-perm", "ur-ca", ...
    std::string cond;     ///< of `spec`: condition in words: "fpd", "rsvd", "beyond", ...
    // Of a completed translation request.
    std::optional<uint8_t> size_log2;
    std::optional<bool> read, write, exec, priv, global;
    std::optional<uint32_t> record;        ///< `rec`: index of the fault recording register used
    std::map<std::string, uint64_t> extra; ///< further numbers (other families)
};

/// PCIe address type of a request.
enum class AddressType {
    untranslated,
    translation_request, ///< ATS translation request
    translated,          ///< ATS translated request: the address is a result already
};

struct DmaStep {
    uint32_t device = 0;
    bool write = false; ///< of a translation request: write permission asked
    uint64_t address = 0;
    uint32_t bytes = 8;
    std::optional<uint32_t> pasid;
    bool priv = false;
    bool exec = false;
    bool cxl = false; ///< of a translation request: the device is a CXL device
    AddressType type = AddressType::untranslated;
    Outcome res;                             ///< what the recorded hardware did, with its caches
    std::optional<Outcome> fresh, ref, spec; ///< uncached outcome; second opinions
    std::vector<RegisterExpectation> expect;
};

struct MemoryStep {
    MemoryImage image;
};

struct RegisterStep {
    RegisterWrite write;
    std::vector<RegisterExpectation> expect;
};

/// VT-d: descriptors appended to the invalidation queue.
struct InvalidationStep {
    uint64_t queue = 0;
    uint32_t queue_bytes = 4096;
    uint32_t descriptor_bytes = 16;
    std::vector<std::vector<uint64_t>> descriptors;
    std::optional<uint64_t> wait;   ///< address of the status word
    std::optional<uint32_t> status; ///< expected there afterwards
    uint64_t head = 0, tail = 0;    ///< expected IQH, IQT
    bool error = false;             ///< expected FSTS.IQE
    std::vector<RegisterExpectation> expect;
};

/// RISC-V, SMMUv3, AMD: commands appended to the command queue.
struct CommandStep {
    uint64_t queue = 0;
    uint32_t entries = 0;
    std::vector<std::vector<uint64_t>> commands;
    std::optional<uint64_t> start, wait;
    std::map<std::string, uint64_t> results;
    std::optional<FaultFields> fault;
    std::vector<RegisterExpectation> expect;
};

struct BypassStep {
    bool value = false;
};

struct VirtioStep {
    std::string type; ///< "attach", ..., or a number in decimal
    std::map<std::string, uint64_t> fields;
    std::map<std::string, uint64_t> results;
    std::vector<uint64_t> status_any;
};

using Step =
    std::variant<DmaStep, MemoryStep, RegisterStep, InvalidationStep, CommandStep, BypassStep, VirtioStep>;

/// Word for a step in messages: "dma", "mem", ...
const char *step_name(const Step &step);

/// Where the expectation of a vector comes from.
enum class Source {
    qemu, ///< recorded from an emulator: quirk masks apply
    spec, ///< computed from a model of the specification: exact
};

/// Choices of a RISC-V IOMMU, as vectors of its reference model state them (riscv_vector.h).
struct RiscvParameters {
    uint64_t capabilities = 0;
    uint32_t fctl = 0;           ///< reset value
    uint8_t counters = 0;        ///< performance counters, cycle counter included
    uint8_t counter_bits = 0;    ///< their width
    uint16_t events = 0;         ///< largest event id
    uint8_t vector_bits = 0;     ///< writable bits of a vector number
    uint8_t max_mode = 4;        ///< largest ddtp.iommu_mode
    uint32_t device_id_mask = 0; ///< device ids that exist
    bool gxl_writable = false, be_writable = false;
    uint8_t bare_page_log2 = 12;      ///< range reported for a stage that is Bare
    uint8_t bare_page_sv32_log2 = 12; ///< likewise with Sv32 or Sv32x4 only
};

struct VectorConfig {
    std::string machine; ///< "vtd", "riscv", "smmu", "amd", "virtio"
    std::string mode;    ///< "legacy", "ss", "fs", "sm" (VT-d); `kind` of the other families
    Source source = Source::qemu;
    uint32_t address_width = 48;                  ///< `aw`, bits
    std::optional<uint32_t> host_address_width;   ///< `haw`, bits
    std::map<std::string, uint64_t> capabilities; ///< "cap", "ecap", "efr", "IDR0", ...
    bool keep_faults = false;                     ///< records are not cleared after each DMA
    std::vector<uint32_t> ats_devices;
    std::optional<RiscvParameters> riscv; ///< absent: as recorded machines of this family are
};

struct Vector {
    std::string id;
    std::string family; ///< `arch`: "vtd-legacy", "vtd-spec-sm-nest", ...
    size_t line = 0;    ///< in its file, from 1
    VectorConfig config;
    std::vector<MemoryImage> memory;
    std::vector<RegisterWrite> registers;
    std::vector<Step> steps;
    std::optional<std::vector<MemoryWord>> fin, fin_fresh;
};

/// Parses one line of a vector file. `file` and `line` go into messages. Names of unknown fields are
/// added to `notes` (may be null). Throws VectorError.
Vector parse_vector(const std::string &text, const std::string &file, size_t line,
                    std::set<std::string> *notes);

/// "0x2a"
std::string hex(uint64_t value);

} // namespace iommu_sim::verify

#endif
