// SPDX-License-Identifier: Apache-2.0
//
// Base types shared by every file of core/ and traffic/: cycles, status codes, small helpers.
//
// Names in C carry the prefix iom_ (macros IOM_) so that the library can be linked into other
// programs. Everything here is C11 without extensions and without global state.
#ifndef IOM_CORE_BASE_H
#define IOM_CORE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Simulated time in base ticks (the architecture's rule 8). One tick is `clock.tick_ps` picoseconds.
typedef uint64_t iom_cycle;

/// "Never": later than every cycle of a run.
#define IOM_NEVER UINT64_MAX

/// Page number helpers: addresses are bytes, sizes are log2 of bytes.
#define IOM_PAGE_LOG2 12u
#define IOM_PAGE_BYTES 4096u

/// Largest number of bytes one table read or atomic update moves (a cache line).
#define IOM_LINE_BYTES 64u

/// How memory answers an access of the IOMMU.
enum iom_access {
    IOM_ACCESS_OK,
    IOM_ACCESS_REFUSED,  ///< the address does not answer, or refuses
    IOM_ACCESS_POISONED, ///< what is there is known to be corrupt (reads only)
};

static inline enum iom_access iom_access_if(bool answers)
{
    return answers ? IOM_ACCESS_OK : IOM_ACCESS_REFUSED;
}

static inline uint64_t iom_align_down(uint64_t value, unsigned size_log2)
{
    return size_log2 >= 64 ? 0 : value & ~((UINT64_C(1) << size_log2) - 1);
}

static inline uint64_t iom_low_bits(uint64_t value, unsigned bits)
{
    return bits >= 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

/// Bits hi..lo (inclusive) of a 64-bit word.
static inline uint64_t iom_bits(uint64_t value, unsigned hi, unsigned lo)
{
    return iom_low_bits(value >> lo, hi - lo + 1);
}

static inline uint64_t iom_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t iom_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t iom_div_ceil(uint64_t value, uint64_t divisor)
{
    return value / divisor + (value % divisor != 0);
}

static inline bool iom_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/// Portable bit scans; use the two functions below.
unsigned iom_ctz64_portable(uint64_t value);
unsigned iom_log2_u64_portable(uint64_t value);

/// Index of the lowest set bit; undefined for 0. (C11 has no count-trailing-zeros; the timing wheel
/// needs it in one instruction where the compiler can give it.)
static inline unsigned iom_ctz64(uint64_t value)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(value);
#else
    return iom_ctz64_portable(value);
#endif
}

/// Index of the highest set bit; undefined for 0.
static inline unsigned iom_log2_u64(uint64_t value)
{
#if defined(__GNUC__)
    return 63u - (unsigned)__builtin_clzll(value);
#else
    return iom_log2_u64_portable(value);
#endif
}

#ifdef __cplusplus
}
#endif

#endif
