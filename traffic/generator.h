// SPDX-License-Identifier: Apache-2.0
//
// Generators: what a device asks for, without any notion of ports or messages.
//
// A generator is a step function. iom_generator_next() hands out one DMA request at a time; the
// kinds that depend on their own results (a NIC fetches a descriptor before it can write the frame,
// an NVMe controller fetches the command before it moves the data) are told of each completion by
// iom_generator_completed(). Cycles are passed in; a generator has no clock.
//
// An *operation* is what the rate of a device counts: one request of the stream kinds (of which a
// page boundary may make two DMA requests), one frame of a NIC, one command of an NVMe controller.
//
//   sequential  base, base + request, ... and again from base when the window ends
//   strided     the same with a distance of its own
//   uniform     random places in the window; optionally a hot part that gets a given share
//   zipf        blocks of the window with Zipf popularity (rank k has weight 1/k^s), scattered
//   nic         rx and tx rings: descriptors read in batches, frame in pieces, descriptor write-back
//   nvme        queue pairs: submission entry read (64 bytes), list of pages, data, completion entry
//   mixture     several of the above, of any requesters and PASIDs, chosen by weight
//
// No request crosses a 4 KiB page. Every sequence follows from configuration, seed and path alone:
// all arithmetic is on integers (the Zipf weights included, see traffic/zipf.h), so compilers,
// optimisation levels and C libraries cannot change it.
//
// Sources: NVM Express Base Specification 2.0, sections 3.3.3 (queue entries) and 4.1.1 (PRP);
// Intel 82599 datasheet, section 7.1 and 7.2 (16-byte descriptors, batched fetch and write-back);
// PCI Express Base Specification, section 2.2.7 (no request crosses a 4 KiB boundary).
#ifndef IOM_TRAFFIC_GENERATOR_H
#define IOM_TRAFFIC_GENERATOR_H

#include "core/base.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_generator_kind {
    IOM_GENERATOR_SEQUENTIAL,
    IOM_GENERATOR_STRIDED,
    IOM_GENERATOR_UNIFORM,
    IOM_GENERATOR_ZIPF,
    IOM_GENERATOR_NIC,
    IOM_GENERATOR_NVME,
    IOM_GENERATOR_MIXTURE,
    IOM_GENERATOR_KIND_COUNT,
};

/// What a request moves. Values are those of enum iom_trace_dma_class.
enum iom_traffic_class {
    IOM_TRAFFIC_OTHER = 0,
    IOM_TRAFFIC_RING = 1,       ///< descriptors, submission entries, lists of pages
    IOM_TRAFFIC_DATA = 2,       ///< payload
    IOM_TRAFFIC_COMPLETION = 3, ///< completion entries, descriptor write-back
};

/// A share in parts per million; 1000000 = always.
#define IOM_PPM 1000000u

struct iom_generator_config;

/// One member of a mixture.
struct iom_generator_part {
    const struct iom_generator_config *config; ///< no mixture itself
    uint32_t weight;                           ///< share of the operations = weight / sum of weights, >= 1
};

/// Zero is a usable value of every member except window_bytes, request_bytes and, for nic and nvme,
/// those marked; iom_generator_config_error() says what is wrong.
struct iom_generator_config {
    enum iom_generator_kind kind;

    // Requester of the requests.
    uint32_t source; ///< requester id
    uint32_t pasid;  ///< with IOM_REQ_PASID in flags
    uint16_t flags;  ///< IOM_REQ_PASID, IOM_REQ_PRIV, IOM_REQ_EXEC (reads only); direction is added

    // All kinds but mixture.
    uint64_t base_iova;     ///< first address, 4 KiB aligned
    uint64_t window_bytes;  ///< addresses used, multiple of 4 KiB; nic and nvme keep their rings in it too
    uint32_t request_bytes; ///< 1..4096: bytes of a request; nic, nvme: largest piece of a transfer
                            ///< (maximum payload size)
    uint32_t read_ppm;      ///< share of reads; nic: of frames sent; nvme: of commands that make the
                            ///< device read memory (NVMe writes)
    uint8_t page_log2;      ///< hint for the driver: largest page to map with, 0 = its own choice

    // Streams.
    uint64_t align_bytes;       ///< uniform, zipf: places are multiples of it; 0 = request_bytes
    uint64_t stride_bytes;      ///< strided, >= 1
    uint64_t hot_bytes;         ///< uniform: leading part of the window that is hot, 0 = none
    uint32_t hot_ppm;           ///< uniform: share of the requests that go there
    uint32_t zipf_exponent_ppm; ///< zipf: exponent s in millionths, 0..10000000
    uint64_t zipf_block_bytes;  ///< zipf: what has a popularity; a power of two of at least 4096;
                                ///< 0 = the smallest that makes at most 2^20 blocks

