// SPDX-License-Identifier: Apache-2.0
//
// Domains with their page tables, and the parts of map and unmap that no format is needed for. See
// page_table.h.
#include <stdlib.h>

#include "core/page_table.h"

struct iom_table_domain_block {
    struct iom_table_domain *domain[IOM_TABLE_DOMAIN_BLOCK];
};

struct iom_table_domain *iom_table_domain_find(const struct iom_table_domains *domains, uint32_t id)
{
    const struct iom_table_domain_block *block =
        id < IOM_TABLE_DOMAINS ? domains->block[id / IOM_TABLE_DOMAIN_BLOCK] : NULL;
    return block != NULL ? block->domain[id % IOM_TABLE_DOMAIN_BLOCK] : NULL;
}

static struct iom_table_domain *need_domain(struct iom_table_domains *domains, uint32_t id)
{
    struct iom_table_domain_block **block = &domains->block[id / IOM_TABLE_DOMAIN_BLOCK];
    if (*block == NULL)
        *block = calloc(1, sizeof **block);
    if (*block == NULL)
        return NULL;
    struct iom_table_domain **slot = &(*block)->domain[id % IOM_TABLE_DOMAIN_BLOCK];
    if (*slot == NULL) {
        *slot = malloc(sizeof **slot);
        if (*slot != NULL)
            **slot = domains->initial;
        // A stage of its own behind the first: the initial value can only name that of the initial value.
        if (*slot != NULL && domains->initial.first.backing == &domains->initial.second)
            (*slot)->first.backing = &(*slot)->second;
    }
    return *slot;
}

struct iom_page_table *iom_table_domain_mapped(const struct iom_table_domains *domains,
                                               struct iom_table_domain *domain)
{
    return domains->first_is_mapped ? &domain->first : &domain->second;
}

struct iom_table_domain *iom_table_domain_open(struct iom_table_domains *domains, uint32_t id)
{
    struct iom_table_domain *domain = need_domain(domains, id);
    if (domain == NULL ||
        iom_page_table_open(domains->writer, iom_table_domain_mapped(domains, domain)) != IOM_SOFTWARE_OK)
        return NULL;
    return domain;
}

void iom_table_domains_free(struct iom_table_domains *domains)
{
    for (unsigned i = 0; i < IOM_TABLE_DOMAINS / IOM_TABLE_DOMAIN_BLOCK; i++) {
        for (unsigned n = 0; domains->block[i] != NULL && n < IOM_TABLE_DOMAIN_BLOCK; n++) {
            struct iom_table_domain *domain = domains->block[i]->domain[n];
            if (domain == NULL)
                continue;
            iom_page_table_free(&domain->first);
            iom_page_table_free(&domain->second);
            free(domain);
        }
        free(domains->block[i]);
    }
}

// ---- map, unmap, find --------------------------------------------------------------------------------

static enum iom_software_result end_call(const struct iom_table_domains *domains,
                                         enum iom_software_result result, struct iom_software_change *change)
{
    if (change != NULL) {
        change->stores = domains->writer->stores;
        change->retired = domains->writer->retired;
    }
    return result;
}

static bool page_is_possible(const struct iom_software_limits *limits, uint32_t domain, uint64_t iova,
                             unsigned size_log2)
{
    return domain < limits->domains && size_log2 < 64 && (limits->page_sizes >> size_log2 & 1) != 0 &&
           iom_low_bits(iova, size_log2) == 0 && iova >> limits->input_bits == 0;
}

enum iom_software_result iom_table_domains_map(struct iom_table_domains *domains,
                                               const struct iom_software_limits *limits, uint64_t above,
                                               uint32_t domain, uint64_t iova, uint64_t address,
                                               unsigned size_log2, uint8_t permissions,
                                               struct iom_software_change *change)
{
    iom_table_writer_begin(domains->writer);
    bool access = (permissions & (IOM_PERM_READ | IOM_PERM_WRITE)) != 0;
    if (!page_is_possible(limits, domain, iova, size_log2) || !access ||
        iom_low_bits(address, size_log2) != 0 || (address & above) != 0)
        return end_call(domains, IOM_SOFTWARE_REFUSED, change);
    struct iom_table_domain *owner = need_domain(domains, domain);
    if (owner == NULL)
        return end_call(domains, IOM_SOFTWARE_NO_MEMORY, change);
    return end_call(domains,
                    iom_page_table_map(domains->writer, iom_table_domain_mapped(domains, owner), iova,
                                       address, size_log2, permissions),
                    change);
}

enum iom_software_result iom_table_domains_unmap(struct iom_table_domains *domains,
                                                 const struct iom_software_limits *limits, uint32_t domain,
                                                 uint64_t iova, unsigned size_log2, bool prune,
                                                 struct iom_software_change *change)
{
    iom_table_writer_begin(domains->writer);
    struct iom_table_domain *owner = iom_table_domain_find(domains, domain);
    if (!page_is_possible(limits, domain, iova, size_log2))
        return end_call(domains, IOM_SOFTWARE_REFUSED, change);
    if (owner == NULL)
        return end_call(domains, IOM_SOFTWARE_NOT_MAPPED, change);
    return end_call(domains,
                    iom_page_table_unmap(domains->writer, iom_table_domain_mapped(domains, owner), iova,
                                         size_log2, prune),
                    change);
}

bool iom_table_domains_lookup(const struct iom_table_domains *domains,
                              const struct iom_software_limits *limits, uint32_t domain, uint64_t iova,
                              struct iom_software_mapping *mapping)
{
    struct iom_table_domain *owner = iom_table_domain_find(domains, domain);
    if (owner == NULL || iova >> limits->input_bits != 0)
        return false;
    return iom_page_table_find(iom_table_domain_mapped(domains, owner), iova, mapping);
}
