// SPDX-License-Identifier: Apache-2.0
//
// A log-linear histogram of cycle counts: exact below 32, above that 16 buckets per power of two (at
// most 6.25 % wide). Count, sum, minimum and maximum are exact. Two histograms merge by addition.
#ifndef IOM_CORE_HISTOGRAM_H
#define IOM_CORE_HISTOGRAM_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_HISTOGRAM_SUB_LOG2 4u
#define IOM_HISTOGRAM_LINEAR 32u
/// 32 exact buckets, then 16 for each of the powers of two 2^5..2^63.
#define IOM_HISTOGRAM_BUCKETS (IOM_HISTOGRAM_LINEAR + (64u - 5u) * 16u)

struct iom_histogram {
    uint64_t count, sum, minimum, maximum; ///< minimum and maximum are 0 while count is 0
    uint64_t bucket[IOM_HISTOGRAM_BUCKETS];
};

static inline uint32_t iom_histogram_index(uint64_t value)
{
    if (value < IOM_HISTOGRAM_LINEAR)
        return (uint32_t)value;
    uint32_t exponent = iom_log2_u64(value);
    uint32_t sub = (uint32_t)(value >> (exponent - IOM_HISTOGRAM_SUB_LOG2)) & 15u;
    return IOM_HISTOGRAM_LINEAR + (exponent - 5u) * 16u + sub;
}

static inline void iom_histogram_add(struct iom_histogram *histogram, uint64_t value)
{
    histogram->bucket[iom_histogram_index(value)]++;
    if (histogram->count == 0 || value < histogram->minimum)
        histogram->minimum = value;
    if (value > histogram->maximum)
        histogram->maximum = value;
    histogram->count++;
    histogram->sum += value;
}

/// Smallest and largest value that falls into bucket `index`.
uint64_t iom_histogram_bucket_first(uint32_t index);
uint64_t iom_histogram_bucket_last(uint32_t index);

/// Adds `other` to `histogram`.
void iom_histogram_merge(struct iom_histogram *histogram, const struct iom_histogram *other);

/// Value at a rank given in parts per million (500000 = median): the last value of the bucket that
/// holds it, but never above the maximum or below the minimum. 0 when empty.
uint64_t iom_histogram_quantile(const struct iom_histogram *histogram, uint32_t per_million);

#ifdef __cplusplus
}
#endif

#endif
