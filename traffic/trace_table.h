// SPDX-License-Identifier: Apache-2.0
//
// Hash table of 64-bit keys and values (open addressing, linear probing), for the importer and the
// checker of traces. Values can be replaced but not removed.
#ifndef IOM_TRAFFIC_TRACE_TABLE_H
#define IOM_TRAFFIC_TRACE_TABLE_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// All zero is an empty table.
struct iom_table {
    struct iom_table_slot {
        uint64_t key;
        uint64_t value;
        bool used;
    } * slot;
    uint32_t count;
    uint32_t room;
};

void iom_table_free(struct iom_table *table);
/// The value of `key`, or NULL. Valid until the next iom_table_put.
uint64_t *iom_table_get(const struct iom_table *table, uint64_t key);
/// Sets the value of `key` (adding it if needed); NULL if memory is short.
uint64_t *iom_table_put(struct iom_table *table, uint64_t key, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
