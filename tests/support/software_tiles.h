#pragma once
// The software twin of AMX's tiles and lanes in plain C++ (src/compute/cpu/wide/int8_tiles.h), so
// that the kernels over them run on every CPU. The dot follows the manual's pseudocode of TDPBSUD:
// for each row m of the sums, each doubleword k of a's row, each n: four products of bytes.

#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "compute/cpu/int8.h"
#include "tensor/formats/panel_rows.h"

namespace nereus::test {

/// Eight tiles of 16 rows of 64 bytes, of one thread. Using them unconfigured ends the program, as
/// the instructions do.
struct SoftwareTiles {
    static constexpr int kRows = 16;
    static constexpr int kRowBytes = 64;
    static constexpr int kDoublewords = kRowBytes / 4;

    struct State {
        bool configured = false;
        uint8_t bytes[8][kRows][kRowBytes];
    };
    static State& state() {
        static thread_local State state;
        return state;
    }
    static auto& tile(int index) {
        NEREUS_CHECK(state().configured);
        return state().bytes[index];
    }

    /// Contents are zero after it, as after LDTILECFG.
    static void configure() { state() = State{.configured = true, .bytes = {}}; }
    static void release() { state().configured = false; }

    template <int kTile>
    static void zero() {
        std::memset(tile(kTile), 0, sizeof(State::bytes[0]));
    }
    template <int kTile>
    static void load(const void* p, int64_t stride) {
        for (int row = 0; row < kRows; ++row) {
            std::memcpy(tile(kTile)[row], static_cast<const char*>(p) + row * stride, kRowBytes);
        }
    }
    template <int kTile>
    static void store(void* p, int64_t stride) {
        for (int row = 0; row < kRows; ++row) {
            std::memcpy(static_cast<char*>(p) + row * stride, tile(kTile)[row], kRowBytes);
        }
    }
    template <int kSums, int kA, int kB>
    static void dot() {
        for (int m = 0; m < kRows; ++m) {
            int32_t sums[kDoublewords];
            std::memcpy(sums, tile(kSums)[m], kRowBytes);
            for (int k = 0; k < kDoublewords; ++k) {
                for (int n = 0; n < kDoublewords; ++n) {
                    sums[n] += four_products(&tile(kA)[m][4 * k], &tile(kB)[k][4 * n]);
                }
            }
            std::memcpy(tile(kSums)[m], sums, kRowBytes);
        }
    }

  private:
    static int32_t four_products(const uint8_t* a, const uint8_t* b) {
        int32_t sum = 0;
        for (int i = 0; i < 4; ++i) {
            sum += static_cast<int8_t>(a[i]) * int32_t{b[i]};
        }
        return sum;
    }
};

/// Sixteen lanes as arrays.
struct PlainLanes {
    static constexpr int kRows = 16;
    struct Ints {
        int32_t lanes[kRows];
    };
    struct Floats {
        float lanes[kRows];
    };

    template <typename Lanes, typename Number>
    static Lanes load(const Number* p) {
        Lanes v;
        std::memcpy(v.lanes, p, sizeof(v.lanes));
        return v;
    }
    static Ints load_ints(const int32_t* p) { return load<Ints>(p); }
    static Floats load_floats(const float* p) { return load<Floats>(p); }
    static void store(float* p, const Floats& v) { std::memcpy(p, v.lanes, sizeof(v.lanes)); }
    static Ints broadcast(int32_t value) {
        Ints v;
        for (int32_t& lane : v.lanes) {
            lane = value;
        }
        return v;
    }
    static Ints add(Ints a, const Ints& b) {
        for (int i = 0; i < kRows; ++i) {
            a.lanes[i] += b.lanes[i];
        }
        return a;
    }
    static Floats scale_add(const Ints& total, const Floats& scale, float x_scale, Floats sum) {
        for (int i = 0; i < kRows; ++i) {
            sum.lanes[i] = __builtin_fmaf(static_cast<float>(total.lanes[i]),
                                          scale.lanes[i] * x_scale, sum.lanes[i]);
        }
        return sum;
    }
};

/// A block as tables of vpdpbusd and tiles unpack it: w8 + 128 in panel order.
template <int kFormat>
void unpack_biased(const unsigned char* block, uint8_t* weights, float* scales) {
    int8_t values[kPanelRows * kPanelColumns];
    format_of(kPanelFormats[kFormat])
        .panel->unpack(reinterpret_cast<const std::byte*>(block), values, scales);
    for (int64_t row = 0; row < kPanelRows; ++row) {
        for (int64_t column = 0; column < kPanelColumns; ++column) {
            weights[panel_index(row, column)] =
                static_cast<uint8_t>(values[row * kPanelColumns + column] + 128);
        }
    }
}

}  // namespace nereus::test
