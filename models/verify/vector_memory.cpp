// SPDX-License-Identifier: Apache-2.0
//
// Memory of vectors: see vector_memory.h.
#include "models/verify/vector_memory.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace iommu_sim::verify
{

namespace
{

uint64_t word_of(const iom_memory_image *image, uint64_t address)
{
    uint64_t value = 0;
    iom_memory_image_read(image, address, &value, sizeof value);
    return value;
}

} // namespace

void ChangeLog::attach(iom_memory_image *image)
{
    image_ = image;
    software_ = false;
    before_.clear();
    iom_memory_image_observe(image, observe, this);
}

void ChangeLog::observe(void *context, uint64_t address, size_t bytes)
{
    auto *log = static_cast<ChangeLog *>(context);
    for (uint64_t at = iom_align_down(address, 3); at < address + bytes; at += 8) {
        if (log->software_)
            log->before_.erase(at);
        else
            log->before_.emplace(at, word_of(log->image_, at)); // keeps what was there first
    }
}

std::vector<MemoryWord> ChangeLog::take()
{
    std::vector<MemoryWord> words;
    for (const auto &[address, before] : before_) {
        const uint64_t now = word_of(image_, address);
        if (now != before)
            words.push_back({address, now});
    }
    before_.clear();
    return words;
}

void software_write(iom_memory_image *image, uint64_t address, const void *data, size_t bytes)
{
    const auto *from = static_cast<const uint8_t *>(data);
    by_page(address, bytes, [&](uint64_t at, size_t offset, size_t piece) {
        if (iom_memory_image_answers(image, at, piece) &&
            !iom_memory_image_write(image, at, from + offset, piece))
            throw std::bad_alloc();
    });
}

void software_read(const iom_memory_image *image, uint64_t address, void *data, size_t bytes)
{
    auto *to = static_cast<uint8_t *>(data);
    by_page(address, bytes, [&](uint64_t at, size_t offset, size_t piece) {
        if (!iom_memory_image_read(image, at, to + offset, piece))
            std::memset(to + offset, 0, piece);
    });
}

void mark_image(iom_memory_image *image, const MemoryMark &mark)
{
    const iom_access access =
        mark.kind == MemoryMark::Kind::refuses ? IOM_ACCESS_REFUSED : IOM_ACCESS_POISONED;
    if (!iom_memory_image_mark(image, mark.address, access))
        throw std::bad_alloc();
}

SparseMemory::SparseMemory(const std::vector<RamRange> &ram) : image_(iom_memory_image_create())
{
    bool ok = image_ != nullptr;
    for (const RamRange &range : ram)
        ok = ok && iom_memory_image_add_range(image_.get(), range.first, range.last);
    if (!ok)
        throw std::bad_alloc();
    changes_.attach(image_.get());
}

bool SparseMemory::contains(uint64_t address, size_t bytes) const
{
    return iom_memory_image_answers(image_.get(), address, bytes);
}

void SparseMemory::write(uint64_t address, const void *data, size_t bytes)
{
    changes_.set_software(true);
    software_write(image_.get(), address, data, bytes);
    changes_.set_software(false);
}

void SparseMemory::read(uint64_t address, void *data, size_t bytes) const
{
    software_read(image_.get(), address, data, bytes);
}

// Tables are little-endian whatever the host is.
uint64_t SparseMemory::read64(uint64_t address) const
{
    uint8_t bytes[8] = {};
    read(address, bytes, sizeof bytes);
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= uint64_t{bytes[i]} << (8 * i);
    return value;
}

void SparseMemory::write64(uint64_t address, uint64_t value)
{
    uint8_t bytes[8] = {};
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = static_cast<uint8_t>(value >> (8 * i));
    write(address, bytes, sizeof bytes);
}

iom_access SparseMemory::fetch(uint64_t address, void *data, size_t bytes) const
{
    return iom_memory_image_fetch(image_.get(), address, data, bytes);
}

iom_access SparseMemory::store(uint64_t address, const void *data, size_t bytes)
{
    const iom_access access = iom_memory_image_access(image_.get(), address, bytes, true);
    if (access == IOM_ACCESS_OK && !iom_memory_image_write(image_.get(), address, data, bytes))
        throw std::bad_alloc();
    return access;
}

iom_access SparseMemory::swap(uint64_t address, uint64_t expected, uint64_t desired, uint64_t *found)
{
    const iom_access access = fetch(address, found, sizeof *found);
    if (access != IOM_ACCESS_OK || *found != expected)
        return access;
    return store(address, &desired, sizeof desired);
}

} // namespace iommu_sim::verify
