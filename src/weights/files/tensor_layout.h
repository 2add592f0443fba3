#pragma once
// The checks both file kinds share: sizes by checked arithmetic, tensors inside their data area and
// not on top of each other.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/checkpoint.h"

namespace nereus {

/// Largest product of dimensions that is believed (4 EiB of bytes would not fit any file).
inline constexpr uint64_t kMaxElements = 1ULL << 56;

/// Product of the dimensions, zeros counted as one so that [0, 2^62] is refused too. errors:
/// corrupt
Result<uint64_t> checked_elements(std::span<const uint64_t> dims, std::string_view file,
                                  std::string_view tensor);

/// Bytes of n_elements numbers in rows of `cols`. errors: corrupt when a row is not whole blocks
Result<uint64_t> checked_bytes(const Format& format, uint64_t n_elements, uint64_t cols,
                               std::string_view file, std::string_view tensor);

enum class Gaps { kAllowed, kRefused };

/// Sorts the tensors of one file by offset and refuses overlaps; with Gaps::kRefused they must also
/// tile [begin, end) exactly, as safetensors prescribes. errors: corrupt
Status sort_and_check_layout(std::vector<StoredTensor>& tensors, uint64_t begin, uint64_t end,
                             Gaps gaps);

/// errors: corrupt when two tensors, of one file or several, share a name
Status refuse_duplicates(std::span<const StoredTensor> tensors);

}  // namespace nereus
