#pragma once
// KvRows: how the rows of a layer's cache are stored, and where a row lies in its page. The cache
// (memory/) only sees pages of bytes; the backend writes and reads them.
//
//   f32    the numbers as they are
//   bf16   rounded to nearest even; attention multiplies them as floats
//   int8   of latent attention, for products of integers. A row's latent and its rope part are cut
//          into blocks of 128 columns; each is rounded as activations are (compute/cpu/int8.h):
//            largest = max |x|;  scale = largest / 127;  w8 = nearest even(x * (127 / largest))
//          What rounding leaves of the rope part, x - scale * w8, is rounded once more, in blocks of
//          their own: rotated keys have large columns beside small ones, and 8 bits of them alone
//          cost more than all else together (docs/decisions/0007). A page holds 128 rows, block
//          after block: 128 scales (f32), then the rows as 8 panels of 16: four neighbouring columns
//          of a row together, as w8 + 128. The last block of a part is padded to 64 or 128 columns.
//          V2 and V3: 512 + 64 + 64 columns and 6 scales, 664 bytes a row.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/units.h"

namespace nereus {

enum class KvFormat { kF32, kBf16, kInt8 };

struct KvFormatRow {
    KvFormat format;
    std::string_view name;
    int64_t page_tokens;  ///< int8: as many rows as a value product sums
};
inline constexpr KvFormatRow kKvFormats[] = {
    {KvFormat::kF32, "f32", 64}, {KvFormat::kBf16, "bf16", 64}, {KvFormat::kInt8, "int8", 128}};

constexpr const KvFormatRow& kv_format_row(KvFormat format) {
    return kKvFormats[static_cast<int>(format)];
}

/// Columns [column, column + n) of an int8 row, once; their scales begin `offset` bytes into the page.
struct KvBlock {
    static constexpr int64_t kColumns = 128;
    static constexpr int64_t kRows = 128;
    int64_t column = 0;
    int64_t n = 0;
    int64_t stored = 0;  ///< columns with padding, 64 or 128
    int64_t offset = 0;
    int64_t query = 0;          ///< the query's block that these columns meet
    bool is_remainder = false;  ///< what the block of `query` left

    constexpr int64_t codes() const { return offset + kRows * int64_t{sizeof(float)}; }
    constexpr int64_t end() const { return codes() + kRows * stored; }
};

/// The rows of one layer.
struct KvRows {
    KvFormat format = KvFormat::kF32;
    int64_t width = 0;   ///< numbers a row
    int64_t latent = 0;  ///< int8: the first columns, in blocks apart from the others

    constexpr int64_t latent_blocks() const { return ceil_div(latent, KvBlock::kColumns); }
    constexpr int64_t rope_blocks() const {
        return ceil_div(width - latent, KvBlock::kColumns);
    }
    constexpr int64_t query_blocks() const { return latent_blocks() + rope_blocks(); }
    constexpr int64_t n_blocks() const { return query_blocks() + rope_blocks(); }
    constexpr KvBlock block(int64_t index) const;
    /// Bytes of a page of kv_format_row(format).page_tokens rows.
    constexpr int64_t page_bytes(int64_t page_tokens) const;
    /// The same per row, for accounts of memory.
    constexpr int64_t row_bytes() const {
        const int64_t tokens = kv_format_row(format).page_tokens;
        return page_bytes(tokens) / tokens;
    }
};

constexpr KvBlock KvRows::block(int64_t index) const {
    constexpr int64_t kHalf = KvBlock::kColumns / 2;
    constexpr int64_t kScales = KvBlock::kRows * int64_t{sizeof(float)};
    const auto part_bytes = [](int64_t n_blocks, int64_t n) {
        return n_blocks * kScales + KvBlock::kRows * round_up<int64_t>(n, kHalf);
    };
    KvBlock block;
    block.is_remainder = index >= query_blocks();
    block.query = block.is_remainder ? index - rope_blocks() : index;
    const bool in_rope = block.query >= latent_blocks();
    const int64_t end = in_rope ? width : latent;
    const int64_t at = in_rope ? block.query - latent_blocks() : block.query;
    block.column = (in_rope ? latent : 0) + at * KvBlock::kColumns;
    block.n = end - block.column < KvBlock::kColumns ? end - block.column : KvBlock::kColumns;
    block.stored = round_up<int64_t>(block.n, kHalf);
    block.offset = (in_rope ? part_bytes(latent_blocks(), latent) : 0) +
                   (block.is_remainder ? part_bytes(rope_blocks(), width - latent) : 0) +
                   at * part_bytes(1, KvBlock::kColumns);
    return block;
}

constexpr int64_t KvRows::page_bytes(int64_t page_tokens) const {
    switch (format) {
        case KvFormat::kF32:
            return page_tokens * width * 4;
        case KvFormat::kBf16:
            return page_tokens * width * 2;
        case KvFormat::kInt8:
            break;
    }
    return block(n_blocks() - 1).end();
}

/// Row `row` of a page.
struct KvPlace {
    std::byte* page = nullptr;
    int64_t row = 0;
};

}  // namespace nereus
