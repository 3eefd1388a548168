// SPDX-License-Identifier: Apache-2.0
//
// A VT-d unit with caches and no time, for tests: look-ups as the stages take them, walks run to their end,
// invalidations applied at once. Large caches, so that only invalidations remove entries.
#ifndef IOM_TESTS_ARCH_VTD_CACHED_H
#define IOM_TESTS_ARCH_VTD_CACHED_H

#include "core/cache.h"
#include "core/invalidation.h"
#include "core/psc.h"
#include "tests/arch/support/vtd_fixture.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vtd_cached {
    struct vtd_fixture *fixture;
    struct iom_cache *cache[IOM_LOOKUP_COUNT];
    struct iom_psc *psc;
    iom_cycle now;
    unsigned walks; ///< of the last translation
    unsigned reads; ///< table reads of the last translation
};

void vtd_cached_open(struct vtd_cached *cached, struct vtd_fixture *fixture);
void vtd_cached_close(struct vtd_cached *cached);
/// One translation of `source`; flags: enum iom_request_flag.
struct iom_xlate vtd_cached_translate(struct vtd_cached *cached, uint32_t source, uint32_t pasid,
                                      uint64_t address, unsigned flags);
void vtd_cached_invalidate(struct vtd_cached *cached, const struct iom_invalidation *invalidation);
/// Decodes a 128- or 256-bit descriptor (words 2 and 3 are 0) and applies it. False if it is invalid.
bool vtd_cached_command(struct vtd_cached *cached, uint64_t low, uint64_t high);

#ifdef __cplusplus
}
#endif

#endif
