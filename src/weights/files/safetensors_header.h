#pragma once
// One safetensors file: 8 bytes of header length, a JSON header, the data. Format:
// huggingface/safetensors README.md ("Format").

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

/// The reference's cap; V3's largest header is below 1 MB.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

/// The tensors of a whole file in memory, in the order of their data, each checked to lie inside
/// it; together they tile the data area exactly. `file` names it in errors and in
/// StoredTensor::file. errors: corrupt, unsupported (a dtype this build does not know)
Result<std::vector<StoredTensor>> read_safetensors_header(std::span<const std::byte> bytes,
                                                          std::string_view file);

}  // namespace nereus
