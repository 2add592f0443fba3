#include "tensor/format.h"

#include <array>

#include "base/check.h"
#include "tensor/formats/panel_formats.h"
#include "tensor/formats/rows.h"

namespace nereus {
namespace {

constexpr auto kPer32 = Activations::kInt8Per32;
constexpr auto kPer256 = Activations::kInt8Per256;

constexpr std::array kFormats = {
    Format{FormatId::kF32, "f32", 1, 4, decode_f32, encode_f32},
    Format{FormatId::kF16, "f16", 1, 2, decode_f16, encode_f16},
    Format{FormatId::kBf16, "bf16", 1, 2, decode_bf16, encode_bf16},
    Format{FormatId::kF8E4m3, "f8_e4m3", 1, 1, decode_f8_e4m3, nullptr},
    Format{FormatId::kFp8Block128, "fp8_block128", 1, 1, decode_fp8_block128, nullptr},
    // Integers are recognised, so that files holding them open; no weight is made of them.
    Format{FormatId::kI32, "i32", 1, 4, nullptr, nullptr},
    Format{FormatId::kI64, "i64", 1, 8, nullptr, nullptr},
    Format{FormatId::kI16, "i16", 1, 2, nullptr, nullptr},
    Format{FormatId::kI8, "i8", 1, 1, nullptr, nullptr},
    Format{FormatId::kU8, "u8", 1, 1, nullptr, nullptr},
    Format{FormatId::kBool, "bool", 1, 1, nullptr, nullptr},
    Format{FormatId::kQ8_0, "q8_0", 32, 34, decode_q8_0, encode_q8_0, kPer32, unpack_q8_0},
    Format{FormatId::kQ4_0, "q4_0", 32, 18, decode_q4_0, encode_q4_0, kPer32, unpack_q4_0},
    Format{FormatId::kQ4_1, "q4_1", 32, 20, decode_q4_1, nullptr, kPer32, unpack_q4_1},
    Format{FormatId::kQ5_0, "q5_0", 32, 22, decode_q5_0, nullptr, kPer32, unpack_q5_0},
    Format{FormatId::kQ5_1, "q5_1", 32, 24, decode_q5_1, nullptr, kPer32, unpack_q5_1},
    Format{FormatId::kQ2K, "q2_k", 256, 84, decode_q2_k, nullptr, kPer256, unpack_q2_k},
    Format{FormatId::kQ3K, "q3_k", 256, 110, decode_q3_k, nullptr, kPer256, unpack_q3_k},
    Format{FormatId::kQ4K, "q4_k", 256, 144, decode_q4_k, nullptr, kPer256, unpack_q4_k},
    Format{FormatId::kQ5K, "q5_k", 256, 176, decode_q5_k, nullptr, kPer256, unpack_q5_k},
    Format{FormatId::kQ6K, "q6_k", 256, 210, decode_q6_k, nullptr, kPer256, unpack_q6_k},
    Format{FormatId::kIq2Xxs, "iq2_xxs", 256, 66, decode_iq2_xxs, nullptr, kPer256, unpack_iq2_xxs},
    Format{FormatId::kIq4Nl, "iq4_nl", 32, 18, decode_iq4_nl, nullptr, kPer32, unpack_iq4_nl},
    Format{FormatId::kMxfp4, "mxfp4", 32, 17, decode_mxfp4, nullptr, kPer32, unpack_mxfp4},
    Format{FormatId::kQ8, "q8", 1, 0, decode_q8, nullptr, Activations::kTurnedPanels, nullptr,
           &kQ8Panel},
    Format{FormatId::kQ4, "q4", 1, 0, decode_q4, nullptr, Activations::kPanels, nullptr, &kQ4Panel},
    Format{FormatId::kQ2, "q2", 1, 0, decode_q2, nullptr, Activations::kPanels, nullptr, &kQ2Panel},
    Format{FormatId::kF64, "f64", 1, 8, nullptr, nullptr},
    Format{FormatId::kF8E5m2, "f8_e5m2", 1, 1, nullptr, nullptr},
    Format{FormatId::kF8E8m0, "f8_e8m0", 1, 1, nullptr, nullptr},
    Format{FormatId::kU16, "u16", 1, 2, nullptr, nullptr},
    Format{FormatId::kU32, "u32", 1, 4, nullptr, nullptr},
    Format{FormatId::kU64, "u64", 1, 8, nullptr, nullptr},
};

constexpr bool rows_are_in_order() {
    for (size_t i = 0; i < kFormats.size(); ++i) {
        if (static_cast<size_t>(kFormats[i].id) != i) {
            return false;
        }
    }
    return kFormats.size() == static_cast<size_t>(FormatId::kCount);
}
static_assert(rows_are_in_order(), "one row per FormatId, in its order");

}  // namespace

const Format& format_of(FormatId id) {
    NEREUS_CHECK(id < FormatId::kCount);
    return kFormats[static_cast<size_t>(id)];
}

std::span<const Format> all_formats() { return kFormats; }

}  // namespace nereus
