#pragma once
// Panel formats: Nereus' own number formats, laid out for integer kernels. The unit is a block of
// 16 rows x 128 columns; a panel is the blocks of the same 16 rows from left to right, a matrix its
// panels from top to bottom, padded with zeros to whole blocks.
//
// Every weight is an int8 times its row's scale in the block, exactly: value = scale * w8. Formats
// below 8 bits make the w8 from small integers (step * code + offset), so that integer kernels may
// multiply codes or finished w8 and get the same sums. Activations are rounded to int8 with a scale
// per 128 columns too; a product of two blocks is then an exact integer and one fused multiply-add,
//   y = fma(float(sum w8 * x8), weight scale * activation scale, y)      blocks from left to right,
// and its bits do not depend on the instruction set, the batch or the threads.

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/format.h"

namespace nereus {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kPanelColumns = 128;
/// Four neighbouring columns of a row lie together: what a dot-product instruction takes.
inline constexpr int64_t kPanelGroup = 4;

/// The largest scale times the largest w8. The squares of larger errors would overflow a float and
/// leave an encoder without a best choice.
inline constexpr float kLargestPanelNumber = 65504.0F * 127.0F;

/// How hard an encoder searches for scales.
enum class EncodeEffort { kFast, kBest };

/// What an encoder is given: one block's numbers, zeros beyond the matrix.
struct PanelValues {
    const float* values = nullptr;      ///< [16, 128]
    const float* importance = nullptr;  ///< [128], weights of the squared errors; null: all alike
    EncodeEffort effort = EncodeEffort::kBest;
};

struct PanelFormat {
    int64_t block_bytes;
    double bits_per_weight;  ///< scales included
    bool turned;             ///< columns lie in the basis of turn_block
    /// The block's integers [16, 128] and the 16 scales: the definition of the format.
    void (*unpack)(const std::byte* block, int8_t* values, float* scales);
    /// Rounds a block. No magnitude is above kLargestPanelNumber.
    void (*encode)(const PanelValues& values, std::byte* block);
};

/// A block of codes: 16 f16 scales; for every run of kColumns columns 16 steps minus one (4 bits,
/// row 2i low and 2i + 1 high in byte i); for every run 16 offsets (int8); codes of kBits bits. A
/// chunk of 64 bytes holds 8 / kBits groups of four columns, the first in the low bits.
/// w8 = step * code + offset.
template <int kBits, int kColumns>
struct CodeLayout {
    static constexpr int64_t kRuns = kPanelColumns / kColumns;
    static constexpr int64_t kSteps = 2 * kPanelRows;
    static constexpr int64_t kOffsets = kSteps + kRuns * kPanelRows / 2;
    static constexpr int64_t kCodes = kOffsets + kRuns * kPanelRows;
    static constexpr int64_t kBytes = kCodes + kPanelRows * kPanelColumns * kBits / 8;
    static constexpr int64_t kLevels = 1 << kBits;
    static constexpr int64_t kChunkBytes = kPanelRows * kPanelGroup;
    static constexpr int64_t kGroupsPerChunk = 8 / kBits;
};

using Q4Layout = CodeLayout<4, 32>;
using Q2Layout = CodeLayout<2, 16>;

inline constexpr int64_t kQ8BlockBytes = 2 * kPanelRows + kPanelRows * kPanelColumns;
static_assert(Q4Layout::kBytes == 1152 && Q2Layout::kBytes == 736, "4.5 and 2.875 bits a weight");

/// The basis of a block's columns: x becomes H D x, where D flips the signs of kPanelSigns and H is
/// Hadamard's matrix of order 128, as butterflies (a + b, a - b) of columns 1, 2, 4 .. 64 apart, in
/// this order. Its square is 128 times the identity. x: [128]
void turn_block(float* x);
/// x becomes D H x: the converse, times 128.
void turn_block_back(float* x);
/// By how much weights are divided after turning, and activations: together 128.
inline constexpr float kTurnedWeight = 16.0F;
inline constexpr float kTurnedActivation = 8.0F;

/// +1 or -1 for every column of a block: the first 128 binary digits of pi's fraction, lowest bit
/// of a word first.
inline constexpr std::array<float, kPanelColumns> kPanelSigns = [] {
    constexpr uint32_t kDigits[] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
    std::array<float, kPanelColumns> signs{};
    for (size_t c = 0; c < signs.size(); ++c) {
        signs[c] = (kDigits[c / 32] >> (c % 32) & 1U) == 0 ? 1.0F : -1.0F;
    }
    return signs;
}();

inline int64_t panel_blocks(int64_t cols) { return (cols + kPanelColumns - 1) / kPanelColumns; }
inline int64_t panel_count(int64_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }

/// Rounds rows [0, n_rows) of n_cols finite floats, n_rows <= 16, into the blocks of one panel;
/// larger numbers than kLargestPanelNumber count as that.
/// importance: null or [n_cols].
void encode_panel(const Format& format, const float* rows, int64_t row_stride, int64_t n_rows,
                  int64_t n_cols, const float* importance, EncodeEffort effort, std::byte* out);

}  // namespace nereus
