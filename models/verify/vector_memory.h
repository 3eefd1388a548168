// SPDX-License-Identifier: Apache-2.0
//
// Memory as vectors need it: contents with software's view (never refused, no marks) and the IOMMU's view of
// them, and a log of the words that the IOMMU has changed.
#ifndef IOM_MODELS_VERIFY_VECTOR_MEMORY_H
#define IOM_MODELS_VERIFY_VECTOR_MEMORY_H

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/memory_image.h"
#include "models/verify/target.h"

namespace iommu_sim::verify
{

/// Which aligned 8-byte words of an image have changed, software's own writes apart.
class ChangeLog
{
  public:
    ChangeLog() = default;
    ChangeLog(const ChangeLog &) = delete;
    ChangeLog &operator=(const ChangeLog &) = delete;

    /// Begins anew with this image, which outlives the log or is reset before.
    void attach(iom_memory_image *image);
    /// Writes from now on are software's (or not).
    void set_software(bool software)
    {
        software_ = software;
    }
    /// Words changed since the last call, ascending, as they are now.
    std::vector<MemoryWord> take();

  private:
    static void observe(void *context, uint64_t address, size_t bytes);

    iom_memory_image *image_ = nullptr;
    bool software_ = false;
    std::map<uint64_t, uint64_t> before_; // by address: contents before the first change
};

/// Calls part(address, offset, bytes) for the pieces of [address, address + bytes) between page boundaries;
/// RAM ends only there.
template <typename Part> void by_page(uint64_t address, size_t bytes, Part part)
{
    for (size_t done = 0; done < bytes;) {
        const size_t piece =
            std::min<size_t>(bytes - done, IOM_PAGE_BYTES - (address + done) % IOM_PAGE_BYTES);
        part(address + done, done, piece);
        done += piece;
    }
}

/// Software's accesses to an image, in pieces that end at page boundaries as RAM does: bytes outside RAM are
/// ignored and read as zero.
void software_write(iom_memory_image *image, uint64_t address, const void *data, size_t bytes);
void software_read(const iom_memory_image *image, uint64_t address, void *data, size_t bytes);

/// Marks a word of an image; throws std::bad_alloc.
void mark_image(iom_memory_image *image, const MemoryMark &mark);

/// An image with its log.
class SparseMemory
{
  public:
    explicit SparseMemory(const std::vector<RamRange> &ram);
    /// True if all bytes answer.
    bool contains(uint64_t address, size_t bytes) const;
    void write(uint64_t address, const void *data, size_t bytes);
    void read(uint64_t address, void *data, size_t bytes) const;
    uint64_t read64(uint64_t address) const;
    void write64(uint64_t address, uint64_t value);

    // The IOMMU's accesses
    iom_access fetch(uint64_t address, void *data, size_t bytes) const;
    iom_access store(uint64_t address, const void *data, size_t bytes);
    iom_access swap(uint64_t address, uint64_t expected, uint64_t desired, uint64_t *found);

    void mark(const MemoryMark &mark)
    {
        mark_image(image_.get(), mark);
    }
    ChangeLog &changes()
    {
        return changes_;
    }

  private:
    struct Destroy {
        void operator()(iom_memory_image *image) const
        {
            iom_memory_image_destroy(image);
        }
    };
    std::unique_ptr<iom_memory_image, Destroy> image_;
    ChangeLog changes_;
};

} // namespace iommu_sim::verify

#endif
