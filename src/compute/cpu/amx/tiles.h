#pragma once
// The tiles of AMX: instructions and nothing else; wide/int8_tiles.h says what each must do. A
// tile's number is part of the instruction, and the compilers' intrinsics take it as a literal
// only, which no template can give: hence assembly.

#include <cstdint>

namespace nereus {
namespace {

struct AmxTiles {
    struct alignas(64) Config {
        uint8_t palette = 1;
        uint8_t start_row = 0;
        uint8_t reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };

    static void configure() {
        static constexpr Config kConfig;
        asm volatile("ldtilecfg %0" : : "m"(kConfig));
    }
    static void release() { asm volatile("tilerelease"); }

    template <int kTile>
    static void zero() {
        asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
    }
    template <int kTile>
    static void load(const void* p, int64_t stride) {
        asm volatile("tileloadd (%1,%2,1), %%tmm%c0"
                     :
                     : "i"(kTile), "r"(p), "r"(stride)
                     : "memory");
    }
    template <int kSums, int kX, int kWeights>
    static void dot() {
        asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kWeights));
    }
    template <int kTile>
    static void store(void* p, int64_t stride) {
        asm volatile("tilestored %%tmm%c0, (%1,%2,1)"
                     :
                     : "i"(kTile), "r"(p), "r"(stride)
                     : "memory");
    }
};

}  // namespace
}  // namespace nereus
