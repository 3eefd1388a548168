// SPDX-License-Identifier: Apache-2.0
//
// Physical memory of the host: page frames for translation tables and buffers.
//
// Frames are handed out scattered, as in a machine that has run for a while, and the same for the
// same seed: memory is cut into chunks of 2 MiB; from groups of 2048 chunks (4 GiB), the lowest group first,
// chunks are taken in a pseudo-random order that visits each once, and the 512 frames of a chunk
// likewise. 2 MiB pages take whole chunks. 1 GiB pages are taken from the top downwards.
// Freed frames are handed out again first, last in first out.
#ifndef IOM_TRAFFIC_FRAME_ALLOCATOR_H
#define IOM_TRAFFIC_FRAME_ALLOCATOR_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_frame_allocator; // opaque

/// Frames of the whole 2 MiB chunks within [first, last] (inclusive). Null when memory is out or there
/// is no whole chunk.
struct iom_frame_allocator *iom_frame_allocator_create(uint64_t first, uint64_t last, uint64_t seed,
                                                       const char *path);
void iom_frame_allocator_destroy(struct iom_frame_allocator *allocator);

/// A block of 2^size_log2 bytes (12..21 or 30), aligned to its size. False when there is none left.
bool iom_frame_allocator_take(struct iom_frame_allocator *allocator, unsigned size_log2, uint64_t *address);
/// Gives a 4 KiB frame back. False when memory is out (the frame is lost).
bool iom_frame_allocator_give(struct iom_frame_allocator *allocator, uint64_t address);
/// Bytes in use.
uint64_t iom_frame_allocator_used(const struct iom_frame_allocator *allocator);

#ifdef __cplusplus
}
#endif

#endif
