// SPDX-License-Identifier: Apache-2.0
//
// PCIe ordering per requester at the exit of the IOMMU: posted writes leave in the order in which
// they came, and a read does not overtake an earlier posted write of its requester (PCI Express Base
// Specification, "Transaction Ordering": neither a posted nor a non-posted request may pass a posted
// request; reads among themselves, and writes past reads, are free).
#ifndef IOM_CORE_ORDER_H
#define IOM_CORE_ORDER_H

#include "core/dma.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_order; // opaque

struct iom_order *iom_order_create(void);
void iom_order_destroy(struct iom_order *order);

/// A request enters: takes its place in the order of its requester. Allocates only for a requester
/// never seen before.
void iom_order_enter(struct iom_order *order, struct iom_dma *dma);

/// A request is ready to leave in cycle *depart. True: it may go; *depart is raised to the departure of
/// the last posted write it must not overtake. False: it was parked (dma->translated remembers
/// *depart) and will be handed out by iom_order_next.
bool iom_order_leave(struct iom_order *order, struct iom_dma *dma, iom_cycle *depart);

/// After a request left: the next parked request of its requester that may go, and when, or null.
/// Call until null; each request handed out counts as having left.
struct iom_dma *iom_order_next(struct iom_order *order, uint32_t requester, iom_cycle *depart);

/// Requests parked now.
uint64_t iom_order_parked(const struct iom_order *order);

#ifdef __cplusplus
}
#endif

#endif
