// SPDX-License-Identifier: Apache-2.0
//
// The importer on small logs written by hand, whose trace follows from the rules of
// docs/trace-format.md ("How logs become a trace"), and on damaged ones.
#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/rng.h"
#include "tests/traffic/import_fixture.hpp"
#include "traffic/import.h"

namespace
{

using namespace import_fixture;

// ---------------------------------------------------------------------------------------------------
// Logs written by hand

const std::string guest_head = "# tracer: nop\n#\n";

std::string guest_line(double seconds, const std::string &event)
{
    char text[512];
    std::snprintf(text, sizeof text, "          <idle>-0       [001] d.h1.  %.6f: %s\n", seconds,
                  event.c_str());
    return text;
}

std::string host_line(unsigned us, const std::string &event)
{
    char text[512];
    std::snprintf(text, sizeof text, "77@1795188395.%06u:%s\n", us, event.c_str());
    return text;
}

std::string access(unsigned us, uint64_t iova, uint64_t address)
{
    char text[512];
    std::snprintf(text, sizeof text,
                  "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x%" PRIx64 " slpte 0x%" PRIx64
                  " domain 0x3",
                  iova, (address & ~UINT64_C(0xfff)) | 3);
    std::string lines = host_line(us, text);
    std::snprintf(text, sizeof text,
                  "vtd_dmar_translate dev 00:04.00 iova 0x%" PRIx64 " -> gpa 0x%" PRIx64 " mask 0xfff",
                  iova & ~UINT64_C(0xfff), address & ~UINT64_C(0xfff));
    return lines + host_line(us, text);
}

TEST(ImportLogs, a_write_with_a_prp_list)
{
    // 16 KiB write: PRP 1 directly, three more pages in a list; data begins in mid-page.
    std::string guest = guest_head;
    guest += guest_line(
        1.0, "map: IOMMU: iova=0x0000000000100000 - 0x0000000000105000 paddr=0x0000000000500000 size=20480");
    guest += guest_line(
        1.000001,
        "dma_map_page: 0000:00:04.0 dir=TO_DEVICE dma_addr=100200 size=16384 phys_addr=500200 attrs=");
    guest += guest_line(
        1.1, "unmap: IOMMU: iova=0x0000000000100000 - 0x0000000000105000 size=20480 unmapped_size=20480");
    guest += guest_line(1.100001, "qi_submit: iotlb_inv dmar0: 0x300f2 0x100043 0x0 0x0");
    std::string host =
        access(10, 0xff040, 0x9000040) +
        host_line(11, "pci_nvme_io_cmd cid 7 nsid 0x1 sqid 1 opc 0x1 opname 'NVME_NVM_CMD_WRITE'");
    host += host_line(12, "pci_nvme_map_addr addr 0x100200 len 3584") + access(13, 0xfe100, 0x9001100);
    host += host_line(14, "pci_nvme_map_addr addr 0x101000 len 4096") +
            host_line(14, "pci_nvme_map_addr addr 0x102000 len 4096");
    host += host_line(14, "pci_nvme_map_addr addr 0x103000 len 4096") +
            host_line(14, "pci_nvme_map_addr addr 0x104000 len 512");
    host += access(15, 0x100200, 0x500200) + access(16, 0x101000, 0x501000) + access(17, 0x102000, 0x502000);
    host += access(18, 0x103000, 0x503000) + access(19, 0x104000, 0x504000);
    host += host_line(20, "pci_nvme_enqueue_req_completion cid 7 cqid 1 dw0 0x0 dw1 0x0 status 0x0") +
            access(21, 0xfd010, 0x9002010);
    host += host_line(22, "vtd_inv_desc invalidate desc type iotlb high 0x100043 low 0x300f2");
    host += host_line(23, "vtd_inv_desc invalidate desc type wait high 0x1 low 0x200000025");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    EXPECT_EQ(r[IOM_IMPORT_unclassified_dma], 0u);
    EXPECT_EQ(r[IOM_IMPORT_synthetic_pages], 3u) << "submission queue, list, completion queue";
    EXPECT_EQ(r.check.summary.kinds[IOM_TRACE_OP_BEGIN], 1u);
    EXPECT_EQ(r.check.summary.dma_classes[IOM_TRACE_DMA_RING], 2u);
    EXPECT_EQ(r.check.summary.dma_classes[IOM_TRACE_DMA_COMPLETION], 1u);
    EXPECT_EQ(r.check.summary.written_bytes, 16u) << "the completion entry";
    EXPECT_EQ(r.check.summary.read_bytes, 64u + 4 * 8 + 16384) << "entry, four list entries, data";
    uint64_t at = 0x100200;
    for (const iom_trace_record &record : r.records) {
        EXPECT_TRUE(record.kind != IOM_TRACE_OP_BEGIN || record.bytes == 16384u);
        if (record.kind != IOM_TRACE_DMA || record.detail != IOM_TRACE_DMA_DATA)
            continue;
        EXPECT_EQ(record.iova, at);
        EXPECT_EQ(record.iova / 256, (record.iova + record.bytes - 1) / 256) << "cut at multiples of 256";
        at += record.bytes;
    }
    EXPECT_EQ(at, 0x100200u + 16384);
}

TEST(ImportLogs, the_latest_possible_place_of_lazy_unmaps_and_reuse)
{
    // Lazy: the page is unmapped, flushed much later, and mapped anew at the same address for the next
    // command before the flush. Both commands must get their own map.
    std::string guest = guest_head;
    std::string host;
    for (int i = 0; i < 2; i++) {
        guest += guest_line(
            1.0 + i * 0.001,
            "map: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 paddr=0x0000000000500000 size=4096");
        guest += guest_line(
            1.00001 + i * 0.001,
            "dma_map_page: 0000:00:04.0 dir=FROM_DEVICE dma_addr=100000 size=4096 phys_addr=500000 attrs=");
        guest += guest_line(
            1.0005 + i * 0.001,
            "unmap: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 size=4096 unmapped_size=4096");
        const unsigned us = 500000 + static_cast<unsigned>(i) * 100;
        host += access(us, 0xff000 + static_cast<unsigned>(i) * 64, 0x9000000) +
                host_line(us + 1, "pci_nvme_io_cmd cid 7 nsid 0x1 sqid 1 opc 0x2 opname 'R'");
        host += host_line(us + 2, "pci_nvme_map_addr addr 0x100000 len 4096") +
                access(us + 3, 0x100000, 0x500000);
        host += host_line(us + 4, "pci_nvme_enqueue_req_completion cid 7 cqid 1 dw0 0x0 dw1 0x0 status 0x0") +
                access(us + 5, 0xfd000 + static_cast<unsigned>(i) * 16, 0x9002000);
    }
    guest += guest_line(1.01, "qi_submit: iotlb_inv dmar0: 0x300e2 0x0 0x0 0x0");
    host += host_line(900000, "vtd_inv_desc invalidate desc type iotlb high 0x0 low 0x300e2");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(iom_trace_check_total(&r.check), 0u);
    EXPECT_EQ(r[IOM_IMPORT_deferred_unmaps], 2u);
    std::string order;
    for (const iom_trace_record &record : r.records)
        if (record.op != 0 && (record.kind != IOM_TRACE_DMA || record.iova == 0x100000))
            order += std::string(iom_trace_kind_name(record.kind)) + std::to_string(record.op) + " ";
    EXPECT_EQ(order, "op_begin1 map1 dma1 unmap1 op_end1 op_begin2 map2 dma2 unmap2 op_end2 ");
}

TEST(ImportLogs, malformed_lines_name_file_line_and_token)
{
    const std::string good = guest_line(
        1.0, "map: IOMMU: iova=0x0000000000100000 - 0x0000000000101000 paddr=0x0000000000500000 size=4096");
    EXPECT_EQ(failure(guest_head + good), "");
    const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"map: IOMMU: iova=0x100 - 0x1100 paddr=0x0 size=4096",
         "g.txt:3: paddr=0x0 size=4096: expected a range of whole pages"},
        {"map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=8192",
         "g.txt:3: end of line: expected the size of the range"},
        {"map: IOMMU: iova=0x1000 - 0x2000 paddr=zz size=4096",
         "g.txt:3: zz size=4096: expected paddr=0x... size=BYTES"},
        {"unmap: IOMMU: iova=0x1000 - 0x2000 size=4096",
         "g.txt:3: end of line: expected size=BYTES unmapped_size=BYTES"},
        {"qi_submit: iotlb_inv dmar0: 0x12", "g.txt:3: end of line: expected TYPE UNIT"},
        {"dma_map_page: 0000:00:04.0 dir=SIDEWAYS dma_addr=0 size=1",
         "g.txt:3: SIDEWAYS dma_addr=0 size=1: expected TO_DEVICE"},
    };
    for (const auto &c : cases)
        EXPECT_NE(failure(guest_head + guest_line(1.0, c.line)).find(c.message), std::string::npos)
            << failure(guest_head + guest_line(1.0, c.line));
    EXPECT_NE(
        failure(guest_head + good, host_line(1, "vtd_dmar_translate dev 00:04.00 iova 0x")).find("h.log:1: "),
        std::string::npos);
    EXPECT_NE(failure(guest_head + good + good.substr(0, 30)).find("stops in mid-line"), std::string::npos);
    iom_import_options lenient = defaults();
    lenient.lenient = true;
    Result r;
    import(guest_head + guest_line(1.0, cases[0].line) + good, nullptr, lenient, r);
    EXPECT_EQ(r[IOM_IMPORT_malformed_lines], 1u);
    EXPECT_EQ(r[IOM_IMPORT_map_records], 1u);
}

