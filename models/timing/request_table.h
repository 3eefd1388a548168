// SPDX-License-Identifier: Apache-2.0
//
// Table of all requests played, recorded beside simulated: comma-separated values, one line per request
// (RFC 4180, but lines end with a line feed). docs/timing.md explains the columns. What did not take place is
// an empty field.
#ifndef IOMMU_SIM_MODELS_TIMING_REQUEST_TABLE_H
#define IOMMU_SIM_MODELS_TIMING_REQUEST_TABLE_H

#include <string>

#include "models/report/atomic_file.h"
#include "models/timing/runner.h"

namespace iommu_sim::timing
{

class RequestTable
{
  public:
    /// Each returns false on failure; error() then names the path and the reason. The file appears with
    /// commit().
    bool open(const std::string &path);
    /// The requests of a record; `file` is the name it goes by.
    bool add(const std::string &file, const RecordResult &record);
    bool commit();

    const std::string &error() const
    {
        return file_.error();
    }

  private:
    AtomicFile file_;
};

} // namespace iommu_sim::timing

#endif
