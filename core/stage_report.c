// SPDX-License-Identifier: Apache-2.0
//
// What a look-up stage tells the register unit: refused requests, page requests, drains behind them, events
// for performance counters. See stage.h, "Reports" and "Events".
#include <stdlib.h>

#include "core/stage_internal.h"

static struct iom_report *take_report(struct iom_stage *stage, enum iom_report_kind kind, iom_cycle when)
{
    struct iom_report *report = iom_pool_take(&stage->report_pool);
    if (report == NULL)
        abort(); // a few hundred bytes
    report->kind = (uint8_t)kind;
    report->detected = when;
    return report;
}

// ---- faults and page requests ----------------------------------------------------------------------------

bool iom_stage_has_report(const struct iom_stage *stage, const struct iom_dma *dma)
{
    const struct iom_xlate *x = &dma->x;
    if (stage->ports[IOM_STAGE_FAULT].peer == NULL)
        return false;
    return x->outcome == IOM_OUTCOME_PAGE ||
           (x->outcome == IOM_OUTCOME_FAULT && (x->fault.recorded || x->flags & IOM_REQ_PAGE));
}

void iom_stage_report(struct iom_stage *stage, const struct iom_dma *dma, iom_cycle when)
{
    const struct iom_xlate *x = &dma->x;
    bool accepted = x->outcome == IOM_OUTCOME_PAGE;
    struct iom_report *report =
        take_report(stage, accepted ? IOM_REPORT_PAGE_REQUEST : IOM_REPORT_FAULT, when);
    if (accepted) {
        report->what.page_request = (struct iom_page_request){
            .address = x->address,
            .source = x->source,
            .pasid = x->pasid,
            .flags = x->flags,
            .message = x->page_request,
        };
    } else {
        report->what.fault = x->fault;
        if (x->flags & IOM_REQ_PAGE) {
            report->what.fault.flags = (uint16_t)(report->what.fault.flags | IOM_REQ_PAGE);
            report->what.fault.page_request = x->page_request;
        }
        stage->stats.fault_reports += report->what.fault.recorded;
    }
    stage->last_report = iom_max_u64(stage->last_report, when);
    iom_port_send(&stage->ports[IOM_STAGE_FAULT], &report->msg, when);
}

void iom_stage_send_drains(struct iom_stage *stage, iom_cycle now)
{
    struct iom_port *port = &stage->ports[IOM_STAGE_FAULT];
    while (stage->drains_unsent.first != NULL && iom_port_can_send(port, now))
        iom_port_send(port, iom_fifo_pop(&stage->drains_unsent), iom_max_u64(stage->last_report, now));
}

// ---- events ----------------------------------------------------------------------------------------------

uint32_t iom_stage_request_event(const struct iom_dma *dma)
{
    uint32_t flags = dma->x.flags;
    if (flags & IOM_REQ_PAGE)
        return 0;
    if (flags & IOM_REQ_TRANSLATE)
        return IOM_EVENT_ATS;
    return flags & IOM_REQ_TRANSLATED ? IOM_EVENT_TRANSLATED : IOM_EVENT_UNTRANSLATED;
}

// Which stages are in effect, as the tag of x's translations says.
static uint8_t stage_of(const struct iom_stage *stage, const struct iom_xlate *x)
{
    const struct iom_arch *arch = stage->config.arch;
    struct iom_xlate translation = *x;
    struct iom_tag key;
    translation.next = IOM_LOOKUP_IOTLB;
    arch->ops->key(arch, &stage->view, &translation, &key);
    return key.stage;
}

void iom_stage_event(struct iom_stage *stage, const struct iom_xlate *x, uint32_t events, bool has_context,
                     iom_cycle now)
{
    struct iom_port *port = &stage->ports[IOM_STAGE_MONITOR];
    events &= stage->view.monitored;
    if (events == 0 || port->peer == NULL)
        return;
    struct iom_report *report = take_report(stage, IOM_REPORT_EVENT, now);
    report->what.event = (struct iom_event){
        .events = events,
        .source = x->source,
        .pasid = x->pasid,
        .flags = x->flags,
        .has_context = has_context,
        .stage = has_context ? stage_of(stage, x) : 0,
        .domain = has_context ? x->context.domain : 0,
        .asid = has_context ? x->context.asid : 0,
    };
    iom_port_send(port, &report->msg, now);
}

void iom_stage_monitor_miss(struct iom_stage *stage, const struct iom_xlate *x, bool starts_walk,
                            iom_cycle now)
{
    static const uint32_t events[IOM_LOOKUP_COUNT] = {IOM_EVENT_CONTEXT_WALK, IOM_EVENT_PASID_WALK,
                                                      IOM_EVENT_TLB_MISS};
    enum iom_lookup which = (enum iom_lookup)x->next;
    if (starts_walk || which == IOM_LOOKUP_IOTLB)
        iom_stage_event(stage, x, events[which], which != IOM_LOOKUP_CONTEXT, now);
}
