// SPDX-License-Identifier: Apache-2.0
//
// Bit scans in plain C11 (de Bruijn multiplication, halving) for compilers without builtins.
#include "core/base.h"

unsigned iom_ctz64_portable(uint64_t value)
{
    static const uint8_t position[64] = {
        0,  1,  2,  53, 3,  7,  54, 27, 4,  38, 41, 8,  34, 55, 48, 28, 62, 5,  39, 46, 44, 42,
        22, 9,  24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
        23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
    };
    return position[((value & (~value + 1)) * UINT64_C(0x022fdd63cc95386d)) >> 58];
}

unsigned iom_log2_u64_portable(uint64_t value)
{
    unsigned result = 0;
    for (unsigned step = 32; step != 0; step /= 2) {
        if (value >> step) {
            value >>= step;
            result += step;
        }
    }
    return result;
}
