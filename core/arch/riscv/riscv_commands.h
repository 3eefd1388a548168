// SPDX-License-Identifier: Apache-2.0
//
// Commands as they lie in the command queue ("Command-Queue", extensions NL and S).
//
// Shared by the hardware that decodes them (riscv_decode.c) and the software that writes them
// (riscv_commands.c). A command has two doublewords, here called low and high; opcode and func3 stand in bits
// 6:0 and 9:7 of the low one.
#ifndef IOM_CORE_ARCH_RISCV_COMMANDS_H
#define IOM_CORE_ARCH_RISCV_COMMANDS_H

#include "core/base.h"

#define RISCV_COMMAND_OPCODE(low) ((unsigned)iom_bits(low, 6, 0))
#define RISCV_COMMAND_FUNCTION_SHIFT 7u
#define RISCV_COMMAND_FUNCTION(low) ((unsigned)iom_bits(low, 9, 7))
#define RISCV_COMMAND_PID_SHIFT 12u ///< PID, PSCID

enum riscv_opcode {
    RISCV_OPCODE_IOTINVAL = 1,
    RISCV_OPCODE_IOFENCE = 2,
    RISCV_OPCODE_IODIR = 3,
    RISCV_OPCODE_ATS = 4,
    RISCV_OPCODES,
};

/// func3 of each opcode.
enum riscv_function {
    RISCV_FUNCTION_VMA = 0, ///< IOTINVAL
    RISCV_FUNCTION_GVMA = 1,
    RISCV_FUNCTION_FENCE = 0,     ///< IOFENCE: C
    RISCV_FUNCTION_INVAL_DDT = 0, ///< IODIR
    RISCV_FUNCTION_INVAL_PDT = 1,
    RISCV_FUNCTION_INVAL = 0, ///< ATS
    RISCV_FUNCTION_PRGR = 1,
};

// IOTINVAL.
#define RISCV_INVAL_AV (UINT64_C(1) << 10)
#define RISCV_INVAL_PSCID(low) ((uint32_t)iom_bits(low, 31, 12))
#define RISCV_INVAL_PSCV (UINT64_C(1) << 32)
#define RISCV_INVAL_GV (UINT64_C(1) << 33)
#define RISCV_INVAL_NL (UINT64_C(1) << 34)
#define RISCV_INVAL_GSCID_SHIFT 44u
#define RISCV_INVAL_GSCID(low) ((uint32_t)iom_bits(low, 59, 44))
#define RISCV_INVAL_S (UINT64_C(1) << 9) ///< second doubleword
#define RISCV_INVAL_ADDRESS(high) (iom_bits(high, 61, 10) << IOM_PAGE_LOG2)

// IOFENCE.C.
#define RISCV_FENCE_AV (UINT64_C(1) << 10)
#define RISCV_FENCE_WSI (UINT64_C(1) << 11)
#define RISCV_FENCE_PR (UINT64_C(1) << 12)
#define RISCV_FENCE_PW (UINT64_C(1) << 13)
#define RISCV_FENCE_DATA_SHIFT 32u
#define RISCV_FENCE_DATA(low) ((uint32_t)iom_bits(low, 63, 32))
#define RISCV_FENCE_ADDRESS(high) (iom_bits(high, 61, 0) << 2)

// IODIR.
#define RISCV_DIRECTORY_PID(low) ((uint32_t)iom_bits(low, 31, 12))
#define RISCV_DIRECTORY_DV (UINT64_C(1) << 33)
#define RISCV_DIRECTORY_DID_SHIFT 40u
#define RISCV_DIRECTORY_DID(low) ((uint32_t)iom_bits(low, 63, 40))

// ATS.
#define RISCV_ATS_PID(low) ((uint32_t)iom_bits(low, 31, 12))
#define RISCV_ATS_PV (UINT64_C(1) << 32)
#define RISCV_ATS_DSV (UINT64_C(1) << 33)
#define RISCV_ATS_RID_SHIFT 40u
#define RISCV_ATS_RID(low) ((uint32_t)iom_bits(low, 55, 40))
#define RISCV_ATS_DSEG_SHIFT 56u
#define RISCV_ATS_DSEG(low) ((uint32_t)iom_bits(low, 63, 56))
#define RISCV_ATS_PAYLOAD_GLOBAL (UINT64_C(1) << 0)                            ///< of ATS.INVAL
#define RISCV_ATS_PAYLOAD_SIZED (UINT64_C(1) << 11)                            ///< S
#define RISCV_ATS_PAYLOAD_GROUP(payload) ((uint16_t)iom_bits(payload, 40, 32)) ///< of ATS.PRGR
#define RISCV_ATS_PAYLOAD_CODE(payload) ((uint8_t)iom_bits(payload, 47, 44))

#endif
