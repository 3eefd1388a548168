// SPDX-License-Identifier: Apache-2.0
//
// What the readers of vectors share (vector.cpp, riscv_reader.cpp).
#ifndef IOM_MODELS_VERIFY_VECTOR_NODE_H
#define IOM_MODELS_VERIFY_VECTOR_NODE_H

#include "models/input/json_node.h"
#include "models/verify/riscv_vector.h"
#include "models/verify/vector.h"

namespace iommu_sim::verify
{

using json = nlohmann::json;

/// [[address, value], ...]: aligned words of memory.
std::vector<MemoryWord> parse_memory_words(const Node &list);

namespace riscv
{

/// Is this a vector of the RISC-V reference model? Told by its keys.
bool is_riscv_vector(const json &document);
Vector parse_riscv_vector(const Node &node, Place &place);

} // namespace riscv

} // namespace iommu_sim::verify

#endif
