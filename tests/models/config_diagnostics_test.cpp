// SPDX-License-Identifier: Apache-2.0
//
// What a user is told about a wrong configuration: the exact text for every class of mistake, all
// of them at once and in order of position.
#include <gtest/gtest.h>

#include "models/config/config.h"

namespace iommu_sim
{
namespace
{

struct Case {
    const char *name;
    std::string text;
    std::string messages;
};

void expect_messages(const std::vector<Case> &cases)
{
    for (const Case &c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(load_config_text(c.text, "s.yaml").messages(), c.messages);
    }
}

const std::string device = "devices:\n"
                           "  - name: a\n"
                           "    source_id: 00:01.0\n";
const std::string ended = "run: {requests: 10}\n";

TEST(ConfigDiagnostics, Keys)
{
    expect_messages({
        {"unknown with suggestion", "iotlb:\n  entreis: 64\n",
         "s.yaml:2:3: iotlb.entreis: unknown key (did you mean entries?)\n"},
        {"unknown at the top", "iotbl: {}\n", "s.yaml:1:1: iotbl: unknown key (did you mean iotlb?)\n"},
        {"unknown, nothing near", "zebra: 1\n", "s.yaml:1:1: zebra: unknown key\n"},
        {"unknown in a list", ended + device + "    domian: 1\n",
         "s.yaml:5:5: devices[0].domian: unknown key (did you mean domain?)\n"},
        {"unknown inside an unknown map is not looked at", "zebra:\n  iotlb: {x: 1}\n",
         "s.yaml:1:1: zebra: unknown key\n"},
        {"duplicate", "iotlb:\n  entries: 64\n  ways: 4\n  entries: 32\n",
         "s.yaml:4:3: iotlb.entries: duplicate key (first given at line 2, column 3)\n"},
        {"duplicate section", "iotlb: {}\nrun: {}\niotlb: {}\n",
         "s.yaml:3:1: iotlb: duplicate key (first given at line 1, column 1)\n"},
        {"duplicate in a list", ended + device + "    name: b\n",
         "s.yaml:5:5: devices[0].name: duplicate key (first given at line 3, column 5)\n"},
        {"duplicate although one is quoted", "name: a\n\"name\": b\n",
         "s.yaml:2:1: name: duplicate key (first given at line 1, column 1)\n"},
        {"merge key", "iotlb: &a {entries: 64}\ncontext_cache:\n  <<: *a\n",
         "s.yaml:3:3: context_cache.<<: merge keys are not supported; use include or an alias of the whole "
         "value\n"},
        {"key is a list", "[a, b]: 1\n", "s.yaml:1:1: a key must be a name\n"},
        {"key is null", "~: 1\n", "s.yaml:1:1: a key must be a name\n"},
        {"missing required", ended + "devices:\n  - domain: 1\n",
         "s.yaml:3:5: devices[0].name: missing; every entry of this list needs it\n"
         "s.yaml:3:5: devices[0].source_id: missing; every entry of this list needs it\n"},
        {"key of another kind",
         ended + device + "    generator:\n      kind: uniform\n      ring_entries: 8\n",
         "s.yaml:7:7: devices[0].generator.ring_entries: not a key of kind uniform, only of nic\n"},
        {"key of another kind, kind comes later",
         ended + device + "    generator:\n      burst_requests: 8\n      kind: nvme\n",
         "s.yaml:6:7: devices[0].generator.burst_requests: not a key of kind nvme, only of sequential, "
         "strided, "
         "uniform, zipf\n"},
        {"unknown kind hides what depends on it",
         ended + device + "    generator:\n      kind: nc\n      queues: 8\n",
         "s.yaml:6:13: devices[0].generator.kind: 'nc' is not one of none, sequential, strided, uniform, "
         "zipf, "
         "nic, "
         "nvme (did you mean nic?)\n"},
    });
}

TEST(ConfigDiagnostics, InvalidationAndWorkload)
{
    const std::string idle = "devices:\n"
                             "  - {name: a, source_id: 00:01.0, generator: {kind: none}}\n";
    expect_messages({
        {"device without traffic or workload", ended + idle,
         "s.yaml:3:53: devices[0].generator.kind: a device without traffic of its own needs a workload; set "
         "workload.threads\n"},
        {"workload without device", "workload: {threads: 1}\n" + device,
         "s.yaml:1:21: workload.threads: the threads need a device; add one with generator.kind: none\n"},
        {"workload of an unknown device", "workload: {threads: 1, device: b}\n" + idle,
         "s.yaml:1:32: workload.device: there is no device b\n"},
        {"workload of a device that is busy", "workload: {threads: 1, device: a}\n" + device,
         "s.yaml:1:32: workload.device: a has traffic of its own; give it generator.kind: none\n"},
        {"workload of parts of pages", "workload: {threads: 1, bytes: 5000}\n" + idle,
         "s.yaml:1:31: workload.bytes: 5000 is not a multiple of 4K\n"},
        {"more requests than bytes", "workload: {threads: 1, requests: 17}\n" + idle,
         "s.yaml:1:34: workload.requests: 17 requests of 256 do not fit into a mapping of 4K\n"},
        {"flush queue", ended + device + "driver: {flush_entries: 12}\n",
         "s.yaml:5:25: driver.flush_entries: 12 is not a power of two above 1\n"},
        {"command queue", ended + device + "command_queue: {size: 12K}\n",
         "s.yaml:5:23: command_queue.size: 12K is not a power of two\n"},
        {"device TLB geometry", ended + device + "    device_tlb: {entries: 12, ways: 4}\n",
         "s.yaml:5:27: devices[0].device_tlb.entries: entries (12) / ways (4) give 3 sets, which is not a "
         "power of two\n"},
        {"pass-through and device TLB",
         ended + "vtd: {mode: pass-through}\n" + device + "    device_tlb: {entries: 16}\n",
         "s.yaml:6:27: devices[0].device_tlb.entries: pass-through answers no translation requests; remove "
         "the device TLB\n"},
        {"unknown method", "iotlb: {invalidate: {method: flush}}\n",
         "s.yaml:1:30: iotlb.invalidate.method: 'flush' is not one of flash, scan, by_set (did you mean "
         "flash?)\n"},
    });
}

TEST(ConfigDiagnostics, Values)
{
    expect_messages({
        {"octal", "iotlb:\n  entries: 010\n",
         "s.yaml:2:12: iotlb.entries: '010' has a leading zero, which YAML 1.1 reads as octal; write it "
         "without "
         "the zero, or as 0x...\n"},
        {"out of range", "walker: {walkers: 0}\n",
         "s.yaml:1:19: walker.walkers: 0 is out of range (1..4096)\n"},
        {"negative", "run: {seed: -1}\n",
         "s.yaml:1:13: run.seed: '-1' is negative; 0..18446744073709551615 is allowed\n"},
        {"overflow", "run: {seed: 18446744073709551616}\n",
         "s.yaml:1:13: run.seed: '18446744073709551616' does not fit into 64 bits\n"},
        {"exponent", "run: {requests: 1e3}\n",
         "s.yaml:1:17: run.requests: expected an integer, found '1e3'\n"},
        {"boolean", "vtd: {coherent_walk: yes}\n",
         "s.yaml:1:22: vtd.coherent_walk: expected true or false, found 'yes' (other YAML 1.1 spellings are "
         "not "
         "accepted)\n"},
        {"choice", "iommu: {wiring: fusd}\n",
         "s.yaml:1:17: iommu.wiring: 'fusd' is not one of fused, chained (did you mean fused?)\n"},
        {"not available", "iommu: {arch: smmuv3}\n",
         "s.yaml:1:15: iommu.arch: smmuv3 is not available yet (available: vtd, riscv)\n"},
        {"null", "iotlb:\n  entries:\n",
         "s.yaml:2:3: iotlb.entries: no value; remove the key to use the default\n"},
        {"null section", "iotlb:\nrun: {}\n",
         "s.yaml:1:1: iotlb: no value; remove the key to use the default\n"},
        {"tilde", "name: ~\n", "s.yaml:1:1: name: no value; remove the key to use the default\n"},
        {"map for a value", "iotlb:\n  entries: {a: 1}\n",
         "s.yaml:2:12: iotlb.entries: expected one value (integer), found keys\n"},
        {"list for a value", "iotlb:\n  entries: [1]\n",
         "s.yaml:2:12: iotlb.entries: expected one value (integer), found a list\n"},
        {"value for a section", "iotlb: 5\n", "s.yaml:1:8: iotlb: expected keys below it, found one value\n"},
        {"list for a section", "iotlb: [5]\n", "s.yaml:1:8: iotlb: expected keys below it, found a list\n"},
        {"map for a list", "devices: {name: a}\n",
         "s.yaml:1:10: devices: expected a list (entries that begin with -)\n"},
        {"value in a list of maps", ended + "devices: [5]\n",
         "s.yaml:2:11: devices[0]: expected keys, found one value, a list or nothing\n"},
        {"empty entry", ended + "devices:\n  -\n",
         "s.yaml:3:3: devices[0]: expected keys, found one value, a list or nothing\n"},
    });
}

TEST(ConfigDiagnostics, Files)
{
    const std::string empty = "s.yaml:1:1: the file is empty; write {} if all defaults are meant\n";
    expect_messages({
        {"empty", "", empty},
        {"only comments", "# nothing\n\n", empty},
        {"only a document marker", "---\n", empty},
        {"a value", "hello\n",
         "s.yaml:1:1: a configuration is a map of keys (like `iotlb:`), not a list or a value\n"},
        {"a list", "- a\n",
         "s.yaml:1:1: a configuration is a map of keys (like `iotlb:`), not a list or a value\n"},
        {"two documents", "name: a\n---\nname: b\n",
         "s.yaml:2:1: a second YAML document begins here; a configuration is one document\n"},
        {"tab", "iotlb:\n\tentries: 64\n",
         "s.yaml:2:9: YAML syntax: illegal map value; indent with spaces, not tabs\n"},
        {"syntax", "iotlb: {entries: 64\n", "s.yaml:2:1: YAML syntax: end of map flow not found\n"},
        {"unknown alias", "iotlb: *nowhere\n",
         "s.yaml:1:8: YAML syntax: the referenced anchor is not defined\n"},
        {"alias of itself", "iotlb: &a\n  entries: *a\n",
         "s.yaml:2:12: the alias refers to a value it is part of\n"},
        {"tag", "name: !!int 5\n", "s.yaml:1:7: YAML tags are not supported; remove the tag\n"},
        {"not UTF-8", "name: ok\ndescription: caf\xe9\n",
         "s.yaml:2:17: not UTF-8 text (or a control character); save the file as UTF-8\n"},
        {"UTF-16", std::string("\xff\xfen\0a\0", 6),
         "s.yaml:1:1: not UTF-8 text (or a control character); save the file as UTF-8\n"},
        {"escape that the parser expands badly", "name: a\nrun: {seed: \"a\\_\"}\n",
         "s.yaml:2:13: an escape in this text (\\_ or \\N) gives a byte that is not UTF-8; write the "
         "character\n"},
        {"zero byte", std::string("name: a\0b\n", 10),
         "s.yaml:1:8: not UTF-8 text (or a control character); save the file as UTF-8\n"},
        {"surrogate", "name: \xed\xa0\x80\n",
         "s.yaml:1:7: not UTF-8 text (or a control character); save the file as UTF-8\n"},
        {"overlong", "name: \xc0\xaf\n",
         "s.yaml:1:7: not UTF-8 text (or a control character); save the file as UTF-8\n"},
    });
}

TEST(ConfigDiagnostics, Conflicts)
{
    const std::string with_generator = ended + device + "    generator: ";
    expect_messages({
        {"not a multiple", "iotlb: {entries: 66, ways: 4}\n",
         "s.yaml:1:18: iotlb.entries: entries (66) are not a multiple of ways (4)\n"},
        {"sets", "iotlb: {entries: 48, ways: 4}\n",
         "s.yaml:1:18: iotlb.entries: entries (48) / ways (4) give 12 sets, which is not a power of two\n"},
        {"more ways than entries", "psc:\n  stage1:\n    level3: {entries: 2, ways: 4}\n",
         "s.yaml:3:32: psc.stage1.level3.ways: ways (4) are more than entries (2)\n"},
        {"against a default", "iotlb: {entries: 2}\n",
         "s.yaml:1:18: iotlb.entries: ways (4) are more than entries (2)\n"},
        {"plru", "memory: {llc: {entries: 24, ways: 3, policy: plru}}\n",
         "s.yaml:1:46: memory.llc.policy: plru needs a power of two of ways, not 3\n"},
        {"legacy and pasid", ended + device + "    pasid: 3\n",
         "s.yaml:5:12: devices[0].pasid: legacy mode has no PASIDs; choose a scalable vtd.mode or pasid: "
         "none\n"},
        {"same name and id", ended + device + "  - {name: a, source_id: 0x8}\n",
         "s.yaml:5:12: devices[1].name: same name as devices[0]\n"
         "s.yaml:5:26: devices[1].source_id: same source id as devices[0]\n"},
        {"name", ended + "devices: [{name: a b, source_id: 0x8}]\n",
         "s.yaml:2:18: devices[0].name: a name has letters, digits, '_', '-' and '.' only\n"},
        {"domain 0", ended + "vtd: {caching_mode: true}\n" + device + "    domain: 0\n",
         "s.yaml:6:13: devices[0].domain: domain 0 is reserved by hardware in caching mode; use another\n"},
        {"endless", device,
         "s.yaml:1:1: run.requests: generators never end by themselves; set run.requests or "
         "run.max_cycles\n"},
        {"window below a page", with_generator + "{window_bytes: 4095}\n",
         "s.yaml:5:31: devices[0].generator.window_bytes: 4095 is out of range (4K..256T)\n"},
        {"window not whole pages", with_generator + "{window_bytes: 5000}\n",
         "s.yaml:5:31: devices[0].generator.window_bytes: 5000 is not a multiple of 4K\n"},
        {"base inside a page", with_generator + "{base_iova: 0x800}\n",
         "s.yaml:5:28: devices[0].generator.base_iova: 0x800 is not a multiple of 4K\n"},
        {"window beyond 39 bits",
         "vtd: {second_stage_levels: 3}\n" + with_generator + "{base_iova: 0x7ffffff000}\n",
         "s.yaml:6:28: devices[0].generator.base_iova: the window of 64M at 0x7ffffff000 does not fit into "
         "the 39 "
         "address bits of this mode\n"},
        {"upper half of the first stage",
         "vtd: {mode: scalable-first-stage}\n" + with_generator + "{base_iova: 0x800000000000}\n",
         "s.yaml:6:28: devices[0].generator.base_iova: the window of 64M at 0x800000000000 does not fit into "
         "the "
         "47 address bits of this mode\n"},
        {"interrupt addresses", with_generator + "{base_iova: 0xfed00000, window_bytes: 2M}\n",
         "s.yaml:5:28: devices[0].generator.base_iova: the window 0xfed00000..0xfeefffff touches the "
         "interrupt "
         "addresses 0xfee00000..0xfeefffff\n"},
        {"stride", with_generator + "{kind: strided, window_bytes: 4K, stride_bytes: 8K}\n",
         "s.yaml:5:64: devices[0].generator.stride_bytes: the stride is 8K, more than the window of 4K\n"},
        {"hot part", with_generator + "{window_bytes: 4K, hot_bytes: 8K}\n",
         "s.yaml:5:46: devices[0].generator.hot_bytes: the hot part is 8K, more than the window of 4K\n"},
        {"ring", with_generator + "{kind: nic, window_bytes: 4K, ring_entries: 4}\n",
         "s.yaml:5:60: devices[0].generator.ring_entries: rings and buffers take 12K, more than the "
         "window of "
         "4K\n"},
        {"frame", with_generator + "{kind: nic, frame_bytes: 9000}\n",
         "s.yaml:5:41: devices[0].generator.frame_bytes: a frame of 9000 does not fit into a buffer of 2K\n"},
        {"nvme", with_generator + "{kind: nvme, window_bytes: 64K}\n",
         "s.yaml:5:43: devices[0].generator.window_bytes: queues and the buffers of the commands in flight "
         "take 148K, more than the "
         "window "
         "of 64K\n"},
        {"block", with_generator + "{kind: nvme, block_bytes: 1000}\n",
         "s.yaml:5:42: devices[0].generator.block_bytes: 1000 is not a multiple of 512\n"},
        {"burst", with_generator + "{burst_requests: 64}\n",
         "s.yaml:5:33: devices[0].generator.burst_requests: a burst of 64 requests needs that many "
         "outstanding, "
         "not 32\n"},
        {"memory", "iommu: {address_width: 39}\nmemory: {base: 0x4000000000, size: 512G}\n",
         "s.yaml:2:36: memory.size: RAM of 512G at 0x4000000000 does not fit into 39 address bits\n"},
        {"trace, scaled", "trace: {mode: scaled_time, queue_depth: 4, device_latency_ns: 5}\n",
         "s.yaml:1:41: trace.queue_depth: applies to mode closed_loop only\n"
         "s.yaml:1:63: trace.device_latency_ns: applies to mode closed_loop only\n"},
        {"trace, closed", "trace: {time_scale: 2}\n",
         "s.yaml:1:21: trace.time_scale: applies to mode scaled_time only\n"},
    });
}

// Bits by the register descriptions: CAP.SAGAW = 12:8 with bit 2 (0x400) for 4 levels, CM = 7;
// ECAP.C = 0, PT = 6, NEST = 26, SMTS = 43, SSTS = 46, FSTS = 47.
// What the driver of a RISC-V IOMMU is set to, against its features, devices and traffic.
TEST(ConfigDiagnostics, RiscvDriver)
{
    const std::string riscv = "iommu: {arch: riscv}\n" + ended;
    expect_messages({
        {"good",
         riscv + "riscv: {mode: nested, process_bits: 17, hardware_flags: true}\n" + device +
             "    pasid: 3\n",
         ""},
        {"good beside vtd", ended + "riscv: {first_stage_levels: 5, features: {sv57: false}}\n" + device, ""},
        {"register instead of features",
         riscv + "riscv: {capabilities: 0x200, features: {sv57: false, sv48: false}}\n" + device, ""},
        {"levels", riscv + "riscv: {first_stage_levels: 5, features: {sv57: false}}\n" + device,
         "s.yaml:3:29: riscv.first_stage_levels: the driver is set to use what riscv.features.sv57 takes "
         "away\n"},
        {"process bits", riscv + "riscv: {process_bits: 9}\n" + device,
         "s.yaml:3:23: riscv.process_bits: 9: process directories have 8, 17 or 20 bits; 0 = none\n"},
        {"processes of devices", riscv + "riscv: {mode: second-stage, process_bits: 8}\n" + device,
         "s.yaml:3:43: riscv.process_bits: second-stage tables are those of devices, not processes\n"},
        {"pasid", riscv + device + "    pasid: 3\n",
         "s.yaml:6:12: devices[0].pasid: without process directories there are no PASIDs; set "
         "riscv.process_bits or pasid: none\n"},
        {"large pasid", riscv + "riscv: {process_bits: 8}\n" + device + "    pasid: 256\n",
         "s.yaml:7:12: devices[0].pasid: process directories of 8 bits do not hold PASID 256\n"},
        {"domain 0", riscv + "riscv: {mode: nested}\n" + device + "    domain: 0\n",
         "s.yaml:7:13: devices[0].domain: domain 0 is what address spaces outside the guest have; use "
         "another\n"},
        {"interrupt addresses are DMA",
         riscv + device + "    generator: {base_iova: 0xfed00000, window_bytes: 2M}\n", ""},
        {"window beyond 39 bits",
         riscv + "riscv: {first_stage_levels: 3}\n" + device + "    generator: {base_iova: 0x3ffffff000}\n",
         "s.yaml:7:28: devices[0].generator.base_iova: the window of 64M at 0x3ffffff000 does not fit into "
         "the "
         "38 address bits of this mode\n"},
    });
}

// Only the test bench of records has an AXI port, and a memory port with channels.
TEST(ConfigDiagnostics, PortsOfTheTimingCommand)
{
    const std::string only = "only `iommu-sim timing` ";
    expect_messages({
        {"serial look-up", "frontend: {serial: true}\n",
         "s.yaml:1:20: frontend.serial: needs an AXI port, which " + only +
             "puts in front of an IOMMU; set it to false\n"},
        {"AXI port", "axi: {beat_bytes: 8}\n",
         "s.yaml:1:19: axi.beat_bytes: " + only + "puts an AXI port in front of an IOMMU; set it to 0\n"},
        {"channels", "memory: {channels: {beat_bytes: 8}}\n",
         "s.yaml:1:33: memory.channels.beat_bytes: " + only +
             "builds a memory port with channels; set it to 0 (memory.bytes_per_cycle limits bandwidth)\n"},
        {"connections",
         "hops:\n  devices: {request_cycles: 1}\n  look_up: {response_cycles: 1}\n"
         "  target: {request_cycles: 1}\n  registers: {request_cycles: 2, response_cycles: 1}\n",
         "s.yaml:2:29: hops.devices.request_cycles: " + only +
             "has this connection; set link.latency_cycles instead\n"
             "s.yaml:3:30: hops.look_up.response_cycles: " +
             only +
             "has this connection; remove it\n"
             "s.yaml:4:28: hops.target.request_cycles: " +
             only +
             "has this connection; remove it\n"
             "s.yaml:5:31: hops.registers.request_cycles: " +
             only + "has this connection; set driver.mmio_cycles instead\n"},
        {"connections every IOMMU has",
         "hops: {walks: {request_cycles: 2}, registers: {request_cycles: none}}\n", ""},
        {"a tree of ports", "frontend: {arbitration: tree}\n",
         "s.yaml:1:25: frontend.arbitration: 'tree' is not one of round_robin, fixed\n"},
        {"settings of what is not there",
         "axi: {arbitration: tree}\nmemory: {channels: {arbitration: tree}}\n", ""},
    });
}

// What needs such a port, wherever there may be one.
TEST(ConfigDiagnostics, WhatBelongsToPortsOfTheTimingCommand)
{
    const std::vector<Case> cases = {
        {"look-up quirks",
         "quirks:\n  walks_on_edge: true\n  walks_when_answered: true\n  address_at_handshake: true\n  "
         "invalidation_drops_fill: true\n"
         "  live_context: true\n  full_queue_loses_record: true\n",
         "s.yaml:2:18: quirks.walks_on_edge: quirks.walks_on_edge, quirks.walks_when_answered, "
         "quirks.address_at_handshake, quirks.invalidation_drops_fill, quirks.live_context, "
         "quirks.full_queue_loses_record apply with frontend.serial: true only\n"},
        {"one look-up quirk", "quirks: {live_context: true}\n",
         "s.yaml:1:24: quirks.live_context: quirks.live_context applies with frontend.serial: true only\n"},
        {"boundary check", "axi: {boundary_check: true}\n",
         "s.yaml:1:23: axi.boundary_check: axi.boundary_check applies to an AXI port only "
         "(axi.beat_bytes)\n"},
        {"boundary quirk", "quirks: {boundary_inclusive: true}\n",
         "s.yaml:1:30: quirks.boundary_inclusive: quirks.boundary_inclusive applies to an AXI port only "
         "(axi.beat_bytes)\n"},
        {"record quirk", "quirks: {writing_drops_reports: true}\n",
         "s.yaml:1:33: quirks.writing_drops_reports: quirks.writing_drops_reports applies to a memory port "
         "with "
         "channels only (memory.channels.beat_bytes)\n"},
        {"quirks of every IOMMU",
         "quirks: {head_passes_waits: true, waits_skip_drain: true, squash_walks: false}\n", ""},
    };
    expect_messages(cases);
    for (const Case &c : cases)
        EXPECT_EQ(load_config_text(c.text, "s.yaml", {}, ConfigUse::records).messages(), c.messages)
            << c.name;
}

TEST(ConfigDiagnostics, PortsOfRecords)
{
    const std::vector<Case> cases = {
        {"all there",
         "frontend: {serial: true}\naxi: {beat_bytes: 8}\nmemory: {channels: {beat_bytes: 8}}\n"
         "hops: {devices: {request_cycles: 1}, registers: {request_cycles: 2}}\n"
         "quirks: {walks_on_edge: true, boundary_inclusive: true, writing_drops_reports: true}\n",
         ""},
        {"serial without port", "frontend: {serial: true}\n",
         "s.yaml:1:20: frontend.serial: one request at a time needs an AXI port; set axi.beat_bytes, or "
         "frontend.serial: false\n"},
        {"port without serial", "axi: {beat_bytes: 8}\nmemory: {channels: {beat_bytes: 8}}\n",
         "s.yaml:1:19: axi.beat_bytes: an AXI port takes one request at a time; set frontend.serial: true\n"},
        {"port without channels", "axi: {beat_bytes: 8}\nfrontend: {serial: true}\n",
         "s.yaml:1:19: axi.beat_bytes: records need a memory port with channels beside the AXI port; set "
         "memory.channels.beat_bytes\n"},
        {"chained",
         "axi: {beat_bytes: 8}\nmemory: {channels: {beat_bytes: 8}}\nfrontend: {serial: true}\n"
         "iommu: {wiring: chained}\n",
         "s.yaml:3:20: frontend.serial: one request at a time needs all caches in one stage; set "
         "iommu.wiring: fused\n"},
    };
    for (const Case &c : cases)
        EXPECT_EQ(load_config_text(c.text, "s.yaml", {}, ConfigUse::records).messages(), c.messages)
            << c.name;
}

TEST(ConfigDiagnostics, CapabilityRegisters)
{
    expect_messages({
        {"good cap", "vtd: {cap: 0x400}\n", ""},
        {"CM", "vtd: {cap: 0x480}\n", "s.yaml:1:12: vtd.cap: CAP.CM (bit 7) contradicts caching_mode\n"},
        {"SAGAW", "vtd: {cap: 0x400, second_stage_levels: 5}\n",
         "s.yaml:1:12: vtd.cap: CAP.SAGAW (bits 12:8) does not have 5 levels\n"},
        {"SAGAW does not matter", "vtd: {cap: 0x200, mode: scalable-first-stage}\n", ""},
        {"five levels", "vtd: {cap: 0x400, mode: scalable-nested, first_stage_levels: 5}\n",
         "s.yaml:1:12: vtd.cap: CAP.FL5LP (bit 60) is clear, but first_stage_levels is 5\n"},
        {"good ecap", "vtd: {mode: scalable-nested, ecap: 0xc80004000003}\n", ""},
        {"C", "vtd: {ecap: 0x42}\n", "s.yaml:1:13: vtd.ecap: ECAP.C (bit 0) contradicts coherent_walk\n"},
        {"queue", "vtd: {ecap: 0x41}\n",
         "s.yaml:1:13: vtd.ecap: ECAP.QI (bit 1) is clear, but the driver uses the invalidation queue\n"},
        {"pass-through", "vtd: {mode: pass-through, ecap: 3}\n",
         "s.yaml:1:33: vtd.ecap: ECAP.PT (bit 6) is clear, but the mode needs it\n"},
        {"nested", "vtd: {mode: scalable-nested, ecap: 3}\n",
         "s.yaml:1:36: vtd.ecap: ECAP.SMTS (bit 43) is clear, but the mode needs it\n"
         "s.yaml:1:36: vtd.ecap: ECAP.FSTS (bit 47) is clear, but the mode needs it\n"
         "s.yaml:1:36: vtd.ecap: ECAP.SSTS (bit 46) is clear, but the mode needs it\n"
         "s.yaml:1:36: vtd.ecap: ECAP.NEST (bit 26) is clear, but the mode needs it\n"},
    });
}

TEST(ConfigDiagnostics, AllAtOnceInOrder)
{
    const std::string text = "walker:\n"
                             "  walkers: many\n"
                             "iotlb:\n"
                             "  entries: 66\n"
                             "  way: 4\n"
                             "run: {seed: 010}\n"
                             "walker: {}\n"
                             "devices:\n"
                             "  - name: a\n";
    EXPECT_EQ(
        load_config_text(text, "s.yaml").messages(),
        "s.yaml:2:12: walker.walkers: expected an integer, found 'many'\n"
        "s.yaml:4:12: iotlb.entries: entries (66) are not a multiple of ways (4)\n"
        "s.yaml:5:3: iotlb.way: unknown key (did you mean ways?)\n"
        "s.yaml:6:6: run.requests: generators never end by themselves; set run.requests or run.max_cycles\n"
        "s.yaml:6:13: run.seed: '010' has a leading zero, which YAML 1.1 reads as octal; write it without "
        "the "
        "zero, or as 0x...\n"
        "s.yaml:7:1: walker: duplicate key (first given at line 1, column 1)\n"
        "s.yaml:9:5: devices[0].source_id: missing; every entry of this list needs it\n");
}

// A refused value leaves the default behind; comparing that with other keys would mislead.
TEST(ConfigDiagnostics, RefusedValuesCauseNoConflicts)
{
    EXPECT_EQ(load_config_text("iotlb: {entries: x, ways: 3}\n", "s.yaml").messages(),
              "s.yaml:1:18: iotlb.entries: expected an integer, found 'x'\n");
    EXPECT_EQ(load_config_text("iotlb: 7\n", "s.yaml").messages(),
              "s.yaml:1:8: iotlb: expected keys below it, found one value\n");
}

TEST(ConfigDiagnostics, AliasesAreBounded)
{
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; i++) {
        const std::string before = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int k = 0; k < 10; k++)
            text += (k == 0 ? "" : ", ") + before;
        text += "]\n";
    }
    const LoadedConfig loaded = load_config_text(text, "s.yaml");
    ASSERT_EQ(loaded.diagnostics.size(), 1u);
    EXPECT_EQ(loaded.diagnostics[0].message, "aliases expand to more than 500000 values");
}

TEST(ConfigDiagnostics, DeepNestingIsASyntaxError)
{
    const LoadedConfig loaded = load_config_text(std::string(100000, '['), "s.yaml");
    ASSERT_EQ(loaded.diagnostics.size(), 1u);
    EXPECT_EQ(loaded.diagnostics[0].message.rfind("YAML syntax: ", 0), 0u) << loaded.messages();
}

} // namespace
} // namespace iommu_sim