TEST(ImportLogs, files_that_are_no_logs_are_named)
{
    EXPECT_EQ(failure(""), "g.txt: the file is empty; record the log again");
    EXPECT_NE(failure("GIF89a").find("expected ftrace text"), std::string::npos);
    EXPECT_NE(failure(std::string("\x17\x08\x44tracing\0\0", 12)).find("trace-cmd report"),
              std::string::npos);
    EXPECT_NE(failure(guest_head, guest_head).find("a second guest (ftrace) log"), std::string::npos);
    EXPECT_NE(failure(host_line(1, "vtd_inv_qi_fetch ")).find("a host log alone"), std::string::npos);
    EXPECT_NE(failure(guest_head + std::string(70000, 'x')).find("longer than 65536 bytes"),
              std::string::npos);
    const std::string packed = "\x28\xb5\x2f\xfd garbage";
    EXPECT_NE(failure(packed).find("zstd stream is damaged"), std::string::npos);
}

TEST(ImportLogs, lost_and_unknown_lines_are_counted)
{
    std::string guest = "# tracer: nop\n# entries-in-buffer/entries-written: 5/12   #P:2\n";
    guest += "CPU:1 [LOST 30 EVENTS]\n##### CPU 1 buffer started ####\n" +
             guest_line(1.0, "sched_switch: prev=a") + guest_line(1.0, "sched_switch: prev=b");
    const std::string host =
        host_line(1, "memory_region_ops_read cpu 0") + host_line(2, "vtd_ir_remap index 3");
    Result r;
    import(guest, &host, defaults(), r);
    ASSERT_NE(r.import, nullptr) << r.error;
    EXPECT_EQ(r[IOM_IMPORT_lost_events], 7u + 30u);
    EXPECT_EQ(r[IOM_IMPORT_unknown_lines], 3u);
    EXPECT_EQ(r[IOM_IMPORT_interrupt_lines], 1u);
    uint32_t count = 0;
    const iom_import_line_kind *kinds = iom_import_line_kinds(r.import, &count);
    ASSERT_EQ(count, 3u);
    EXPECT_STREQ(kinds[0].name, "sched_switch");
    EXPECT_EQ(kinds[0].count, 2u);
    EXPECT_EQ(kinds[0].use, IOM_IMPORT_UNKNOWN);
    EXPECT_EQ(kinds[2].use, IOM_IMPORT_INTERRUPT);
}

