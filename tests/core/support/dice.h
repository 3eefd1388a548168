// SPDX-License-Identifier: Apache-2.0
//
// Random choices of a test, the same on every machine.
#ifndef IOM_TESTS_CORE_SUPPORT_DICE_H
#define IOM_TESTS_CORE_SUPPORT_DICE_H

#include <initializer_list>

#include "core/rng.h"

class Dice
{
  public:
    /// `path` keeps tests of the same seed apart.
    Dice(uint64_t seed, const char *path)
    {
        iom_rng_seed(&rng_, seed, path);
    }
    uint64_t below(uint64_t bound)
    {
        return iom_rng_below(&rng_, bound);
    }
    uint32_t between(uint32_t first, uint32_t last)
    {
        return first + static_cast<uint32_t>(below(last - first + 1));
    }
    bool chance(unsigned percent)
    {
        return below(100) < percent;
    }
    template <typename T> T one_of(std::initializer_list<T> list)
    {
        return list.begin()[below(list.size())];
    }

  private:
    iom_rng rng_;
};

#endif
