// SPDX-License-Identifier: Apache-2.0
//
// Log-linear histogram: bucket edges, merging, quantiles. See histogram.h.
#include "core/histogram.h"

uint64_t iom_histogram_bucket_first(uint32_t index)
{
    if (index < IOM_HISTOGRAM_LINEAR)
        return index;
    uint32_t exponent = (index - IOM_HISTOGRAM_LINEAR) / 16u + 5u;
    uint64_t sub = (index - IOM_HISTOGRAM_LINEAR) % 16u;
    return (16u + sub) << (exponent - IOM_HISTOGRAM_SUB_LOG2);
}

uint64_t iom_histogram_bucket_last(uint32_t index)
{
    if (index + 1 >= IOM_HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    return iom_histogram_bucket_first(index + 1) - 1;
}

void iom_histogram_merge(struct iom_histogram *histogram, const struct iom_histogram *other)
{
    if (other->count == 0)
        return;
    if (histogram->count == 0 || other->minimum < histogram->minimum)
        histogram->minimum = other->minimum;
    histogram->maximum = iom_max_u64(histogram->maximum, other->maximum);
    histogram->count += other->count;
    histogram->sum += other->sum;
    for (uint32_t i = 0; i < IOM_HISTOGRAM_BUCKETS; i++)
        histogram->bucket[i] += other->bucket[i];
}

uint64_t iom_histogram_quantile(const struct iom_histogram *histogram, uint32_t per_million)
{
    if (histogram->count == 0)
        return 0;
    if (per_million > 1000000u)
        per_million = 1000000u;
    // Rank of the value sought, 1 to count, rounded up, without overflow for counts up to 2^64.
    uint64_t rank = histogram->count / 1000000u * per_million +
                    iom_div_ceil(histogram->count % 1000000u * per_million, 1000000u);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < IOM_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (histogram->bucket[i] != 0 && seen >= rank) {
            uint64_t value = iom_min_u64(iom_histogram_bucket_last(i), histogram->maximum);
            return iom_max_u64(value, histogram->minimum);
        }
    }
    return histogram->maximum;
}
