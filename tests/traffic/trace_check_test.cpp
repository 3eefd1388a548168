// SPDX-License-Identifier: Apache-2.0
//
// Each finding of the checker, provoked by the smallest trace that has it, and none without reason.
#include <gtest/gtest.h>

#include <string>

#include "traffic/trace_check.h"

namespace
{

std::string findings(const std::string &lines)
{
    uint64_t records = 0;
    for (const char c : lines)
        records += c == '\n';
    const std::string text = "# iommu-sim trace 1\n" + lines + "# end: " + std::to_string(records) + "\n";
    iom_trace_error error = {};
    iom_trace_reader *reader = iom_trace_reader_open_memory(text.data(), text.size(), "t.txt", &error);
    if (reader == nullptr)
        return error.text;
    iom_trace_check check;
    std::string names;
    if (iom_trace_check_all(reader, &check, &error) != 0)
        names = error.text;
    for (unsigned i = 0; names.empty() && i < IOM_TRACE_FINDING_COUNT; i++)
        if (check.findings[i] != 0)
            names += std::string(iom_trace_finding_name(static_cast<iom_trace_finding>(i))) + "=" +
                     std::to_string(check.findings[i]) + "@" + std::to_string(check.first_record[i]) + " ";
    iom_trace_reader_close(reader);
    return names;
}

const std::string attach = "0 attach dev=00:04.0 domain=1\n";
const std::string map = "1 map domain=1 iova=0x1000 pa=0x8000 bytes=8192 flags=read\n";
const std::string dma = "2 dma dev=00:04.0 iova=0x1ff0 bytes=16 flags=read\n";
const std::string unmap = "3 unmap domain=1 iova=0x1000 bytes=8192\n";

TEST(TraceCheck, a_good_trace_has_no_findings)
{
    EXPECT_EQ(findings(""), "");
    EXPECT_EQ(findings(attach + map + dma + unmap), "");
    EXPECT_EQ(findings(attach + map + "2 unmap domain=1 iova=0x2000 bytes=4096\n" + dma), "")
        << "half a mapping may go";
    EXPECT_EQ(findings(attach +
                       "1 op_begin op=1 dev=00:04.0\n1 map op=1 domain=1 iova=0 pa=0 bytes=4096 flags=write\n"
                       "1 dma op=1 dev=00:04.0 iova=0 bytes=8 flags=write\n1 unmap op=1 domain=1 iova=0 "
                       "bytes=4096\n1 op_end op=1 dev=00:04.0\n"),
              "");
}

TEST(TraceCheck, mappings)
{
    EXPECT_EQ(findings(attach + dma), "dma_unmapped=1@1 ");
    EXPECT_EQ(findings(attach + map + unmap + "4 dma dev=00:04.0 iova=0x1000 bytes=1 flags=read\n"),
              "dma_unmapped=1@3 ");
    EXPECT_EQ(findings(attach + "2 dma dev=00:04.0 iova=0x1ff0 bytes=16 flags=read,faulted\n"), "");
    EXPECT_EQ(findings(attach + map + "2 dma dev=00:04.0 iova=0x1ff0 bytes=16 flags=write\n"),
              "dma_forbidden=1@2 ");
    EXPECT_EQ(findings(map + dma), "dma_detached=1@1 ");
    EXPECT_EQ(findings(attach + map + "2 map domain=1 iova=0x2000 pa=0 bytes=4096 flags=read\n"),
              "map_over_live=1@2 ");
    EXPECT_EQ(findings(attach + map + "2 map domain=2 iova=0x2000 pa=0 bytes=4096 flags=read\n"), "");
    EXPECT_EQ(findings(attach + unmap), "unmap_unmapped=1@1 ");
    EXPECT_EQ(findings(attach + map + "3 unmap domain=1 iova=0x1000 bytes=12288\n"), "unmap_unmapped=1@2 ");
}

TEST(TraceCheck, attachments)
{
    EXPECT_EQ(findings(attach + attach), "attach_twice=1@1 ");
    EXPECT_EQ(findings(attach + "0 attach dev=00:04.0 pasid=5 domain=1\n"), "")
        << "a PASID is another attachment";
    EXPECT_EQ(findings(attach + "0 detach dev=00:04.0 domain=2\n"), "detach_wrong=1@1 ");
    EXPECT_EQ(findings(attach + "0 detach dev=00:04.0 domain=1\n" + map + dma), "dma_detached=1@3 ");
}

TEST(TraceCheck, operations)
{
    const std::string begin = "0 op_begin op=5 dev=00:04.0\n";
    const std::string end = "9 op_end op=5 dev=00:04.0\n";
    EXPECT_EQ(findings(begin + end), "");
    EXPECT_EQ(findings(begin), "op_not_ended=1@1 ");
    EXPECT_EQ(findings(begin + end + "9 op_begin op=5 dev=00:04.0\n" + end), "op_begun_twice=1@2 ");
    EXPECT_EQ(findings("0 mark op=5\n"), "op_not_open=1@0 ");
    EXPECT_EQ(findings(begin + end + "9 mark op=5\n"), "op_not_open=1@2 ");
    EXPECT_EQ(findings(begin + "9 op_end op=5 dev=00:05.0\n"), "op_wrong_device=1@1 ");
    EXPECT_EQ(findings(attach + begin +
                       "1 map op=5 domain=1 iova=0 pa=0 bytes=8192 flags=read\n1 unmap op=5 domain=1 "
                       "iova=0 bytes=4096\n2 dma op=5 dev=00:04.0 iova=0x1000 bytes=1 flags=read\n" +
                       end),
              "dma_after_unmap=1@4 ");
}

} // namespace
