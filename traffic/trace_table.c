// SPDX-License-Identifier: Apache-2.0
//
// See trace_table.h.
#include "traffic/trace_table.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t key)
{
    key ^= key >> 30;
    key *= UINT64_C(0xbf58476d1ce4e5b9);
    key ^= key >> 27;
    key *= UINT64_C(0x94d049bb133111eb);
    return key ^ key >> 31;
}

void iom_table_free(struct iom_table *table)
{
    free(table->slot);
    memset(table, 0, sizeof *table);
}

static struct iom_table_slot *find_slot(const struct iom_table *table, uint64_t key)
{
    uint32_t i = (uint32_t)mix(key) & (table->room - 1);
    while (table->slot[i].used && table->slot[i].key != key)
        i = (i + 1) & (table->room - 1);
    return &table->slot[i];
}

uint64_t *iom_table_get(const struct iom_table *table, uint64_t key)
{
    if (table->room == 0)
        return NULL;
    struct iom_table_slot *slot = find_slot(table, key);
    return slot->used ? &slot->value : NULL;
}

static bool grow_table(struct iom_table *table)
{
    struct iom_table bigger = {NULL, table->count, table->room == 0 ? 64 : table->room * 2};
    if (bigger.room < table->room)
        return false;
    bigger.slot = calloc(bigger.room, sizeof *bigger.slot);
    if (bigger.slot == NULL)
        return false;
    for (uint32_t i = 0; i < table->room; i++)
        if (table->slot[i].used)
            *find_slot(&bigger, table->slot[i].key) = table->slot[i];
    free(table->slot);
    *table = bigger;
    return true;
}

uint64_t *iom_table_put(struct iom_table *table, uint64_t key, uint64_t value)
{
    if (table->count >= table->room / 4 * 3 && !grow_table(table))
        return NULL;
    struct iom_table_slot *slot = find_slot(table, key);
    table->count += slot->used ? 0 : 1;
    slot->used = true;
    slot->key = key;
    slot->value = value;
    return &slot->value;
}
