// SPDX-License-Identifier: Apache-2.0
//
// From a command to what it means ("Command-Queue", extensions NL and S), with every check that makes the
// queue stop at it: reserved encodings, reserved bits, operands that are not allowed, commands that
// capabilities do not offer.
#include <string.h>

#include "core/arch/riscv/riscv_commands.h"
#include "core/arch/riscv/riscv_state.h"

// Functions of each opcode.
static const uint8_t functions[RISCV_OPCODES] = {[RISCV_OPCODE_IOTINVAL] = 2,
                                                 [RISCV_OPCODE_IOFENCE] = 1,
                                                 [RISCV_OPCODE_IODIR] = 2,
                                                 [RISCV_OPCODE_ATS] = 2};

// Reserved bits of both doublewords; NL and S as without their extensions.
static const uint64_t reserved_bits[RISCV_OPCODES][2] = {
    [RISCV_OPCODE_IOTINVAL] = {UINT64_C(0xf0000ffc00000800), UINT64_C(0xc0000000000003ff)},
    [RISCV_OPCODE_IOFENCE] = {UINT64_C(0x00000000ffffc000), UINT64_C(0xc000000000000000)},
    [RISCV_OPCODE_IODIR] = {UINT64_C(0x000000fd00000c00), UINT64_MAX},
    [RISCV_OPCODE_ATS] = {UINT64_C(0x000000fc00000c00), 0},
};

// ---- legality --------------------------------------------------------------------------------------------

// Device ids that the hardware has and that the present depth of the device directory reaches.
static bool device_is_possible(const struct iom_arch *arch, const struct iom_queue_setup *setup,
                               uint32_t device)
{
    static const uint8_t base_bits[] = {[IOM_RISCV_1LVL] = 7, [IOM_RISCV_2LVL] = 16};
    static const uint8_t extended_bits[] = {[IOM_RISCV_1LVL] = 6, [IOM_RISCV_2LVL] = 15};
    const struct iom_riscv_config *config = riscv_config(arch);
    unsigned mode = setup->attributes >> RISCV_QUEUE_MODE_SHIFT & (unsigned)RISCV_DDTP_MODE;
    if (device & ~config->device_id_mask)
        return false;
    if (mode != IOM_RISCV_1LVL && mode != IOM_RISCV_2LVL)
        return true;
    unsigned bits = riscv_has(config, IOM_RISCV_CAP_MSI_FLAT_BIT) ? extended_bits[mode] : base_bits[mode];
    return device >> bits == 0;
}

static unsigned process_bits(const struct iom_riscv_config *config)
{
    if (riscv_has(config, IOM_RISCV_CAP_PD20_BIT))
        return 20;
    return riscv_has(config, IOM_RISCV_CAP_PD17_BIT) ? 17 : 8;
}

static bool directory_is_legal(const struct iom_arch *arch, const struct iom_queue_setup *setup, uint64_t low)
{
    bool device_given = (low & RISCV_DIRECTORY_DV) != 0;
    if (device_given && !device_is_possible(arch, setup, RISCV_DIRECTORY_DID(low)))
        return false;
    if (RISCV_COMMAND_FUNCTION(low) == RISCV_FUNCTION_INVAL_DDT) // PID is reserved
        return RISCV_DIRECTORY_PID(low) == 0;
    return device_given && RISCV_DIRECTORY_PID(low) >> process_bits(riscv_config(arch)) == 0;
}

static bool is_legal(const struct iom_arch *arch, const struct iom_queue_setup *setup, uint64_t low,
                     uint64_t high)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    unsigned opcode = RISCV_COMMAND_OPCODE(low);
    if (opcode >= RISCV_OPCODES || RISCV_COMMAND_FUNCTION(low) >= functions[opcode])
        return false;
    uint64_t allowed[2] = {0, 0};
    if (opcode == RISCV_OPCODE_IOTINVAL) {
        allowed[0] = riscv_has(config, IOM_RISCV_CAP_NL_BIT) ? RISCV_INVAL_NL : 0;
        allowed[1] = riscv_has(config, IOM_RISCV_CAP_S_BIT) ? RISCV_INVAL_S : 0;
    }
    if ((low & reserved_bits[opcode][0] & ~allowed[0]) || (high & reserved_bits[opcode][1] & ~allowed[1]))
        return false;
    switch ((enum riscv_opcode)opcode) {
    case RISCV_OPCODE_IOTINVAL:
        return RISCV_COMMAND_FUNCTION(low) == RISCV_FUNCTION_VMA || !(low & RISCV_INVAL_PSCV);
    case RISCV_OPCODE_IOFENCE:
        return !(low & RISCV_FENCE_WSI) || (setup->attributes & RISCV_QUEUE_WIRES);
    case RISCV_OPCODE_IODIR:
        return directory_is_legal(arch, setup, low);
    case RISCV_OPCODE_ATS:
        return riscv_has(config, IOM_RISCV_CAP_ATS_BIT);
    case RISCV_OPCODES:
        break;
    }
    return false;
}

// ---- operands --------------------------------------------------------------------------------------------

// A range in the encoding of PCIe and of the S operand: the lowest 0 bit of the page number, at position n,
// says 2^(n+1) pages. With no 0 bit it is everything.
static void set_range(uint64_t *first, uint64_t *last, uint64_t address, bool sized)
{
    unsigned size_log2 = IOM_PAGE_LOG2;
    if (sized) {
        while (size_log2 < 63 && (address >> size_log2 & 1) != 0)
            size_log2++;
        size_log2++;
    }
    *first = iom_align_down(address, size_log2);
    *last = *first | iom_low_bits(UINT64_MAX, size_log2);
}