// ---------------------------------------------------------------------------------------------------
// Robustness: whatever the logs hold, the importer refuses them or writes a trace that can be read.

void expect_refused_or_readable(const std::string &guest, const std::string *host)
{
    iom_import_options options = defaults();
    options.lenient = true;
    iom_trace_error error = {};
    void *trace = nullptr;
    size_t bytes = 0;
    if (iom_import_buffer(guest.data(), guest.size(), host != nullptr ? host->data() : nullptr,
                          host != nullptr ? host->size() : 0, &options, &trace, &bytes, &error) != 0) {
        EXPECT_STRNE(error.text, "");
        return;
    }
    Result result;
    read_back(trace, bytes, result);
    std::free(trace);
}

std::string mutate(std::string text, iom_rng &rng)
{
    static const char *const tokens[] = {
        "0xffffffffffffffff",   "0", "-", " ", "\n", "size=4096", "0xfffffffffffff000", "}",
        "18446744073709551615", "[", "]", ":"};
    const uint64_t edits = 1 + iom_rng_below(&rng, 20);
    for (uint64_t i = 0; i < edits && !text.empty(); i++) {
        const size_t at = iom_rng_below(&rng, text.size());
        switch (iom_rng_below(&rng, 5)) {
        case 0:
            text[at] = static_cast<char>(iom_rng_next(&rng));
            break;
        case 1:
            text.erase(at, 1 + iom_rng_below(&rng, 200));
            break;
        case 2:
            text.insert(at, tokens[iom_rng_below(&rng, sizeof tokens / sizeof *tokens)]);
            break;
        case 3:
            text.insert(at, text.substr(iom_rng_below(&rng, text.size()), iom_rng_below(&rng, 2000)));
            break;
        default:
            text.replace(at, 1, tokens[iom_rng_below(&rng, sizeof tokens / sizeof *tokens)]);
            break;
        }
    }
    return text;
}

TEST(ImportLogs, damaged_logs_never_crash_the_importer)
{
    iom_rng rng;
    iom_rng_seed(&rng, 1, "import_test");
    for (const char *name : {"vtd-legacy-strict/vfio", "smmuv3-strict-vfio/vfio", "amdvi-strict/probe",
                             "virtio-iommu-strict/probe"}) {
        const std::string guest = unpacked(std::string(name) + ".guest.ftrace.txt.zst");
        const std::string host = unpacked(std::string(name) + ".host.qemu.log.zst");
        for (int i = 0; i < 40; i++) {
            const std::string bad_host = mutate(host, rng);
            expect_refused_or_readable(mutate(guest, rng), i % 4 == 0 ? nullptr : &bad_host);
        }
    }
}

TEST(ImportLogs, logs_cut_anywhere_never_crash_the_importer)
{
    const std::string guest = unpacked("vtd-legacy-strict/vfio.guest.ftrace.txt.zst");
    const std::string host = unpacked("vtd-legacy-strict/vfio.host.qemu.log.zst");
    for (size_t part = 0; part <= 40; part++) {
        const std::string cut_host = host.substr(0, host.size() * part / 40);
        const std::string cut_guest = guest.substr(0, guest.size() * part / 40);
        expect_refused_or_readable(guest, &cut_host);
        expect_refused_or_readable(cut_guest, &host);
    }
}

} // namespace
