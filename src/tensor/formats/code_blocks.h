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
#include "tensor/formats/row_lanes.h"

namespace nereus {

inline constexpr float kStepMax = 16.0F;
/// Magnitudes above it would leave int8 when a run is shifted by one offset.
inline constexpr float kFullScale = 126.0F;
/// No scale reaches further; the squares of larger errors would overflow and leave no best choice.
inline constexpr float kLargestNumber = 65504.0F * 127.0F;
/// Scales that are tried below it, and how far apart.
inline constexpr int kScales = 12;
inline constexpr float kApart = 3.0F;

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

/// Codes, steps and offsets of the 16 rows of a block.
template <int kBits, int kColumns>
class CodeSearch {
    using Layout = CodeLayout<kBits, kColumns>;
    static constexpr int64_t kRuns = kPanelColumns / kColumns;
    static constexpr float kTop = (1 << kBits) - 1;

    /// value = step * code + offset, of one run of columns.
    struct Lines {
        RowLanes step, offset;
    };
    /// The lines of all runs, in whole numbers of the rows' scales.
    struct Rounded {
        RowLanes scale;
        std::array<Lines, kRuns> runs;
    };
    /// A run's columns with their weights.
    struct Run {
        const RowLanes* values;
        const float* weights;
    };

  public:
    explicit CodeSearch(const PanelValues& from)
        : best_effort_(from.effort == EncodeEffort::kBest) {
        for (int64_t c = 0; c < kPanelColumns; ++c) {
            const auto at = static_cast<size_t>(c);
            weights_[at] = from.importance == nullptr ? 1.0F : from.importance[c];
            for (int64_t r = 0; r < kPanelRows; ++r) {
                values_[at].set(r, std::clamp(from.values[r * kPanelColumns + c], -kLargestNumber,
                                              kLargestNumber));
            }
        }
    }

    void store(std::byte* block) {
        const Rounded found = find();
        std::fill_n(block, Layout::kBytes, std::byte{0});
        for (int64_t r = 0; r < kPanelRows; ++r) {
            store_u16(block + 2 * r, f32_to_f16(found.scale[r]));
        }
        for (int64_t run = 0; run < kRuns; ++run) {
            store_lines(run, found.runs[static_cast<size_t>(run)], block);
            store_codes(run, real(found.scale, found.runs[static_cast<size_t>(run)]), block);
        }
    }

  private:
    Run run_of(int64_t run) const {
        return {values_.data() + run * kColumns, weights_.data() + run * kColumns};
    }

    // ---- lines of real numbers

    static RowLanes codes_of(const RowLanes& x, const Lines& line, const RowLanes& inverse) {
        return nearest(clamped((x - line.offset) * inverse, {}, RowLanes::all(kTop)));
    }

    /// What least squares need: sums over a run's columns.
    struct Sums {
        RowLanes w, wx, wxx, wq, wqq, wxq;  ///< weighted, of values x and codes q
    };

    static Sums sums_of_values(const Run& run) {
        Sums sums;
        for (int64_t c = 0; c < kColumns; ++c) {
            const RowLanes wx = run.values[c] * run.weights[c];
            sums.w = sums.w + RowLanes::all(run.weights[c]);
            sums.wx = sums.wx + wx;
            sums.wxx = sums.wxx + wx * run.values[c];
        }
        return sums;
    }

    static void add_codes(const Run& run, const Lines& line, Sums& sums) {
        const RowLanes inverse = inverses_of(line.step);
        sums.wq = sums.wqq = sums.wxq = {};
        for (int64_t c = 0; c < kColumns; ++c) {
            const RowLanes q = codes_of(run.values[c], line, inverse);
            const RowLanes wq = q * run.weights[c];
            sums.wq = sums.wq + wq;
            sums.wqq = sums.wqq + wq * q;
            sums.wxq = sums.wxq + wq * run.values[c];
        }
    }