static void decode_translation(const struct iom_arch *arch, uint64_t low, uint64_t high,
                               struct iom_invalidation *invalidation)
{
    struct riscv_translation_scope scope = {
        .has_guest = (low & RISCV_INVAL_GV) != 0,
        .has_space = (low & RISCV_INVAL_PSCV) != 0,
        .has_address = (low & RISCV_INVAL_AV) != 0,
        .non_leaf = (low & RISCV_INVAL_NL) != 0,
        .guest = RISCV_INVAL_GSCID(low),
        .space = RISCV_INVAL_PSCID(low),
    };
    set_range(&scope.first, &scope.last, RISCV_INVAL_ADDRESS(high), (high & RISCV_INVAL_S) != 0);
    if (RISCV_COMMAND_FUNCTION(low) == RISCV_FUNCTION_VMA)
        riscv_invalidate_first(arch, invalidation, &scope);
    else
        riscv_invalidate_second(arch, invalidation, &scope);
}

static void decode_directory(const struct iom_arch *arch, uint64_t low, struct iom_invalidation *invalidation)
{
    const struct riscv_directory_scope scope = {
        .has_device = (low & RISCV_DIRECTORY_DV) != 0,
        .has_process = RISCV_COMMAND_FUNCTION(low) == RISCV_FUNCTION_INVAL_PDT,
        .device = RISCV_DIRECTORY_DID(low),
        .process = RISCV_DIRECTORY_PID(low),
    };
    riscv_invalidate_directory(arch, invalidation, &scope);
}

// The head stays at a fence until everything before it is done, so nothing behind it begins before.
static void decode_fence(const struct iom_queue_setup *setup, uint64_t low, uint64_t high,
                         struct iom_command_wait *wait)
{
    bool big = (setup->attributes & RISCV_QUEUE_BIG_ENDIAN) != 0;
    uint32_t data = RISCV_FENCE_DATA(low);
    *wait = (struct iom_command_wait){
        .write_status = (low & RISCV_FENCE_AV) != 0,
        .interrupt = (low & RISCV_FENCE_WSI) != 0,
        .holds_head = true,
        .fence = true,
        .drain_reads = (low & RISCV_FENCE_PR) != 0,
        .drain_writes = (low & RISCV_FENCE_PW) != 0,
        .status_bytes = 4,
        .address = RISCV_FENCE_ADDRESS(high),
        .status = big ? riscv_swap64(data) >> 32 : data,
    };
}

static uint32_t target_device(uint64_t low)
{
    return RISCV_ATS_RID(low) | (low & RISCV_ATS_DSV ? RISCV_ATS_DSEG(low) << 16 : 0);
}

static void decode_device(uint64_t low, uint64_t payload, struct iom_invalidation *invalidation)
{
    struct iom_device_invalidation *device = &invalidation->device;
    invalidation->source = IOM_SOURCE_QUEUE;
    invalidation->has_device = true;
    device->stream = target_device(low);
    device->has_segment = (low & RISCV_ATS_DSV) != 0;
    device->has_pasid = (low & RISCV_ATS_PV) != 0;
    device->pasid = device->has_pasid ? RISCV_ATS_PID(low) : 0;
    device->global = (payload & RISCV_ATS_PAYLOAD_GLOBAL) != 0;
    device->payload = payload;
    set_range(&device->first, &device->last, payload, (payload & RISCV_ATS_PAYLOAD_SIZED) != 0);
}

static void decode_response(uint64_t low, uint64_t payload, struct iom_page_response *response)
{
    response->stream = target_device(low);
    response->has_segment = (low & RISCV_ATS_DSV) != 0;
    response->has_pasid = (low & RISCV_ATS_PV) != 0;
    response->pasid = response->has_pasid ? RISCV_ATS_PID(low) : 0;
    response->group = RISCV_ATS_PAYLOAD_GROUP(payload);
    response->code = RISCV_ATS_PAYLOAD_CODE(payload);
    response->payload = payload;
}

void riscv_decode(const struct iom_arch *arch, const struct iom_queue_setup *setup, const uint64_t *words,
                  struct iom_command *command)
{
    bool big = (setup->attributes & RISCV_QUEUE_BIG_ENDIAN) != 0;
    uint64_t low = riscv_word(words[0], big), high = riscv_word(words[1], big);
    memset(command, 0, sizeof *command);
    command->kind = IOM_COMMAND_INVALID;
    if (!is_legal(arch, setup, low, high))
        return;
    command->kind = IOM_COMMAND_INVALIDATE;
    switch ((enum riscv_opcode)RISCV_COMMAND_OPCODE(low)) {
    case RISCV_OPCODE_IOTINVAL:
        decode_translation(arch, low, high, &command->invalidation);
        break;
    case RISCV_OPCODE_IODIR:
        decode_directory(arch, low, &command->invalidation);
        break;
    case RISCV_OPCODE_IOFENCE:
        command->kind = IOM_COMMAND_WAIT;
        decode_fence(setup, low, high, &command->wait);
        break;
    case RISCV_OPCODE_ATS:
        if (RISCV_COMMAND_FUNCTION(low) == RISCV_FUNCTION_INVAL) {
            decode_device(low, high, &command->invalidation);
        } else {
            command->kind = IOM_COMMAND_RESPOND;
            decode_response(low, high, &command->response);
        }
        break;
    case RISCV_OPCODES:
        break;
    }
}
