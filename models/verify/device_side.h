// SPDX-License-Identifier: Apache-2.0
//
// The devices of a vector as the IOMMU's messages see them: what has reached them, and which invalidation
// requests they have not completed.
//
// Source: PCI Express Base 6.0, 10.3.1 (a request is complete when the number of completions that each of
// them names has arrived), 10.3.2.
#ifndef IOM_MODELS_VERIFY_DEVICE_SIDE_H
#define IOM_MODELS_VERIFY_DEVICE_SIDE_H

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/invalidation.h"
#include "core/page_request.h"
#include "models/verify/target.h"

namespace iommu_sim::verify
{

class DeviceSide
{
  public:
    static constexpr unsigned most_tags = 32;

    /// `tags`: requests that the IOMMU has under way at most; 0: devices complete them at once.
    explicit DeviceSide(unsigned tags) : tags_(tags)
    {
    }

    bool answers_at_once() const
    {
        return tags_ == 0;
    }
    /// The lowest tag that no device holds; nothing if there is none.
    std::optional<unsigned> free_tag() const;
    void receive(const iom_device_invalidation &what, unsigned tag);
    void receive(const iom_page_response &response);
    std::vector<DeviceMessage> take();

    /// Does a device hold a request?
    bool holds_any() const;
    /// Counts completions. Returns the tags for which the IOMMU sees the request end with it, or for which
    /// nobody waits (stray completions, which reach the IOMMU, too).
    uint32_t complete(const InvalidationCompletion &completion);
    /// Requests are given up. True if a device held one of them.
    bool expire(uint32_t tags);

  private:
    struct Request {
        bool held = false;
        uint32_t device = 0;
        unsigned completions = 0;
    };
    unsigned tags_;
    std::array<Request, most_tags> requests_ = {};
    std::vector<DeviceMessage> received_;
};

} // namespace iommu_sim::verify

#endif
