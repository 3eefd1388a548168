// SPDX-License-Identifier: Apache-2.0
//
// The driver of a record as a sequence (traffic/sequence.h): from what was asked for, not from when it
// happened.
#ifndef IOMMU_SIM_MODELS_TIMING_DRIVER_H
#define IOMMU_SIM_MODELS_TIMING_DRIVER_H

#include "models/timing/record.h"
#include "traffic/sequence.h"

namespace iommu_sim::timing
{

class Driver
{
  public:
    /// `beat_bytes`: width of the data channels.
    Driver(const Record &record, uint32_t beat_bytes);

    /// Points into this object.
    iom_sequence_config config() const;

  private:
    std::vector<iom_sequence_request> requests_;
    std::vector<iom_sequence_op> ops_;
    bool dual_;
    uint32_t response_limit_;
};

} // namespace iommu_sim::timing

#endif
