// SPDX-License-Identifier: Apache-2.0
//
// Contents of simulated memory: sparse 4 KiB pages, zero until written, within configured ranges.
// No timing; the memory unit (core/memory.h) adds that.
#ifndef IOM_CORE_MEMORY_IMAGE_H
#define IOM_CORE_MEMORY_IMAGE_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_memory_image; // opaque

/// An empty image that answers nowhere. Null when memory is out.
struct iom_memory_image *iom_memory_image_create(void);
void iom_memory_image_destroy(struct iom_memory_image *image);

/// Adds a range of RAM [first, last] (inclusive, page aligned). Returns false when memory is out.
bool iom_memory_image_add_range(struct iom_memory_image *image, uint64_t first, uint64_t last);

/// Does every byte of [address, address + bytes) answer?
bool iom_memory_image_answers(const struct iom_memory_image *image, uint64_t address, uint64_t bytes);

/// Copy out of / into memory; false (and nothing copied) if a byte does not answer or, for a write,
/// memory is out. May cross pages.
bool iom_memory_image_read(const struct iom_memory_image *image, uint64_t address, void *data, size_t bytes);
bool iom_memory_image_write(struct iom_memory_image *image, uint64_t address, const void *data, size_t bytes);

/// Memory errors for tests and conformance vectors: accesses of the IOMMU (not the functions above, which
/// are software's) that overlap the 8 bytes at `address` are refused, or read as poisoned; a write to a
/// poisoned word succeeds. IOM_ACCESS_OK takes the mark away. False when memory is out.
bool iom_memory_image_mark(struct iom_memory_image *image, uint64_t address, enum iom_access access);
/// What the IOMMU gets: REFUSED if a byte does not answer or is marked so, else (reads) POISONED if one is.
enum iom_access iom_memory_image_access(const struct iom_memory_image *image, uint64_t address,
                                        uint64_t bytes, bool write);

/// A read of the IOMMU; `data` is valid with IOM_ACCESS_OK.
enum iom_access iom_memory_image_fetch(const struct iom_memory_image *image, uint64_t address, void *data,
                                       size_t bytes);

/// iom_read_fn over an image (context = the image).
enum iom_access iom_memory_image_read_fn(void *context, uint64_t address, void *data, unsigned bytes);

/// Called before each successful write, whoever's, with the range that is about to change.
typedef void (*iom_memory_image_observer)(void *context, uint64_t address, size_t bytes);
/// Null: none (as after a reset).
void iom_memory_image_observe(struct iom_memory_image *image, iom_memory_image_observer observer,
                              void *context);

/// Pages that hold data (were written).
uint64_t iom_memory_image_pages(const struct iom_memory_image *image);

/// Empties all pages and forgets the ranges.
void iom_memory_image_reset(struct iom_memory_image *image);

#ifdef __cplusplus
}
#endif

#endif