    /// The least-squares lines through the codes that `line` gives, and the errors they leave;
    /// where codes or slopes allow none, `line` stays and its error counts as infinite.
    static RowLanes refine(const Run& run, Sums& sums, Lines& line) {
        add_codes(run, line, sums);
        const RowLanes determinant = sums.w * sums.wqq - sums.wq * sums.wq;
        const RowLanes slope = sums.w * sums.wxq - sums.wq * sums.wx;
        const RowLanes small = sums.w * sums.wqq * 1e-6F;
        const RowLanes usable = where_less(small, determinant, slope, {});
        const Lines next = line_of(sums, usable * inverses_of(determinant));
        const RowLanes error = sums.wxx - next.step * sums.wxq - next.offset * sums.wx;
        line.step = where_less({}, usable, next.step, line.step);
        line.offset = where_less({}, usable, next.offset, line.offset);
        return where_less({}, usable, error, RowLanes::all(kInfinite));
    }

    static Lines line_of(const Sums& sums, const RowLanes& step) {
        return {step, (sums.wx - step * sums.wq) * inverses_of(sums.w)};
    }

    static void keep_better(const RowLanes& error, const Lines& line, RowLanes& best_error,
                            Lines& best) {
        best.step = where_less(error, best_error, line.step, best.step);
        best.offset = where_less(error, best_error, line.offset, best.offset);
        best_error = least(error, best_error);
    }

    /// The whole width of the values and parts of it, each improved twice.
    Lines fit(const Run& run) const {
        RowLanes low = run.values[0], high = low;
        for (int64_t c = 1; c < kColumns; ++c) {
            low = least(low, run.values[c]);
            high = largest(high, run.values[c]);
        }
        Sums sums = sums_of_values(run);
        Lines best = starting_line(low, high, 1.0F);
        RowLanes best_error = RowLanes::all(kInfinite);
        for (const float part : {1.0F, 0.94F, 0.88F, 0.82F, 0.75F, 0.66F}) {
            Lines line = starting_line(low, high, part);
            refine(run, sums, line);
            const RowLanes error = refine(run, sums, line);
            keep_better(error, line, best_error, best);
            if (!best_effort_) {
                break;
            }
        }
        return best;
    }

    static Lines starting_line(const RowLanes& low, const RowLanes& high, float part) {
        const RowLanes step = (high - low) * (part / kTop);
        return {step, (low + high - step * kTop) * 0.5F};
    }

    // ---- lines in whole numbers of a scale

    static Lines real(const RowLanes& scale, const Lines& whole) {
        return {scale * whole.step, scale * whole.offset};
    }

    static RowLanes error_of(const Run& run, const Lines& line) {
        const RowLanes inverse = inverses_of(line.step);
        RowLanes sum;
        for (int64_t c = 0; c < kColumns; ++c) {
            const RowLanes code = codes_of(run.values[c], line, inverse);
            const RowLanes d = run.values[c] - (code * line.step + line.offset);
            sum = sum + d * d * run.weights[c];
        }
        return sum;
    }

    /// The line's step shifted by `more`, with the offset whose middle level is the line's, shifted
    /// by `up`, both as far as int8 allows.
    static Lines whole_of(const Lines& line, const RowLanes& inverse, float more, float up) {
        const RowLanes one = RowLanes::all(1.0F), far = RowLanes::all(1000.0F);
        const RowLanes most = RowLanes::all(kStepMax);
        const RowLanes near = nearest(clamped(line.step * inverse, one, most));
        const RowLanes step = clamped(near + RowLanes::all(more), one, most);
        const RowLanes middle = (line.offset + line.step * (kTop / 2.0F)) * inverse;
        const RowLanes offset =
            nearest(clamped(middle - step * (kTop / 2.0F), RowLanes::all(-1000.0F), far));
        return {step, clamped(offset + RowLanes::all(up), RowLanes::all(-128.0F),
                              RowLanes::all(127.0F) - step * kTop)};
    }

