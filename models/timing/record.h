// SPDX-License-Identifier: Apache-2.0
//
// A record of real hardware at work: how it was built, what it was given, and in which cycles it did what.
// One JSON object per line; the format and the definitions of all cycles are in
// tests/data/rtl-timing/README.md. Reading is strict: an unknown kind, a missing field or a malformed number
// is an error, never a guess.
#ifndef IOMMU_SIM_MODELS_TIMING_RECORD_H
#define IOMMU_SIM_MODELS_TIMING_RECORD_H

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base.h"
#include "models/input/line_reader.h"

namespace iommu_sim::timing
{

/// Which parts of MSI translation the hardware has.
enum class MsiTables { none, flat, flat_and_mrif };

/// Parameters of the hardware that differ from record to record.
struct Build {
    std::string name;
    uint32_t iotlb_entries = 0, ddtc_entries = 0, pdtc_entries = 0;
    bool process_contexts = false;
    bool boundary_check = false; ///< refuses bursts that cross 4 KiB
    MsiTables msi = MsiTables::none;

    /// 64-byte device contexts.
    bool extended_contexts() const
    {
        return msi != MsiTables::none;
    }
};

/// Register contents at cycle 0.
struct RegisterSetup {
    uint32_t ddtp_mode = 0; ///< ddtp.iommu_mode
    uint64_t ddtp_ppn = 0, cqb_ppn = 0, fqb_ppn = 0;
    uint32_t cq_entries = 0, fq_entries = 0; ///< powers of two
    bool cq_enabled = false, fq_enabled = false, wired_interrupts = false;
};

enum class Result { address, fault, none };

/// What became of a request. Cycles: IOM_NEVER where the event did not take place.
struct Outcome {
    iom_cycle presented = IOM_NEVER, accepted = IOM_NEVER, done = IOM_NEVER, responded = IOM_NEVER;
    Result result = Result::none;
    uint64_t address = 0;          ///< with Result::address
    std::optional<uint32_t> cause; ///< with Result::fault; none: refused before any look-up
};

struct Request {
    bool write = false, privileged = false, execute = false;
    uint32_t device_id = 0;
    std::optional<uint32_t> process_id;
    uint64_t iova = 0;
    uint32_t beats = 1;
    uint64_t gap = 0;
    std::optional<uint32_t> after_op;
    Outcome outcome;
};

enum class Trigger { cycle, presented, done, drained };
enum class OpKind { register_write, memory_write, wait };

/// When an operation was carried out.
struct OpTimes {
    iom_cycle start = IOM_NEVER, done = IOM_NEVER;
};

struct Op {
    Trigger trigger = Trigger::cycle;
    OpKind kind = OpKind::wait;
    uint32_t request = 0; ///< of presented and done
    uint64_t delay = 0;   ///< cycle: the cycle; presented, done: cycles behind it
    uint64_t address = 0, value = 0;
    uint8_t bytes = 0;
    OpTimes times;
};

/// Who uses the port to memory.
enum class Client { page_walk, context_walk, commands, records };

struct Read {
    iom_cycle accepted = 0, first = 0, last = 0; ///< last: beat
    Client client = Client::page_walk;
    uint64_t address = 0;
    uint32_t beats = 0;
    std::optional<uint32_t> request; ///< in service when it was accepted
};

struct Write {
    iom_cycle accepted = 0;
    iom_cycle responded = IOM_NEVER;
    Client client = Client::commands;
    uint64_t address = 0;
    std::vector<uint64_t> data;   ///< one word per beat
    std::vector<iom_cycle> beats; ///< cycle of each
};

enum class EventKind {
    flush_translations, ///< cycle in which IOTINVAL.VMA or GVMA takes effect
    flush_devices,      ///< likewise IODIR.INVAL_DDT
    flush_processes,    ///< likewise IODIR.INVAL_PDT
    command_head,       ///< cqh shows `value` for the first time
    command_tail,
    fault_tail,
};

struct Event {
    iom_cycle cycle = 0;
    EventKind kind = EventKind::command_head;
    uint64_t value = 0;
};

/// What a piece of hardware did, or a model of it.
struct Activity {
    std::vector<Read> reads;
    std::vector<Write> writes;
    std::vector<Event> events;
};

struct Record {
    std::string id;
    size_t line = 0;
    Build build;
    RegisterSetup registers;
    uint32_t read_latency_cycles = 0, write_latency_cycles = 0, sink_latency_cycles = 0;
    bool dual = false;                        ///< reads and writes are driven independently
    uint32_t response_limit = 0;              ///< 0 = none
    std::map<uint64_t, uint64_t> memory;      ///< 8-byte words at cycle 0, those that are not zero
    std::map<uint64_t, uint32_t> read_errors; ///< words that answer reads with this AXI response
    std::vector<Request> requests;
    std::vector<Op> ops;
    Activity activity;
    bool hung = false;
    iom_cycle cycles = 0; ///< length of the record
};

/// Parses one line. `file` and `line` are for messages only. Unknown fields are added to `notes` (may be
/// null). Throws InputError.
Record parse_record(const std::string &text, const std::string &file, size_t line,
                    std::set<std::string> *notes);

/// Records of a file, one after the other; empty lines are skipped.
class RecordFile
{
  public:
    explicit RecordFile(const std::string &path);

    /// Next record, or nothing at the end. Throws InputError.
    std::optional<Record> next();
    /// Unknown fields met so far.
    const std::set<std::string> &notes() const
    {
        return notes_;
    }

  private:
    std::string path_;
    LineReader lines_;
    std::set<std::string> notes_, ids_;
};

/// "read", "write", ... for messages.
const char *client_name(Client client);
const char *event_name(EventKind kind);

} // namespace iommu_sim::timing

#endif
