#pragma once
// Number formats: how a row of numbers is stored. One row of the table and one file in formats/ per
// format; everything else (loading, kernels, inspect) reads the table. decode_row is the
// specification of a format: every kernel's products equal the products of the decoded row.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nereus {

enum class FormatId : uint8_t {
    kF32,
    kF16,
    kBf16,
    kF8E4m3,
    kFp8Block128,
    kI32,
    kI64,
    kI16,
    kI8,
    kU8,
    kBool,
    kQ8_0,
    kQ4_0,
    kQ4_1,
    kQ5_0,
    kQ5_1,
    kQ2K,
    kQ3K,
    kQ4K,
    kQ5K,
    kQ6K,
    kIq2Xxs,
    kIq4Nl,
    kMxfp4,
    // Nereus' own, made for integer kernels: blocks of 16 rows (tensor/panel.h)
    kQ8,
    kQ4,
    kQ2,
    // recognised in files, never a weight
    kF64,
    kF8E5m2,
    kF8E8m0,
    kU16,
    kU32,
    kU64,
    kCount
};

/// One stored row of a matrix.
struct StoredRow {
    const std::byte* data = nullptr;  ///< no alignment is promised
    /// fp8_block128 only: this row's scales, one per 128 columns (ceil(n/128) of them).
    const float* scales = nullptr;
    /// Panel formats only: `data` is where the row's panel begins, this the row within it.
    int64_t row_in_panel = 0;
};

struct PanelFormat;
struct BlockIntegers;

/// What a product with a format rounds its activations to.
enum class Activations : uint8_t {
    kF32,           ///< nothing
    kPanels,        ///< int8, a scale per 128 columns (tensor/panel.h)
    kTurnedPanels,  ///< the same in the turned basis
    kInt8Per32,     ///< int8, a scale and a sum per 32 columns: llama.cpp's Q8_0 and Q8_1
    kInt8Per256,    ///< int8, a scale per 256 columns and sums of 16: llama.cpp's Q8_K
};

struct Format {
    FormatId id;
    std::string_view name;   ///< "bf16", "q4_k": the word in --json, errors and inspect
    int64_t block_elements;  ///< numbers per block; a row holds whole blocks (1 for plain types)
    int64_t block_bytes;
    /// Writes the n numbers of a row as float; n is a multiple of block_elements. Exact: each value
    /// is what the format's definition yields in float32 arithmetic. null: cannot be a weight.
    void (*decode_row)(const StoredRow& row, int64_t n, float* out);
    /// Rounds n floats into the format's bytes, for tests and converters; may be null.
    void (*encode_row)(const float* values, int64_t n, std::byte* out);
    /// How results are defined unless F32 activations are asked for (compute/backend.h).
    Activations activations = Activations::kF32;
    /// The integers of one block (tensor/block_integers.h), of formats that meet int8 per 32 or
    /// 256.
    void (*unpack_block)(const std::byte* block, BlockIntegers& out) = nullptr;
    /// Rows stored together as panels (tensor/panel.h); null: every row lies by itself.
    const PanelFormat* panel = nullptr;

    /// Bytes of a row of n numbers (n a multiple of block_elements). Formats without panels only.
    int64_t row_bytes(int64_t n) const { return n / block_elements * block_bytes; }
    /// Rows that lie together: 1, or a panel's 16.
    int64_t rows_together() const;
    /// Bytes of the rows that lie together, n columns.
    int64_t stride_bytes(int64_t n) const;
    /// Bytes of a whole matrix: panels are padded to whole rows and columns.
    int64_t matrix_bytes(int64_t rows, int64_t cols) const {
        return (rows + rows_together() - 1) / rows_together() * stride_bytes(cols);
    }
};

/// The row of `id`. Never fails.
const Format& format_of(FormatId id);

/// All rows, indexed by FormatId.
std::span<const Format> all_formats();

}  // namespace nereus
