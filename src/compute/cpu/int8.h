#pragma once
// Activations as int8, and the integer kernels of the panel formats (tensor/panel.h); those of
// block formats are in int8_blocks.h.
//
// Rounding of activations, the same bits in every table: per row and 128 columns
//   largest = max |x|;  scale = largest / 127;  x8 = nearest even(x * (127 / largest))
// and scale = x8 = 0 where largest is 0. Missing columns of the last block are zeros. For panels x
// is turned first (turn_block) and scale = largest / (127 * kTurnedActivation).

#include <cstdint>

#include "tensor/panel.h"

namespace nereus {

/// Sums of a block's activations, for offsets of runs of columns: eight of 16 columns, then four of
/// 32. A sum is at most 32 * 127; two neighbours are what 16-bit products take.
inline constexpr int64_t kSumColumns = 16;
inline constexpr int64_t kSumsOf16 = kPanelColumns / kSumColumns;
inline constexpr int64_t kSumsPerBlock = kSumsOf16 + kSumsOf16 / 2;
/// Where the sums of runs of `columns` columns begin.
constexpr int64_t first_sum(int64_t columns) { return columns == kSumColumns ? 0 : kSumsOf16; }

/// Rounded activations, block by block: what one block of weights meets lies together.
struct Int8Rows {
    int8_t* values = nullptr;    ///< [n_blocks, n_rows, columns of a block]
    float* scales = nullptr;     ///< [n_blocks, n_rows]
    int16_t* sums = nullptr;     ///< panels: [n_blocks, n_rows, kSumsPerBlock]
    int32_t* totals = nullptr;   ///< panels: [n_blocks, n_rows], of all 128
    float* offsets = nullptr;    ///< blocks of 32: [n_blocks, n_rows]
    int16_t* sums_16 = nullptr;  ///< blocks of 256: [n_blocks, n_rows, 16], of 16 columns each
    int64_t n_rows = 0;
    int64_t n_blocks = 0;
};

/// Panels that a block product takes at a time, and that a piece of work is made of.
inline constexpr int64_t kPanelsTogether = 2;
inline constexpr int64_t kOutColumns = kPanelsTogether * kPanelRows;

/// Rows first .. first + n - 1 of the activations against one panel.
struct PanelDotArgs {
    const unsigned char* panel = nullptr;
    const Int8Rows* x = nullptr;
    int64_t first = 0;
    int64_t n = 0;         ///< at most Int8Kernels::direct_rows_max
    float* out = nullptr;  ///< [n, 16], overwritten
};

/// Room for an unpacked block: 2048 bytes of codes or weights and, where a table multiplies codes,
/// the steps and offsets as it wants them (avx2/int8_multiply.h).
inline constexpr int64_t kUnpackedBytes = kPanelRows * kPanelColumns + 12 * 64;

/// Tile instructions load whole tiles of rows of activations: this many may be read from any row
/// on; what lies behind the last row does not matter.
inline constexpr int64_t kReadableRows = 16;

/// All activations of a range against one block of several panels, unpacked.
struct BlockMultiplyArgs {
    const uint8_t* weights = nullptr;   ///< [n_panels, kUnpackedBytes] as `unpack` leaves them
    const float* scales = nullptr;      ///< [n_panels, 16]
    int64_t n_panels = 0;               ///< at most kPanelsTogether
    const int8_t* x = nullptr;          ///< [n_x, 128]
    const float* x_scales = nullptr;    ///< [n_x]
    const int16_t* x_sums = nullptr;    ///< [n_x, kSumsPerBlock]
    const int32_t* x_totals = nullptr;  ///< [n_x]
    int64_t n_x = 0;
    float* out = nullptr;  ///< [n_x, kOutColumns], added to
};

struct PanelKernels {
    /// The decode path: codes are unpacked in registers.
    void (*dot)(const PanelDotArgs& args);
    /// One block as `multiply` takes it, and its scales [16].
    void (*unpack)(const unsigned char* block, uint8_t* weights, float* scales);
    /// The prefill path; null: `dot` for any number of rows.
    void (*multiply)(const BlockMultiplyArgs& args);
    /// Activation rows up to which `dot` beats unpacking once for all.
    int64_t direct_rows_best;
};

inline constexpr FormatId kPanelFormats[] = {FormatId::kQ8, FormatId::kQ4, FormatId::kQ2};
inline constexpr int kPanelFormatCount = 3;

/// Index of a panel format among kPanelFormats.
constexpr int panel_index_of(FormatId id) {
    return static_cast<int>(id) - static_cast<int>(FormatId::kQ8);
}
static_assert(panel_index_of(FormatId::kQ2) == kPanelFormatCount - 1);

using RoundRow = void(const float* x, int64_t n, int64_t row, const Int8Rows& out);

/// What a table provides for panel formats; taken as a whole from the next slower table.
struct Int8Kernels {
    /// Rounds row `row` of x (n columns) into `out`: for caches as it is, for panels turned.
    RoundRow* round_row;
    RoundRow* round_turned_row;
    PanelKernels formats[kPanelFormatCount];  ///< by panel_index_of
    /// Around a thread's calls of `multiply`: the state of tiles. Null where there is none.
    void (*begin)();
    void (*end)();
    /// Activation rows `dot` takes at once.
    int64_t direct_rows_max;
};

/// Sets direct_rows_best of every format.
constexpr void set_direct_rows(Int8Kernels& kernels, int64_t q8, int64_t q4, int64_t q2) {
    kernels.formats[panel_index_of(FormatId::kQ8)].direct_rows_best = q8;
    kernels.formats[panel_index_of(FormatId::kQ4)].direct_rows_best = q4;
    kernels.formats[panel_index_of(FormatId::kQ2)].direct_rows_best = q2;
}

}  // namespace nereus
