// SPDX-License-Identifier: Apache-2.0
//
// Exits of the device TLB: PCIe order, sending to the host, answers to the device. See device_tlb.h.
#include "core/device_tlb_internal.h"

// ---- answers to the device -----------------------------------------------------------------------------

// The device gets its request back as it sent it.
static void restore(const struct iom_device_request *record, struct iom_dma *dma)
{
    dma->x.address = record->address;
    dma->x.flags = record->flags;
    dma->cookie = record->cookie;
    if (!record->translated)
        return;
    if (dma->x.outcome == IOM_OUTCOME_BYPASS) { // that is how the IOMMU lets a translated request pass
        dma->x.outcome = IOM_OUTCOME_ADDRESS;
        dma->x.leaf = record->leaf;
    } else if (dma->x.outcome == IOM_OUTCOME_FAULT) {
        dma->x.fault.address = record->address;
    }
}

static void answer(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when)
{
    struct iom_device_request *record = iom_device_request_of(tlb, dma);
    uint32_t index = (uint32_t)dma->cookie;
    assert(record->awaited == 0);
    restore(record, dma);
    record->dma = NULL;
    record->next_free = tlb->first_free;
    tlb->first_free = index;
    tlb->held--;
    iom_port_send(&tlb->ports[IOM_DEVICE_TLB_DEVICE], &dma->msg, when);
}

void iom_device_tlb_complete(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle now)
{
    iom_device_tlb_release(tlb, iom_device_request_of(tlb, dma), now);
    answer(tlb, dma, now);
}

// ---- to the host ---------------------------------------------------------------------------------------

static void send(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_HOST];
    if (dma->msg.pool == &tlb->request_pool) {
        dma->issued = when;
    } else {
        struct iom_device_request *record = iom_device_request_of(tlb, dma);
        record->sent = true;
        if (record->flags & IOM_REQ_POSTED) {
            iom_cycle arrival = iom_unit_edge(port->peer->unit, when + port->latency);
            tlb->write_arrival = iom_max_u64(tlb->write_arrival, arrival);
            iom_device_tlb_release(tlb, record, now);
        }
    }
    iom_port_send(port, &dma->msg, when);
}

void iom_device_tlb_transmit(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (tlb->exits.first != NULL || !iom_port_can_send(&tlb->ports[IOM_DEVICE_TLB_HOST], now)) {
        dma->translated = when;
        iom_fifo_push(&tlb->exits, &dma->msg);
        return;
    }
    send(tlb, dma, when, now);
}

void iom_device_tlb_send_exits(struct iom_device_tlb *tlb, iom_cycle now)
{
    while (tlb->exits.first != NULL && iom_port_can_send(&tlb->ports[IOM_DEVICE_TLB_HOST], now)) {
        struct iom_dma *dma = iom_device_dma(iom_fifo_pop(&tlb->exits));
        send(tlb, dma, iom_max_u64(dma->translated, now), now);
    }
}

static void go(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (iom_device_request_of(tlb, dma)->refused)
        answer(tlb, dma, when);
    else
        iom_device_tlb_transmit(tlb, dma, when, now);
}

void iom_device_tlb_leave(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    tlb->starving -= iom_device_request_of(tlb, dma)->restarts == IOM_DEVICE_TLB_PATIENCE;
    // Scenario F1: a buffer that completions pass.
    if (tlb->config.completion_overtakes_writes && (dma->x.flags & IOM_REQ_POSTED))
        when += iom_device_ticks(tlb, tlb->config.write_buffer_cycles);
    uint32_t requester = dma->requester;
    iom_cycle depart = when;
    if (!iom_order_leave(tlb->order, dma, &depart))
        return;
    go(tlb, dma, depart, now);
    while ((dma = iom_order_next(tlb->order, requester, &depart)) != NULL)
        go(tlb, dma, iom_max_u64(depart, now), now);
}
