#pragma once
// Packing, unpacking and rounding of panel blocks whose w8 = step * code + offset.
//
// The encoder minimises the (weighted) squared error in three steps: a line through each run of
// columns (step and offset as real numbers, several starts, least squares); a scale for the 128
// columns, such that all steps are near whole numbers (several candidates); step and offset of each
// run as integers around the line. On normal numbers 4 bits give 23.1 dB, as much as llama.cpp's
// Q4_K at the same 4.5 bits (23.0 dB), which has finer steps but no search over a shared scale.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tensor/formats/blocks.h"
#include "tensor/formats/panel_formats.h"
#include "tensor/formats/panel_rows.h"

namespace nereus {

inline constexpr int kStepMax = 16;
/// Magnitudes above it would leave int8 when a run is shifted by one offset.
inline constexpr float kFullScale = 126.0F;

/// Steps and offsets of one row's runs, and the scale they share.
template <int kRuns>
struct CodeRow {
    uint16_t scale_bits = 0;
    std::array<int, kRuns> step{};
    std::array<int, kRuns> offset{};
};

template <int kBits, int kColumns>
void unpack_codes(const std::byte* block, int8_t* values, float* scales) {
    using Layout = CodeLayout<kBits, kColumns>;
    for (int64_t r = 0; r < kPanelRows; ++r) {
        scales[r] = load_f16(block + 2 * r);
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            const int64_t run = c / kColumns;
            const uint8_t steps = load_u8(block + Layout::kSteps, (run * kPanelRows + r) / 2);
            const int step = nibble(steps, static_cast<int>(r % 2)) + 1;
            const int offset = load_i8(block + Layout::kOffsets, run * kPanelRows + r);
            const int64_t group = c / kPanelGroup;
            const int64_t at = group / Layout::kGroupsPerChunk * Layout::kChunkBytes +
                               r * kPanelGroup + c % kPanelGroup;
            const int shift = static_cast<int>(group % Layout::kGroupsPerChunk) * kBits;
            const int code =
                (load_u8(block + Layout::kCodes, at) >> shift) & (int{Layout::kLevels} - 1);
            values[r * kPanelColumns + c] = static_cast<int8_t>(step * code + offset);
        }
    }
}

template <int kBits, int kColumns>
void store_codes(int64_t r, const CodeRow<kPanelColumns / kColumns>& row, const int* codes,
                 std::byte* block) {
    using Layout = CodeLayout<kBits, kColumns>;
    store_u16(block + 2 * r, row.scale_bits);
    for (int64_t run = 0; run < Layout::kRuns; ++run) {
        const auto at = static_cast<size_t>(run);
        block[Layout::kSteps + (run * kPanelRows + r) / 2] |=
            static_cast<std::byte>((row.step[at] - 1) << (r % 2 * 4));
        block[Layout::kOffsets + run * kPanelRows + r] = static_cast<std::byte>(row.offset[at]);
    }
    for (int64_t c = 0; c < kPanelColumns; ++c) {
        const int64_t group = c / kPanelGroup;
        const int64_t at = group / Layout::kGroupsPerChunk * Layout::kChunkBytes + r * kPanelGroup +
                           c % kPanelGroup;
        const auto shift = static_cast<int>(group % Layout::kGroupsPerChunk) * kBits;
        block[Layout::kCodes + at] |= static_cast<std::byte>(codes[c] << shift);
    }
}

/// Nearest integer by the adder: |x| < 2^22. Vectorises without an instruction set of its own.
inline float nearest(float x) { return (x + 0x1.8p23F) - 0x1.8p23F; }

/// Codes, steps and offsets of one row.
template <int kBits, int kColumns>
class CodeSearch {
    static constexpr int kRuns = kPanelColumns / kColumns;
    static constexpr float kTop = (1 << kBits) - 1;

    struct Line {
        float step = 0;
        float offset = 0;
    };

  public:
    CodeSearch(const float* values, const float* weights, EncodeEffort effort)
        : values_(values), weights_(weights), best_effort_(effort == EncodeEffort::kBest) {}

    CodeRow<kRuns> find() {
        float largest = 0.0F;
        for (int run = 0; run < kRuns; ++run) {
            const Line line = fit(run);
            lines_[static_cast<size_t>(run)] = line;
            largest = std::max({largest, std::fabs(line.offset),
                                std::fabs(line.offset + kTop * line.step), line.step * 8.0F});
        }
        CodeRow<kRuns> best = round(scale_for(largest, kFullScale), false);
        float best_error = error_of(best);
        const int candidates = best_effort_ ? 12 : 0;
        for (int i = 1; i <= candidates && best_error > 0.0F; ++i) {
            const auto shrunk = static_cast<float>(i) * 3.0F;
            CodeRow<kRuns> next = round(scale_for(largest, kFullScale - shrunk), false);
            const float error = error_of(next);
            if (error < best_error) {
                best = next;
                best_error = error;
            }
        }
        return best_effort_ ? round(best.scale_bits, true) : best;
    }

    void codes_of(const CodeRow<kRuns>& row, int* codes) const {
        for (int run = 0; run < kRuns; ++run) {
            const auto at = static_cast<size_t>(run);
            const float scale = f16_to_f32(row.scale_bits);
            const float step = scale * static_cast<float>(row.step[at]);
            const float offset = scale * static_cast<float>(row.offset[at]);
            const float inverse = step == 0.0F ? 0.0F : 1.0F / step;
            for (int c = run * kColumns; c < (run + 1) * kColumns; ++c) {
                codes[c] = static_cast<int>(code_of(values_[c], offset, inverse));
            }
        }
    }

