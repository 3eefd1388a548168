// SPDX-License-Identifier: Apache-2.0
//
// Named places in translation tables. See tables_view.h.
#include "models/scenario/tables_view.h"

#include <algorithm>
#include <cstring>

#include "models/config/suggest.h"

namespace iommu_sim
{

namespace
{

struct ReadLog {
    const iom_memory_image *image;
    std::vector<uint64_t> addresses;
};

iom_access logged_read(void *context, uint64_t address, void *data, unsigned bytes)
{
    ReadLog *log = static_cast<ReadLog *>(context);
    log->addresses.push_back(address);
    return iom_access_if(iom_memory_image_read(log->image, address, data, bytes));
}

} // namespace

TablesView::TablesView(const iom_arch &arch, const iom_software_ops &ops, const iom_software *software,
                       const iom_memory_image *image, const Scenario &scenario)
    : arch_(arch), image_(image), scenario_(scenario)
{
    std::vector<uint64_t> state(arch.ops->state_bytes / 8 + 1);
    arch.ops->reset(&arch, state.data());
    std::vector<iom_register_write> writes(64);
    writes.resize(std::min(ops.startup(software, writes.data(), writes.size()), writes.size()));
    for (const iom_register_write &write : writes) {
        const uint32_t actions = arch.ops->write(&arch, state.data(), write.offset, write.bytes, write.value);
        for (const iom_register_action action : {IOM_ACTION_UPDATE_VIEW, IOM_ACTION_INVALIDATE}) {
            if ((actions & 1u << action) != 0)
                arch.ops->action_done(&arch, state.data(), action);
        }
    }
    arch.ops->view(&arch, state.data(), &view_);
}

std::vector<uint64_t> TablesView::walk(const std::string &device, uint32_t pasid, uint64_t iova) const
{
    iom_xlate x = {};
    std::vector<std::string> names;
    bool found = false;
    for (const DeviceSettings &settings : scenario_.system.devices) {
        names.push_back(settings.name);
        if (settings.name == device) {
            x.source = settings.source_id;
            found = true;
        }
    }
    if (!found)
        throw ExpressionError("there is no device '" + device + "' in system.devices" +
                              did_you_mean(device, names));
    x.address = iova;
    x.bytes = 8;
    if (pasid != IOM_NO_PASID) {
        x.pasid = pasid;
        x.flags = IOM_REQ_PASID;
    }
    ReadLog log{image_, {}};
    iom_translate_pure(&arch_, &view_, logged_read, &log, &x);
    return log.addresses;
}

int64_t TablesView::call(const std::string &function, const std::vector<Expression> &arguments) const
{
    const bool word = function == "walk_word";
    if (!word && function != "walk_address")
        throw ExpressionError(
            "there is no function " + function +
            did_you_mean(function, {"walk_address", "walk_word", "max", "min", "ceil", "floor"}));
    const size_t fixed = word ? 3 : 2;
    if (arguments.size() < fixed || arguments.size() > fixed + 2)
        throw ExpressionError(word ? "walk_word(device, read, word [, pasid [, iova]])"
                                   : "walk_address(device, read [, pasid [, iova]])");
    const auto number = [&](size_t index) { return value(arguments[index]); };
    uint32_t pasid = IOM_NO_PASID;
    if (arguments.size() > fixed && arguments[fixed].plain_name() != "none")
        pasid = static_cast<uint32_t>(number(fixed));
    const uint64_t iova = arguments.size() > fixed + 1 ? static_cast<uint64_t>(number(fixed + 1)) : 0;
    const std::vector<uint64_t> reads = walk(arguments[0].plain_name(), pasid, iova);
    const auto read = static_cast<size_t>(number(1));
    if (read >= reads.size())
        throw ExpressionError("the walk makes " + std::to_string(reads.size()) + " reads only");
    if (!word)
        return static_cast<int64_t>(reads[read]);
    uint64_t data = 0;
    if (!iom_memory_image_read(image_, reads[read] + static_cast<uint64_t>(number(2)) * 8, &data,
                               sizeof data))
        throw ExpressionError("the word is not in memory");
    return static_cast<int64_t>(data);
}

int64_t TablesView::value(const Expression &expression) const
{
    Expression::Meaning meaning;
    meaning.name = [](const std::string &name) -> int64_t {
        throw ExpressionError("there is no parameter '" + name + "'");
    };
    meaning.call = [this](const std::string &function, const std::vector<Expression> &arguments) {
        return call(function, arguments);
    };
    return expression.value(meaning);
}

} // namespace iommu_sim
