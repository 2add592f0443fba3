// Q8: 8.125 bits a weight. A block: 16 f16 scales, then 2048 bytes w8 + 128 in panel order; value =
// scale * w8, w8 in -127 .. 127. The bias makes the bytes what dot-product instructions take.

#include <algorithm>
#include <cmath>

#include "tensor/formats/blocks.h"
#include "tensor/formats/panel_formats.h"
#include "tensor/formats/panel_rows.h"

namespace nereus {

void unpack_q8(const std::byte* block, int8_t* values, float* scales) {
    const std::byte* codes = block + 2 * kPanelRows;
    for (int64_t r = 0; r < kPanelRows; ++r) {
        scales[r] = load_f16(block + 2 * r);
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            values[r * kPanelColumns + c] =
                static_cast<int8_t>(load_u8(codes, panel_index(r, c)) - 128);
        }
    }
}

namespace {

/// Halves next to largest / 127 that are tried; which fits best is chance. With all of them the
/// largest number is +-127, to half a step, so that numbers which were rounded once are rounded to
/// themselves.
constexpr int kScales = 8;
constexpr int kScalesBelow = 4;

float squared_error(const float* row, float scale) {
    float sum = 0.0F;
    const float inverse = 1.0F / scale;
    for (int64_t c = 0; c < kPanelColumns; ++c) {
        const float q = std::clamp(std::nearbyint(row[c] * inverse), -127.0F, 127.0F);
        const float error = row[c] - q * scale;
        sum += error * error;
    }
    return sum;
}

/// Bits of the f16 scale with the least error.
uint16_t best_scale(const float* row, EncodeEffort effort) {
    float largest = 0.0F;
    for (int64_t c = 0; c < kPanelColumns; ++c) {
        largest = std::max(largest, std::fabs(row[c]));
    }
    const uint16_t bits = f32_to_f16(std::min(largest / 127.0F, 65504.0F));
    if (effort == EncodeEffort::kFast || bits <= kScalesBelow || bits + kScales > 0x7bff) {
        return bits;
    }
    uint16_t best = bits;
    float least = squared_error(row, f16_to_f32(bits));
    for (int i = 0; i < kScales; ++i) {
        const auto tried = static_cast<uint16_t>(bits - kScalesBelow + i);
        const float error = squared_error(row, f16_to_f32(tried));
        if (error < least) {
            least = error;
            best = tried;
        }
    }
    return best;
}

}  // namespace

void encode_q8(const PanelValues& from, std::byte* block) {
    std::byte* codes = block + 2 * kPanelRows;
    for (int64_t r = 0; r < kPanelRows; ++r) {
        const float* row = from.values + r * kPanelColumns;
        const uint16_t bits = best_scale(row, from.effort);
        const float scale = f16_to_f32(bits);
        store_u16(block + 2 * r, bits);
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            const float q = scale == 0.0F ? 0.0F : std::nearbyint(row[c] / scale);
            codes[panel_index(r, c)] =
                static_cast<std::byte>(static_cast<int>(std::clamp(q, -127.0F, 127.0F)) + 128);
        }
    }
}

extern constexpr PanelFormat kQ8Panel{kQ8BlockBytes, 8.125, true, unpack_q8, encode_q8};

void decode_q8(const StoredRow& row, int64_t n, float* out) {
    decode_panel_row<unpack_q8, kQ8BlockBytes, true>(row, n, out);
}

}  // namespace nereus
