// SPDX-License-Identifier: Apache-2.0
//
// Sparse memory: an open-addressing hash from page number to a 4 KiB page, plus the list of ranges
// that answer. Pages never move or go away, so the last page found is remembered. See memory_image.h.
#include "core/memory_image.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024u
#define NO_PAGE UINT64_MAX

struct range {
    uint64_t first, last;
};

struct mark {
    uint64_t address; ///< of 8 bytes
    enum iom_access access;
};

struct iom_memory_image {
    uint64_t *numbers; ///< page number, NO_PAGE = empty slot
    uint8_t **pages;
    uint32_t capacity; ///< power of two
    uint32_t count;
    struct range *ranges;
    uint32_t range_count;
    struct mark *marks;
    uint32_t mark_count;
    iom_memory_image_observer observer; ///< null: none
    void *observer_context;
};

static uint32_t slot_of(const struct iom_memory_image *image, uint64_t number)
{
    const uint64_t *numbers = image->numbers;
    uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t slot = (uint32_t)(mixed >> 32) & (image->capacity - 1);
    while (numbers[slot] != number && numbers[slot] != NO_PAGE)
        slot = (slot + 1) & (image->capacity - 1);
    return slot;
}

static bool allocate(struct iom_memory_image *image, uint32_t capacity)
{
    image->numbers = malloc(capacity * sizeof *image->numbers);
    image->pages = malloc(capacity * sizeof *image->pages);
    if (image->numbers == NULL || image->pages == NULL)
        return false;
    image->capacity = capacity;
    for (uint32_t i = 0; i < capacity; i++)
        image->numbers[i] = NO_PAGE;
    return true;
}

struct iom_memory_image *iom_memory_image_create(void)
{
    struct iom_memory_image *image = calloc(1, sizeof *image);
    if (image == NULL)
        return NULL;
    if (!allocate(image, FIRST_CAPACITY)) {
        iom_memory_image_destroy(image);
        return NULL;
    }
    return image;
}

static void free_pages(struct iom_memory_image *image)
{
    for (uint32_t i = 0; i < image->capacity; i++) {
        if (image->numbers[i] != NO_PAGE)
            free(image->pages[i]);
        image->numbers[i] = NO_PAGE;
    }
    image->count = 0;
}

void iom_memory_image_reset(struct iom_memory_image *image)
{
    free_pages(image);
    free(image->ranges);
    image->ranges = NULL;
    image->range_count = 0;
    free(image->marks);
    image->marks = NULL;
    image->mark_count = 0;
    image->observer = NULL;
}

void iom_memory_image_destroy(struct iom_memory_image *image)
{
    if (image == NULL)
        return;
    if (image->numbers != NULL && image->pages != NULL)
        free_pages(image);
    free(image->numbers);
    free(image->pages);
    free(image->ranges);
    free(image->marks);
    free(image);
}

