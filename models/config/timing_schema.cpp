// SPDX-License-Identifier: Apache-2.0
//
// Keys of timing_settings.h. See system_schema.cpp.
#include "models/config/schema_sections.h"

namespace iommu_sim
{

namespace
{

Section<HopSettings> hop_section()
{
    Section<HopSettings> s;
    s.optional_integer("request_cycles", &HopSettings::request_cycles, {0, latency_max}, "cycles",
                       "Latency of requests; none = iommu.hop_cycles.");
    s.optional_integer("response_cycles", &HopSettings::response_cycles, {0, latency_max}, "cycles",
                       "Latency of responses; none = iommu.hop_cycles.");
    return s;
}

} // namespace

Section<HopsSettings> hops_section()
{
    using H = HopsSettings;
    Section<H> s;
    const Section<HopSettings> hop = hop_section();
    s.section("devices", &H::devices, hop, "Device to AXI port (timing command).");
    s.section("look_up", &H::look_up, hop, "AXI port to front end (timing command).");
    s.section("target", &H::target, hop, "AXI port to the memory behind it (timing command).");
    s.section("walks", &H::walks, hop, "Front end to walker.");
    s.section("tables", &H::tables, hop, "Walker to memory.");
    s.section("commands", &H::commands, hop, "Command queue to memory.");
    s.section("records", &H::records, hop, "Register unit (fault queue) to memory.");
    s.section("reports", &H::reports, hop, "Front end to register unit: faults, page requests, events.");
    s.section("registers", &H::registers, hop, "Software to registers (timing command).");
    s.section("setup", &H::setup, hop, "Register unit to command queue.");
    s.section("events", &H::events, hop, "Command queue to register unit: head, errors.");
    s.section("updates", &H::updates, hop, "Register unit to fan-out.");
    s.section("control", &H::control, hop, "Command queue to fan-out.");
    s.section("spread", &H::spread, hop, "Fan-out to caches and walks.");
    return s;
}

Section<AxiSettings> axi_section()
{
    Section<AxiSettings> s;
    s.integer("beat_bytes", &AxiSettings::beat_bytes, {0, 128}, "bytes",
              "Width of the data channels; 0 = there is no AXI port.");
    s.boolean("boundary_check", &AxiSettings::boundary_check,
              "Requests that cross a 4 KiB page are refused.");
    s.choice(
        "arbitration", &AxiSettings::arbitration, arbitrations(),
        "Between responses of memory and those of refused requests; tree: of two-way decisions by the bits "
        "of one pointer (core/arbiter.h).");
    return s;
}

Section<WalkTimingSettings> walk_timing_section()
{
    using W = WalkTimingSettings;
    Section<W> s;
    s.boolean("enabled", &W::enabled, "The following keys hold; false: every step costs step_cycles.");
    s.integer("context_end_cycles", &W::context_end_cycles, {0, latency_max}, "cycles",
              "From the last data of a walk for a context entry to its answer.");
    s.integer("pasid_end_cycles", &W::pasid_end_cycles, {0, latency_max}, "cycles",
              "Likewise for a PASID entry.");
    s.integer("page_end_cycles", &W::page_end_cycles, {0, latency_max}, "cycles", "Likewise for a page.");
    s.integer("fault_cycles", &W::fault_cycles, {0, latency_max}, "cycles",
              "From the beat that shows a fault (but not before the last one) to the answer.");
    s.integer("beat_bytes", &W::beat_bytes, {0, 64}, "bytes",
              "What arrives in one cycle; 0 = all data of a read.");
    return s;
}

Section<RecordQueueSettings> record_queue_section()
{
    using R = RecordQueueSettings;
    Section<R> s;
    s.integer(
        "depth", &R::depth, {0, 65536}, "reports",
        "Reports that wait for their records to be written; when it is full the front end waits. 0 = any "
        "number.");
    s.integer("store_delay_cycles", &R::store_delay_cycles, {0, latency_max}, "cycles",
              "From a report, or the end of the record before, to the departure of the record.");
    s.boolean("slot_until_written", &R::slot_until_written,
              "A report keeps its place until its record is in memory; false: until it is taken.");
    return s;
}

Section<MemoryChannelSettings> memory_channel_section()
{
    using M = MemoryChannelSettings;
    constexpr uint64_t most_positions = 32;
    Section<M> s;
    s.integer(
        "beat_bytes", &M::beat_bytes, {0, 64}, "bytes",
        "Width of the data channels of a port that walker, command queue and register unit share; 0 = each "
        "has a port of its own.");
    s.choice("arbitration", &M::arbitration, arbitrations(),
             "Between the addresses of the units, as axi.arbitration.");
    s.integer("positions", &M::positions, {1, most_positions}, "", "Inputs of the arbiters.");
    s.integer("page_walk", &M::page_walk, {0, most_positions - 1}, "", "Input of page walks.");
    s.integer("context_walk", &M::context_walk, {0, most_positions - 1}, "",
              "Input of walks for context and PASID entries.");
    s.integer("commands", &M::commands, {0, most_positions - 1}, "", "Input of the command queue.");
    s.integer("records", &M::records, {0, most_positions - 1}, "", "Input of the register unit.");
    s.integer("write_latency_cycles", &M::write_latency_cycles, {0, latency_max}, "cycles",
              "From the last beat of a write to its response.");
    s.check([](const M &channels, CheckReport &report) {
        const uint32_t inputs[] = {channels.page_walk, channels.context_walk, channels.commands,
                                   channels.records};
        const char *names[] = {"page_walk", "context_walk", "commands", "records"};
        for (size_t i = 0; i < std::size(inputs); i++) {
            if (inputs[i] >= channels.positions)
                report.conflict({names[i], "positions"}, "the arbiters have no such input");
            for (size_t j = 0; j < i; j++) {
                if (inputs[i] == inputs[j])
                    report.conflict({names[i], names[j]}, "two units cannot share an input");
            }
        }
    });
    return s;
}

void add_serial_quirks(Section<QuirkSettings> &s)
{
    s.boolean(
        "walks_on_edge", &QuirkSettings::walks_on_edge,
        "Serial look-up: a walk starts only when something begins to be missing; if the walker is busy then, "
        "it never does.");
    s.boolean("walks_when_answered", &QuirkSettings::walks_when_answered,
              "Serial look-up: look-ups of a request go on until its address has been handed over, and start "
              "walks; what those refuse is charged to whoever is in service when they end.");
    s.boolean("address_at_handshake", &QuirkSettings::address_at_handshake,
              "Serial look-up: the address handed over is what the look-ups of that cycle give: 0 if what "
              "served the request has been invalidated meanwhile.");
    s.boolean("invalidation_drops_fill", &QuirkSettings::invalidation_drops_fill,
              "Serial look-up: an invalidation drops a fill of its cycle, whatever it covers.");
    s.boolean("live_context", &QuirkSettings::live_context,
              "Serial look-up: a page walk goes by what the look-ups of each cycle see of its context.");
    s.boolean(
        "full_queue_loses_record", &QuirkSettings::full_queue_loses_record,
        "Serial look-up: a fault that finds the record queue full goes on without a record when there is "
        "room; one of a walk is forgotten.");
    s.boolean("head_passes_waits", &QuirkSettings::head_passes_waits,
              "The command queue's head passes a wait when it begins, not when it has completed.");
    s.boolean("waits_skip_drain", &QuirkSettings::waits_skip_drain,
              "Waits do not wait for older DMA to become visible.");
    s.boolean("writing_drops_reports", &QuirkSettings::writing_drops_reports,
              "While memory acknowledges a record, a report behind it is lost in each cycle.");
    s.boolean("boundary_inclusive", &QuirkSettings::boundary_inclusive,
              "axi.boundary_check also refuses requests that end exactly at a 4 KiB page.");
}

} // namespace iommu_sim
