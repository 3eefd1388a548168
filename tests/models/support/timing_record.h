// SPDX-License-Identifier: Apache-2.0
//
// A small record as text, to be changed by tests: two requests (a miss, a hit), a command, a fault record.
#ifndef IOMMU_SIM_TESTS_MODELS_SUPPORT_TIMING_RECORD_H
#define IOMMU_SIM_TESTS_MODELS_SUPPORT_TIMING_RECORD_H

#include <nlohmann/json.hpp>
#include <string>

namespace iommu_sim::test
{

inline nlohmann::json small_record()
{
    return nlohmann::json::parse(R"({
      "id": "small/1", "group": "small", "note": "",
      "rtl": {"IOTLB_ENTRIES": 4, "DDTC_ENTRIES": 4, "PDTC_ENTRIES": 2, "InclPC": 1, "InclBC": 0,
              "MSITrans": "DISABLED", "build": "A"},
      "mem_read_latency": 3, "mem_write_latency": 2, "sink_latency": 1, "channels": "serial", "resp_limit": 0,
      "registers": {"ddtp_mode": "1LVL", "ddtp_ppn": "0x80000", "cqb_ppn": "0x80001", "cq_entries": 64,
                    "fqb_ppn": "0x80008", "fq_entries": 1024, "cqen": 1, "fqen": 1, "fctl_wsi": 1},
      "structures": {"dc_format": "base", "devices": [], "mappings": []},
      "mem_image": {"0x80000020": "0x1", "0x80000028": "0xff00000000000001"},
      "mem_kind": {"0x80000000": "ddt_l1"},
      "axi_error_reads": {"0x80011000": 2},
      "request_fields": ["i", "type", "did", "pid", "priv", "exec", "iova", "axid", "len", "gap", "after_op",
                         "presented", "accepted", "done", "result", "pa", "cause", "resp"],
      "requests": [
        [0, "R", 1, null, 0, 0, "0x100000", 0, 0, 0, -1, 0, 18, 18, "pa", "0x4000000000", null, 19],
        [1, "W", 1, 77, 1, 0, "0x100008", 1, 3, 5, 0, 24, 26, 28, "fault", null, 15, 28],
        [2, "R", 1, null, 0, 1, "0x100010", 2, 0, 0, -1, 27, -1, -1, "none", null, null, -1],
        [3, "R", 1, null, 0, 1, "0x100010", 2, 0, 0, -1, -1, -1, -1, "none", null, null, -1]],
      "op_fields": ["i", "trigger", "a", "b", "kind", "addr", "size", "value", "start", "done", "desc"],
      "ops": [[0, "c", 4, 0, "mem_write", "0x80001000", 8, "0x1", 4, 4, "cmd"],
              [1, "x", 0, 2, "reg_write", "0x24", 4, "0x1", 20, 23, "cqt"],
              [2, "z", 0, 0, "nop", "0x0", 4, "0x0", -1, -1, null]],
      "mem_read_fields": ["ar_cycle", "accept_cycle", "first_beat", "last_beat", "requester", "kind", "addr",
                          "beats", "req"],
      "mem_reads": [[2, 2, 5, 8, "cdw", "ddt_l1", "0x80000020", 4, 0],
                    [11, 11, 14, 14, "ptw", "s1_l0", "0x80013000", 1, 0],
                    [23, 23, 26, 27, "cq", "cq", "0x80001000", 2, null]],
      "mem_writes": [["aw", 26, "fq", "0x80008000", 4], ["w", 27, "fq", "0x80008000", "0x10b"],
                     ["w", 28, "fq", "0x80008008", "0x0"], ["w", 29, "fq", "0x80008010", "0x100008"],
                     ["aw", 29, "cq", "0x80010000", 1],
                     ["w", 30, "fq", "0x80008018", "0x0"], ["w", 31, "cq", "0x80010000", "0x55"],
                     ["b", 32, "fq", "0x80008000"], ["b", 33, "cq", "0x80010000"]],
      "events": [[9, "ddtc_fill", 0], [22, "cqt", 1], [25, "terr", 15], [28, "flush_vma"], [28, "cqh", 1],
                 [33, "fqt", 1]],
      "hang": null, "harness_errors": [], "cycles": 60})");
}

} // namespace iommu_sim::test

#endif