bool iom_memory_image_add_range(struct iom_memory_image *image, uint64_t first, uint64_t last)
{
    struct range *grown = realloc(image->ranges, (image->range_count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    image->ranges = grown;
    image->ranges[image->range_count++] = (struct range){first, last};
    return true;
}

static bool in_first_range(const struct iom_memory_image *image, uint64_t address, uint64_t bytes)
{
    return image->range_count != 0 && address >= image->ranges[0].first && address <= image->ranges[0].last &&
           bytes <= image->ranges[0].last - address;
}

bool iom_memory_image_answers(const struct iom_memory_image *image, uint64_t address, uint64_t bytes)
{
    if (in_first_range(image, address, bytes))
        return true;
    // A request may span adjacent ranges: advance through whichever range holds the next byte.
    if (bytes != 0 && address > UINT64_MAX - (bytes - 1))
        return false;
    uint64_t last = bytes == 0 ? address : address + bytes - 1;
    for (uint32_t i = 0; i < image->range_count;) {
        const struct range *range = &image->ranges[i];
        if (address < range->first || address > range->last) {
            i++;
            continue;
        }
        if (last <= range->last)
            return true;
        address = range->last + 1;
        i = 0;
    }
    return false;
}

static bool grow(struct iom_memory_image *image)
{
    uint64_t *numbers = image->numbers;
    uint8_t **pages = image->pages;
    uint32_t capacity = image->capacity;
    if (!allocate(image, capacity * 2)) {
        free(image->numbers);
        free(image->pages);
        image->numbers = numbers;
        image->pages = pages;
        image->capacity = capacity;
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        if (numbers[i] == NO_PAGE)
            continue;
        uint32_t slot = slot_of(image, numbers[i]);
        image->numbers[slot] = numbers[i];
        image->pages[slot] = pages[i];
    }
    free(numbers);
    free(pages);
    return true;
}

static const uint8_t *find_page(const struct iom_memory_image *image, uint64_t number)
{
    uint32_t slot = slot_of(image, number);
    return image->numbers[slot] == NO_PAGE ? NULL : image->pages[slot];
}

static uint8_t *make_page(struct iom_memory_image *image, uint64_t number)
{
    uint32_t slot = slot_of(image, number);
    if (image->numbers[slot] != NO_PAGE)
        return image->pages[slot];
    if (image->count * 2 >= image->capacity) {
        if (!grow(image))
            return NULL;
        slot = slot_of(image, number);
    }
    uint8_t *page = calloc(1, IOM_PAGE_BYTES);
    if (page == NULL)
        return NULL;
    image->numbers[slot] = number;
    image->pages[slot] = page;
    image->count++;
    return page;
}

static bool read_any(const struct iom_memory_image *image, uint64_t address, void *data, size_t bytes)
{
    if (!iom_memory_image_answers(image, address, bytes))
        return false;
    uint8_t *to = data;
    while (bytes != 0) {
        size_t offset = address % IOM_PAGE_BYTES;
        size_t part = bytes < IOM_PAGE_BYTES - offset ? bytes : IOM_PAGE_BYTES - offset;
        const uint8_t *page = find_page(image, address >> IOM_PAGE_LOG2);
        if (page != NULL)
            memcpy(to, page + offset, part);
        else
            memset(to, 0, part);
        to += part;
        address += part;
        bytes -= part;
    }
    return true;
}

bool iom_memory_image_read(const struct iom_memory_image *image, uint64_t address, void *data, size_t bytes)
{
    if (bytes == 8 && address % 8 == 0 && in_first_range(image, address, 8)) { // a table entry
        const uint8_t *page = find_page(image, address >> IOM_PAGE_LOG2);
        if (page != NULL)
            memcpy(data, page + address % IOM_PAGE_BYTES, 8);
        else
            memset(data, 0, 8);
        return true;
    }
    return read_any(image, address, data, bytes);
}

bool iom_memory_image_write(struct iom_memory_image *image, uint64_t address, const void *data, size_t bytes)
{
    if (!iom_memory_image_answers(image, address, bytes))
        return false;
    // Get every page first, so that running out of memory leaves nothing half-written.
    if (bytes != 0) {
        for (uint64_t number = address >> IOM_PAGE_LOG2; number <= (address + bytes - 1) >> IOM_PAGE_LOG2;
             number++) {
            if (make_page(image, number) == NULL)
                return false;
        }
    }
    if (image->observer != NULL)
        image->observer(image->observer_context, address, bytes);
    const uint8_t *from = data;
    while (bytes != 0) {
        size_t offset = address % IOM_PAGE_BYTES;
        size_t part = bytes < IOM_PAGE_BYTES - offset ? bytes : IOM_PAGE_BYTES - offset;
        memcpy(make_page(image, address >> IOM_PAGE_LOG2) + offset, from, part);
        from += part;
        address += part;
        bytes -= part;
    }
    return true;
}

// Marks are few and rare: a list.
bool iom_memory_image_mark(struct iom_memory_image *image, uint64_t address, enum iom_access access)
{
    for (uint32_t i = 0; i < image->mark_count; i++) {
        if (image->marks[i].address == address) {
            image->marks[i].access = access;
            return true;
        }
    }
    struct mark *marks = realloc(image->marks, (image->mark_count + 1) * sizeof *marks);
    if (marks == NULL)
        return false;
    image->marks = marks;
    marks[image->mark_count++] = (struct mark){address, access};
    return true;
}

enum iom_access iom_memory_image_access(const struct iom_memory_image *image, uint64_t address,
                                        uint64_t bytes, bool write)
{
    if (!iom_memory_image_answers(image, address, bytes))
        return IOM_ACCESS_REFUSED;
    enum iom_access worst = IOM_ACCESS_OK;
    for (uint32_t i = 0; i < image->mark_count; i++) {
        const struct mark *mark = &image->marks[i];
        if (mark->address >= address + bytes || mark->address + 8 <= address)
            continue;
        if (mark->access == IOM_ACCESS_REFUSED)
            return IOM_ACCESS_REFUSED;
        if (mark->access == IOM_ACCESS_POISONED && !write)
            worst = IOM_ACCESS_POISONED;
    }
    return worst;
}

enum iom_access iom_memory_image_fetch(const struct iom_memory_image *image, uint64_t address, void *data,
                                       size_t bytes)
{
    if (image->mark_count != 0) {
        enum iom_access access = iom_memory_image_access(image, address, bytes, false);
        if (access != IOM_ACCESS_OK)
            return access;
    }
    return iom_access_if(iom_memory_image_read(image, address, data, bytes));
}

enum iom_access iom_memory_image_read_fn(void *context, uint64_t address, void *data, unsigned bytes)
{
    return iom_memory_image_fetch(context, address, data, bytes);
}

void iom_memory_image_observe(struct iom_memory_image *image, iom_memory_image_observer observer,
                              void *context)
{
    image->observer = observer;
    image->observer_context = context;
}

uint64_t iom_memory_image_pages(const struct iom_memory_image *image)
{
    return image->count;
}