    // NIC and NVMe.
    uint32_t
        read_request_bytes; ///< largest piece the device reads (maximum read request size), 0 = request_bytes
    uint32_t queues;        ///< rings (nic: of each direction), queue pairs; 0 = 1
    uint32_t queue_depth;   ///< nvme: commands in flight per queue, >= 1; nic: frames in
                            ///< flight per ring, 0 = 32
    uint32_t ring_entries;  ///< nic: descriptors per ring, >= 1; nvme: entries per queue, 0 = queue_depth + 1
    uint32_t buffer_bytes;  ///< nic: buffer of a descriptor, >= frame_bytes
    uint32_t frame_bytes;   ///< nic: bytes of a frame, >= 1
    uint32_t descriptor_batch;     ///< nic: descriptors per fetch, 0 = 4; at most 256
    uint32_t block_bytes;          ///< nvme: bytes of a command, multiple of 512
    uint64_t media_latency_cycles; ///< nvme: from the command (and the data, if the device reads it) to the
                                   ///< data phase or the completion; nic: from frame to write-back
    bool posted_completion;        ///< completion entries are sent right behind posted data writes (as PCIe
                            ///< ordering allows); false: after the last acknowledgement of a data write

    // Mixture.
    const struct iom_generator_part *parts; ///< copied, with what they point to
    uint32_t part_count;
};

/// One DMA request.
struct iom_traffic_request {
    uint64_t iova;   ///< byte address
    uint64_t token;  ///< to be handed back to iom_generator_completed
    uint32_t bytes;  ///< 1..4096, within one 4 KiB page
    uint32_t source; ///< requester id
    uint32_t pasid;  ///< with IOM_REQ_PASID
    uint16_t flags;  ///< enum iom_request_flag; writes are posted
    uint8_t klass;   ///< enum iom_traffic_class
    bool first;      ///< begins an operation
    bool more;       ///< more of operations already begun can be handed out at once
};

/// Addresses a generator touches, for the driver to map.
struct iom_traffic_range {
    uint64_t iova;   ///< 4 KiB aligned
    uint64_t bytes;  ///< multiple of 4 KiB
    uint32_t source; ///< requester
    uint32_t pasid;  ///< with has_pasid
    bool has_pasid;
    uint8_t permissions; ///< IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_EXEC
    uint8_t page_log2;   ///< largest page to map with, 0 = the driver's choice
};

/// What the end of a request meant.
enum iom_generator_progress {
    IOM_GENERATOR_GOING_ON, ///< the operation is not over
    IOM_GENERATOR_DONE,     ///< that was the last request of its operation
    IOM_GENERATOR_ABORTED,  ///< as DONE, but a request of the operation failed
};

/// The end of an operation.
struct iom_generator_end {
    iom_cycle started; ///< cycle in which its first request was handed out
    uint64_t bytes;    ///< payload moved (descriptors and entries not counted)
};

struct iom_generator;

/// For generator implementations; callers use the functions below.
struct iom_generator_ops {
    bool (*next)(struct iom_generator *generator, iom_cycle now, bool start, struct iom_traffic_request *out);
    /// Null: every request is an operation by itself and nothing waits for it.
    enum iom_generator_progress (*completed)(struct iom_generator *generator, iom_cycle now, uint64_t token,
                                             bool failed, struct iom_generator_end *end);
    iom_cycle (*due)(const struct iom_generator *generator); ///< null: never
    bool (*range)(const struct iom_generator *generator, uint32_t index, struct iom_traffic_range *range);
    void (*destroy)(struct iom_generator *generator);
};

struct iom_generator {
    const struct iom_generator_ops *ops;
};

/// Null if the configuration is usable, else a static text naming the member and what is expected.
const char *iom_generator_config_error(const struct iom_generator_config *config);

/// Bytes of window a usable nic or nvme configuration takes at least (rings and buffers, whole
/// pages); one page for the other kinds.
uint64_t iom_generator_window_needed(const struct iom_generator_config *config);

/// Makes a generator; `seed` and `path` (the unit's path name) seed its random numbers. Null if the
/// configuration is not usable or memory is out; `error` (may be null) then says which.
struct iom_generator *iom_generator_create(const struct iom_generator_config *config, uint64_t seed,
                                           const char *path, const char **error);
void iom_generator_destroy(struct iom_generator *generator);

/// Next request, or false if there is none now. `start`: a new operation may begin; with false only
/// what belongs to operations already begun is handed out. Never allocates.
static inline bool iom_generator_next(struct iom_generator *generator, iom_cycle now, bool start,
                                      struct iom_traffic_request *out)
{
    return generator->ops->next(generator, now, start, out);
}

/// True if completions matter to the generator: then each request must be reported.
static inline bool iom_generator_listens(const struct iom_generator *generator)
{
    return generator->ops->completed != NULL;
}

/// The request of `token` came back; `failed` if it faulted. `end` is filled unless GOING_ON is returned.
static inline enum iom_generator_progress iom_generator_completed(struct iom_generator *generator,
                                                                  iom_cycle now, uint64_t token, bool failed,
                                                                  struct iom_generator_end *end)
{
    return generator->ops->completed(generator, now, token, failed, end);
}

/// After next() returned false: the cycle in which it would return a request of an operation already
/// begun without a completion in between (media latency), else IOM_NEVER.
static inline iom_cycle iom_generator_due(const struct iom_generator *generator)
{
    return generator->ops->due != NULL ? generator->ops->due(generator) : IOM_NEVER;
}

/// The index-th range the generator will touch; false when there is none. Ranges of one requester
/// and PASID do not overlap; ranges of different parts of a mixture may.
static inline bool iom_generator_range(const struct iom_generator *generator, uint32_t index,
                                       struct iom_traffic_range *range)
{
    return generator->ops->range(generator, index, range);
}

#ifdef __cplusplus
}
#endif

#endif
