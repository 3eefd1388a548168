// SPDX-License-Identifier: Apache-2.0
//
// Settings that describe the microarchitecture of a particular piece of hardware to the cycle: its port
// towards devices, the latency of each connection, its walkers, its port to memory. Part of SystemConfig
// (system_config.h says how members and keys belong together).
#ifndef IOM_MODELS_CONFIG_TIMING_SETTINGS_H
#define IOM_MODELS_CONFIG_TIMING_SETTINGS_H

#include <cstdint>
#include <optional>

namespace iommu_sim
{

enum class Arbitration { round_robin, fixed, tree };

/// Latency of a connection; none: iommu.hop_cycles.
struct HopSettings {
    std::optional<uint32_t> request_cycles, response_cycles;
};

/// Connections of the IOMMU one by one (core/iommu.h, struct iom_iommu_hops), and around it.
struct HopsSettings {
    HopSettings look_up;   ///< AXI port to front end
    HopSettings walks;     ///< front end to walker
    HopSettings tables;    ///< walker to memory
    HopSettings commands;  ///< command queue to memory
    HopSettings records;   ///< register unit to memory
    HopSettings reports;   ///< front end to register unit
    HopSettings setup;     ///< register unit to command queue
    HopSettings events;    ///< command queue to register unit
    HopSettings updates;   ///< register unit to fan-out
    HopSettings control;   ///< command queue to fan-out
    HopSettings spread;    ///< fan-out to caches and walks
    HopSettings devices;   ///< device to AXI port
    HopSettings target;    ///< AXI port to the memory behind it
    HopSettings registers; ///< software to registers
};

/// beat_bytes == 0: devices have no AXI port.
struct AxiSettings {
    uint32_t beat_bytes = 0;
    bool boundary_check = false;                        ///< requests that cross 4 KiB are refused
    Arbitration arbitration = Arbitration::round_robin; ///< of responses
};

/// Steps of a walk that do not all cost step_cycles (core/walker.h).
struct WalkTimingSettings {
    bool enabled = false;
    uint32_t context_end_cycles = 0;
    uint32_t pasid_end_cycles = 0;
    uint32_t page_end_cycles = 0;
    uint32_t fault_cycles = 0;
    uint32_t beat_bytes = 0; ///< 0 = data arrive at once
};

/// beat_bytes == 0: each unit has a port of its own to memory.
struct MemoryChannelSettings {
    uint32_t beat_bytes = 0;
    Arbitration arbitration = Arbitration::round_robin;
    uint32_t positions = 8; ///< inputs of the arbiters
    uint32_t page_walk = 0, context_walk = 1, commands = 2, records = 3;
    uint32_t write_latency_cycles = 1; ///< last beat of a write to its response
};

/// How reports of faults and page requests become records in memory (core/register_unit.h).
struct RecordQueueSettings {
    uint32_t depth = 0; ///< reports that wait, 0 = any number
    uint32_t store_delay_cycles = 0;
    bool slot_until_written = false;
};

/// What hardware that looks up one request at a time has been seen to do wrong (docs/timing.md).
struct SerialQuirks {
    bool walks_on_edge = false;
    bool walks_when_answered = false;
    bool address_at_handshake = false;
    bool invalidation_drops_fill = false;
    bool live_context = false;
    bool full_queue_loses_record = false;
    bool boundary_inclusive = false;
    bool head_passes_waits = false;
    bool waits_skip_drain = false;
    bool writing_drops_reports = false;
};

} // namespace iommu_sim

#endif
