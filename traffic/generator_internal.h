// SPDX-License-Identifier: Apache-2.0
//
// Shared by the generator kinds: constructors, shares, pieces of a transfer.
#ifndef IOM_TRAFFIC_GENERATOR_INTERNAL_H
#define IOM_TRAFFIC_GENERATOR_INTERNAL_H

#include "core/rng.h"
#include "traffic/generator.h"

/// Constructors of the kinds. The configuration has been checked; null when memory is out.
struct iom_generator *iom_generator_create_stream(const struct iom_generator_config *config, uint64_t seed,
                                                  const char *path);
struct iom_generator *iom_generator_create_nic(const struct iom_generator_config *config, uint64_t seed,
                                               const char *path);
struct iom_generator *iom_generator_create_nvme(const struct iom_generator_config *config, uint64_t seed,
                                                const char *path);
struct iom_generator *iom_generator_create_mixture(const struct iom_generator_config *config, uint64_t seed,
                                                   const char *path);

/// Window that rings and buffers take at least (whole pages).
uint64_t iom_generator_nic_window(const struct iom_generator_config *config);
uint64_t iom_generator_nvme_window(const struct iom_generator_config *config);

/// Bytes of a block of a zipf generator.
uint64_t iom_generator_zipf_block(const struct iom_generator_config *config);

/// A yes/no draw with a share in parts per million. Always and never draw no random number.
struct iom_chance {
    uint64_t threshold; ///< yes if a 64-bit random number lies below
    bool always;
};

static inline struct iom_chance iom_chance_of(uint32_t ppm)
{
    // 2^64 / 10^6 rounded down, times ppm: off by less than 10^-13.
    return (struct iom_chance){.threshold = UINT64_MAX / IOM_PPM * ppm, .always = ppm >= IOM_PPM};
}

static inline bool iom_chance_draw(const struct iom_chance *chance, struct iom_rng *rng)
{
    if (chance->always)
        return true;
    return chance->threshold != 0 && iom_rng_next(rng) < chance->threshold;
}

/// Flags of a request in one direction.
static inline uint16_t iom_request_flags(uint16_t flags, bool write)
{
    if (write)
        return (uint16_t)((flags & ~(unsigned)IOM_REQ_EXEC) | IOM_REQ_WRITE | IOM_REQ_POSTED);
    return flags;
}

/// Bytes of the next piece of a transfer: at most `limit`, never over a 4 KiB boundary.
static inline uint32_t iom_piece_bytes(uint64_t iova, uint64_t bytes, uint32_t limit)
{
    uint64_t room = IOM_PAGE_BYTES - (iova & (IOM_PAGE_BYTES - 1));
    return (uint32_t)iom_min_u64(iom_min_u64(bytes, limit), room);
}

static inline uint64_t iom_align_up(uint64_t value, uint64_t multiple)
{
    return iom_div_ceil(value, multiple) * multiple;
}

#endif