    /// The best whole lines of a run among the neighbours within `reach`, and their errors.
    RowLanes round_run(int64_t run, const RowLanes& scale, int reach, Lines& best) const {
        const RowLanes inverse = inverses_of(scale);
        RowLanes best_error = RowLanes::all(kInfinite);
        for (int more = -reach; more <= reach; ++more) {
            for (int up = -reach; up <= reach; ++up) {
                const Lines whole = whole_of(lines_[static_cast<size_t>(run)], inverse,
                                             static_cast<float>(more), static_cast<float>(up));
                keep_better(error_of(run_of(run), real(scale, whole)), whole, best_error, best);
            }
        }
        return best_error;
    }

    RowLanes round(const RowLanes& scale, int reach, Rounded& rounded) const {
        RowLanes errors;
        rounded.scale = scale;
        for (int64_t run = 0; run < kRuns; ++run) {
            errors = errors + round_run(run, scale, reach, rounded.runs[static_cast<size_t>(run)]);
        }
        return errors;
    }

    /// Fits every run; the largest magnitude of a row, for its scale.
    RowLanes fit_all() {
        RowLanes extent;
        for (int64_t run = 0; run < kRuns; ++run) {
            const Lines line = fit(run_of(run));
            lines_[static_cast<size_t>(run)] = line;
            extent = largest(extent, magnitude(line.offset));
            extent = largest(extent, magnitude(line.offset + line.step * kTop));
            extent = largest(extent, line.step * (kFullScale / (kStepMax - 0.25F)));
        }
        return extent;
    }

    /// The scale that brings a row's largest number to `full`, as f16 holds it.
    static RowLanes scales_for(const RowLanes& extent, float full) {
        RowLanes scale;
        for (int64_t r = 0; r < kPanelRows; ++r) {
            scale.set(r, f16_to_f32(f32_to_f16(std::min(extent[r] / full, 65504.0F))));
        }
        return scale;
    }

    Rounded find() {
        const RowLanes extent = fit_all();
        Rounded best, next;
        RowLanes best_error = round(scales_for(extent, kFullScale), 0, best);
        for (int i = 1; best_effort_ && i <= kScales; ++i) {
            const RowLanes scale = scales_for(extent, kFullScale - static_cast<float>(i) * kApart);
            const RowLanes error = round(scale, 0, next);
            best.scale = where_less(error, best_error, scale, best.scale);
            best_error = least(error, best_error);
        }
        if (best_effort_) {
            round(RowLanes(best.scale), 1, best);
        }
        return best;
    }

    // ---- bytes

    static void store_lines(int64_t run, const Lines& whole, std::byte* block) {
        for (int64_t r = 0; r < kPanelRows; ++r) {
            block[Layout::kSteps + (run * kPanelRows + r) / 2] |=
                static_cast<std::byte>((static_cast<int>(whole.step[r]) - 1) << (r % 2 * 4));
            block[Layout::kOffsets + run * kPanelRows + r] =
                static_cast<std::byte>(static_cast<int>(whole.offset[r]));
        }
    }

    void store_codes(int64_t run, const Lines& line, std::byte* block) const {
        const RowLanes inverse = inverses_of(line.step);
        for (int64_t c = run * kColumns; c < (run + 1) * kColumns; ++c) {
            const RowLanes codes = codes_of(values_[static_cast<size_t>(c)], line, inverse);
            const int64_t group = c / kPanelGroup;
            const auto shift = static_cast<int>(group % Layout::kGroupsPerChunk) * kBits;
            std::byte* chunk = block + Layout::kCodes +
                               group / Layout::kGroupsPerChunk * Layout::kChunkBytes +
                               c % kPanelGroup;
            for (int64_t r = 0; r < kPanelRows; ++r) {
                chunk[r * kPanelGroup] |=
                    static_cast<std::byte>(static_cast<int>(codes[r]) << shift);
            }
        }
    }

    static constexpr float kInfinite = std::numeric_limits<float>::max();

    bool best_effort_;
    std::array<float, kPanelColumns> weights_;
    std::array<RowLanes, kPanelColumns> values_;  ///< by column
    std::array<Lines, kRuns> lines_;
};

template <int kBits, int kColumns>
void encode_codes(const PanelValues& from, std::byte* block) {
    CodeSearch<kBits, kColumns>(from).store(block);
}

}  // namespace nereus
