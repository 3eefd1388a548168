// SPDX-License-Identifier: Apache-2.0
//
// Message pools. See msg.h.
#include "core/msg.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_MESSAGES 256u

// A slab starts with a link to the next one, padded so that messages keep their alignment.
union slab_head {
    void *next;
    max_align_t align;
};

void iom_pool_init(struct iom_pool *pool, enum iom_msg_kind kind, size_t message_bytes)
{
    memset(pool, 0, sizeof *pool);
    size_t align = _Alignof(max_align_t);
    pool->message_bytes = (message_bytes + align - 1) / align * align;
    pool->kind = (uint8_t)kind;
}

void iom_pool_free(struct iom_pool *pool)
{
    void *slab = pool->slabs;
    while (slab != NULL) {
        void *next = ((union slab_head *)slab)->next;
        free(slab);
        slab = next;
    }
    pool->slabs = NULL;
    pool->free = NULL;
}

bool iom_pool_grow(struct iom_pool *pool)
{
    char *slab = calloc(1, sizeof(union slab_head) + SLAB_MESSAGES * pool->message_bytes);
    if (slab == NULL)
        return false;
    ((union slab_head *)(void *)slab)->next = pool->slabs;
    pool->slabs = slab;
    char *first = slab + sizeof(union slab_head);
    for (unsigned i = 0; i < SLAB_MESSAGES; i++) {
        struct iom_msg *msg =
            (struct iom_msg *)(void *)(first + (SLAB_MESSAGES - 1 - i) * pool->message_bytes);
        msg->pool = pool;
        msg->kind = pool->kind;
        msg->next = pool->free;
        pool->free = msg;
    }
    return true;
}
