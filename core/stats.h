// SPDX-License-Identifier: Apache-2.0
//
// Statistics: each is declared once, in an X-macro list with name, unit and description; the member,
// the text report, the JSON file and the documentation come from that line.
//
//   IOM_IOTLB_STATS(X) is defined as
//       X(counter, lookups, "lookups", "look-ups of requests")
//       X(histogram, latency, "cycles", "time from ... to ...")
//   struct iom_iotlb_stats { IOM_IOTLB_STATS(IOM_STAT_MEMBER) };
//   #define IOM_STAT_OWNER struct iom_iotlb_stats
//   static const struct iom_stat_info infos[] = { IOM_IOTLB_STATS(IOM_STAT_INFO) };
//
// All values are integers; ratios are formed by the reports.
#ifndef IOM_CORE_STATS_H
#define IOM_CORE_STATS_H

#include "core/base.h"
#include "core/histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_stat_kind {
    IOM_STAT_COUNTER,   ///< uint64_t that only grows
    IOM_STAT_MAXIMUM,   ///< uint64_t, largest value seen
    IOM_STAT_HISTOGRAM, ///< struct iom_histogram
};

struct iom_stat_info {
    const char *name;
    const char *unit;
    const char *description;
    enum iom_stat_kind kind;
    size_t offset;
};

#define IOM_STAT_TYPE_counter uint64_t
#define IOM_STAT_TYPE_maximum uint64_t
#define IOM_STAT_TYPE_histogram struct iom_histogram
#define IOM_STAT_KIND_counter IOM_STAT_COUNTER
#define IOM_STAT_KIND_maximum IOM_STAT_MAXIMUM
#define IOM_STAT_KIND_histogram IOM_STAT_HISTOGRAM

/// Member of the statistics struct.
#define IOM_STAT_MEMBER(kind, name, unit, description) IOM_STAT_TYPE_##kind name;

/// Descriptor of one statistic; IOM_STAT_OWNER must be defined as the struct around the use.
#define IOM_STAT_INFO(kind, name, unit, description)                                                         \
    {#name, unit, description, IOM_STAT_KIND_##kind, offsetof(IOM_STAT_OWNER, name)},

#ifdef __cplusplus
}
#endif

#endif
