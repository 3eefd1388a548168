// SPDX-License-Identifier: Apache-2.0
//
// The operations of the RISC-V IOMMU (core/arch.h).
#include "core/arch/riscv/riscv_state.h"

const struct iom_arch_ops iom_riscv_ops = {
    .name = "riscv",
    .enter = riscv_enter,
    .key = riscv_key,
    .use = riscv_use,
    .walk_start = riscv_walk_start,
    .walk_step = riscv_walk_step,
    .charge = riscv_charge,
    .state_bytes = sizeof(struct riscv_state),
    .reset = riscv_reset,
    .read = riscv_read,
    .write = riscv_write,
    .view = riscv_view,
    .action_done = riscv_action_done,
    .record = riscv_record,
    .page_request = riscv_page_request,
    .next_store = riscv_next_store,
    .store_done = riscv_store_done,
    .next_response = riscv_next_response,
    .count = riscv_count,
    .time = riscv_time,
    .wake = riscv_wake,
    .translate_request = riscv_translate_request,
    .translate_result = riscv_translate_result,
    .next_invalidation = riscv_next_invalidation,
    .queue = riscv_queue,
    .decode = riscv_decode,
    .queue_event = riscv_queue_event,
};
