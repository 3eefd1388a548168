// SPDX-License-Identifier: Apache-2.0
//
// Conditions between the keys of timing_settings.h: what belongs to an AXI port or to a memory port with
// channels, and that only the test bench of records (models/timing/rig.h) has these.
#include <initializer_list>
#include <string>
#include <vector>

#include "models/config/system_schema.h"

namespace iommu_sim
{

namespace
{

struct Switch {
    const char *key;
    bool on;
};

/// Switches that are on although `needed` is off: one message for all of them.
void refuse_without(const char *needed, const std::string &why, std::initializer_list<Switch> switches,
                    CheckReport &report)
{
    std::vector<std::string> keys;
    std::string names;
    for (const Switch &one : switches) {
        if (!one.on)
            continue;
        keys.emplace_back(one.key);
        names += (names.empty() ? "" : ", ") + keys.back();
    }
    if (keys.empty())
        return;
    const std::string verb = keys.size() == 1 ? " applies " : " apply ";
    keys.emplace_back(needed);
    report.conflict(keys, names + verb + why);
}

bool is_given(const HopSettings &hop)
{
    return hop.request_cycles || hop.response_cycles;
}

} // namespace

void check_timing(const SystemConfig &config, CheckReport &report)
{
    const QuirkSettings &quirks = config.quirks;
    if (config.frontend.serial && config.iommu.wiring == Wiring::chained)
        report.conflict({"frontend.serial", "iommu.wiring"},
                        "one request at a time needs all caches in one stage; set iommu.wiring: fused");
    if (!config.frontend.serial)
        refuse_without("frontend.serial", "with frontend.serial: true only",
                       {{"quirks.walks_on_edge", quirks.walks_on_edge},
                        {"quirks.walks_when_answered", quirks.walks_when_answered},
                        {"quirks.address_at_handshake", quirks.address_at_handshake},
                        {"quirks.invalidation_drops_fill", quirks.invalidation_drops_fill},
                        {"quirks.live_context", quirks.live_context},
                        {"quirks.full_queue_loses_record", quirks.full_queue_loses_record}},
                       report);
    if (config.axi.beat_bytes == 0)
        refuse_without("axi.beat_bytes", "to an AXI port only (axi.beat_bytes)",
                       {{"axi.boundary_check", config.axi.boundary_check},
                        {"quirks.boundary_inclusive", quirks.boundary_inclusive}},
                       report);
    if (config.memory.channels.beat_bytes == 0)
        refuse_without("memory.channels.beat_bytes",
                       "to a memory port with channels only (memory.channels.beat_bytes)",
                       {{"quirks.writing_drops_reports", quirks.writing_drops_reports}}, report);
}

void check_records(const SystemConfig &config, CheckReport &report)
{
    const bool axi = config.axi.beat_bytes != 0;
    if (config.frontend.serial && !axi)
        report.conflict({"frontend.serial", "axi.beat_bytes"},
                        "one request at a time needs an AXI port; set axi.beat_bytes, or frontend.serial: "
                        "false");
    if (axi && !config.frontend.serial)
        report.conflict({"axi.beat_bytes", "frontend.serial"},
                        "an AXI port takes one request at a time; set frontend.serial: true");
    if (axi && config.memory.channels.beat_bytes == 0)
        report.conflict({"memory.channels.beat_bytes", "axi.beat_bytes"},
                        "records need a memory port with channels beside the AXI port; set "
                        "memory.channels.beat_bytes");
}

void check_run(const SystemConfig &config, CheckReport &report)
{
    const std::string only = "only `iommu-sim timing` ";
    if (config.frontend.serial)
        report.conflict({"frontend.serial"},
                        "needs an AXI port, which " + only + "puts in front of an IOMMU; set it to false");
    if (config.axi.beat_bytes != 0)
        report.conflict({"axi.beat_bytes"}, only + "puts an AXI port in front of an IOMMU; set it to 0");
    if (config.memory.channels.beat_bytes != 0)
        report.conflict({"memory.channels.beat_bytes"},
                        only + "builds a memory port with channels; set it to 0 (memory.bytes_per_cycle "
                               "limits bandwidth)");
    struct Hop {
        const char *name;
        const HopSettings &hop;
        const char *instead;
    };
    const HopsSettings &hops = config.hops;
    for (const Hop &hop : {Hop{"devices", hops.devices, "set link.latency_cycles instead"},
                           {"look_up", hops.look_up, "remove it"},
                           {"target", hops.target, "remove it"},
                           {"registers", hops.registers, "set driver.mmio_cycles instead"}}) {
        const std::string path = std::string("hops.") + hop.name;
        if (is_given(hop.hop))
            report.conflict({path + ".request_cycles", path + ".response_cycles"},
                            only + "has this connection; " + hop.instead);
    }
}

} // namespace iommu_sim