  private:
    static uint16_t scale_for(float largest, float full) {
        return f32_to_f16(std::min(largest / full, 65504.0F));
    }

    static float code_of(float value, float offset, float inverse) {
        return nearest(std::min(std::max((value - offset) * inverse, 0.0F), kTop));
    }

    float run_error(int run, float step, float offset) const {
        const float inverse = step == 0.0F ? 0.0F : 1.0F / step;
        float sum = 0.0F;
        std::array<float, kColumns> errors;
        for (int c = 0; c < kColumns; ++c) {
            const float value = values_[run * kColumns + c];
            const float d = value - (code_of(value, offset, inverse) * step + offset);
            errors[static_cast<size_t>(c)] = d * d * weights_[run * kColumns + c];
        }
        for (const float error : errors) {
            sum += error;
        }
        return sum;
    }

    /// The least-squares line through the codes that (step, offset) give.
    Line refine(int run, Line line) const {
        const float inverse = line.step == 0.0F ? 0.0F : 1.0F / line.step;
        float w = 0, wq = 0, wqq = 0, wx = 0, wxq = 0;
        for (int c = run * kColumns; c < (run + 1) * kColumns; ++c) {
            const float q = code_of(values_[c], line.offset, inverse);
            const float weight = weights_[c];
            w += weight;
            wq += weight * q;
            wqq += weight * q * q;
            wx += weight * values_[c];
            wxq += weight * values_[c] * q;
        }
        const float determinant = w * wqq - wq * wq;
        if (!(determinant > 1e-6F * w * wqq)) {
            return line;
        }
        const Line next{(w * wxq - wq * wx) / determinant, (wx * wqq - wq * wxq) / determinant};
        return next.step > 0.0F ? next : line;
    }

    Line fit(int run) const {
        const float* begin = values_ + static_cast<ptrdiff_t>(run) * kColumns;
        const auto [low, high] = std::minmax_element(begin, begin + kColumns);
        const float middle = (*low + *high) / 2.0F;
        Line best;
        float best_error = std::numeric_limits<float>::infinity();
        for (const float part : {1.0F, 0.94F, 0.88F, 0.82F, 0.75F, 0.66F}) {
            const float step = (*high - *low) * part / kTop;
            Line line{step, middle - step * kTop / 2.0F};
            line = refine(run, refine(run, line));
            const float error = run_error(run, line.step, line.offset);
            if (error < best_error) {
                best = line;
                best_error = error;
            }
            if (!best_effort_) {
                break;
            }
        }
        return best;
    }

    float error_of(const CodeRow<kRuns>& row) const {
        const float scale = f16_to_f32(row.scale_bits);
        float sum = 0.0F;
        for (int run = 0; run < kRuns; ++run) {
            const auto at = static_cast<size_t>(run);
            sum += run_error(run, scale * static_cast<float>(row.step[at]),
                             scale * static_cast<float>(row.offset[at]));
        }
        return sum;
    }

    /// The offset whose middle level is the line's, as far as int8 allows for this step.
    static int offset_for(const Line& line, float inverse, int step) {
        const float middle = (line.offset + line.step * kTop / 2.0F) * inverse;
        const float offset = middle - static_cast<float>(step) * kTop / 2.0F;
        const int top = 127 - step * static_cast<int>(kTop);
        return static_cast<int>(
            std::clamp(std::nearbyint(offset), -128.0F, static_cast<float>(top)));
    }

    CodeRow<kRuns> round(uint16_t scale_bits, bool around) const {
        CodeRow<kRuns> row;
        row.scale_bits = scale_bits;
        const float scale = f16_to_f32(scale_bits);
        const float inverse = scale == 0.0F ? 0.0F : 1.0F / scale;
        for (int run = 0; run < kRuns; ++run) {
            const Line& line = lines_[static_cast<size_t>(run)];
            const int nearest_step = static_cast<int>(std::nearbyint(
                std::clamp(line.step * inverse, 1.0F, static_cast<float>(kStepMax))));
            float best = std::numeric_limits<float>::infinity();
            const int reach = around ? 1 : 0;
            for (int step = std::max(1, nearest_step - reach);
                 step <= std::min(kStepMax, nearest_step + reach); ++step) {
                const int middle = offset_for(line, inverse, step);
                for (int offset = middle - reach; offset <= middle + reach; ++offset) {
                    if (offset < -128 || offset + step * static_cast<int>(kTop) > 127) {
                        continue;
                    }
                    const float error = run_error(run, scale * static_cast<float>(step),
                                                  scale * static_cast<float>(offset));
                    if (error < best) {
                        best = error;
                        row.step[static_cast<size_t>(run)] = step;
                        row.offset[static_cast<size_t>(run)] = offset;
                    }
                }
            }
        }
        return row;
    }

    const float* values_;
    const float* weights_;
    bool best_effort_;
    std::array<Line, kRuns> lines_{};
};

template <int kBits, int kColumns>
void encode_codes(const PanelValues& from, std::byte* block) {
    std::fill_n(block, CodeLayout<kBits, kColumns>::kBytes, std::byte{0});
    std::array<float, kPanelColumns> even;
    even.fill(1.0F);
    const float* weights = from.importance == nullptr ? even.data() : from.importance;
    for (int64_t r = 0; r < kPanelRows; ++r) {
        CodeSearch<kBits, kColumns> search(from.values + r * kPanelColumns, weights, from.effort);
        const auto row = search.find();
        std::array<int, kPanelColumns> codes;
        search.codes_of(row, codes.data());
        store_codes<kBits, kColumns>(r, row, codes.data(), block);
    }
}

}  // namespace nereus
