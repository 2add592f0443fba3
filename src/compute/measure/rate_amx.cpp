// Rate kernels of AMX: tiles of 16 x 64 bytes, 2 x 2 tiles of sums over two tiles of x and two of
// weights. Weights lie as [panel][step][2 tiles], a tile as 16 rows of 16 outputs x 4 bytes; x as
// [step][2 tiles], a tile as 16 rows of 64 bytes.

#include <cpuid.h>
#include <immintrin.h>
#include <unistd.h>

#include "compute/measure/rate_loops.h"

namespace nereus {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileBytes = 1024;
constexpr int kXRows = 2 * kTileRows;

/// Linux gives the tiles to a process that asks (arch_prctl ARCH_REQ_XCOMP_PERM, XTILEDATA).
bool tiles_are_given() {
    constexpr long kArchPrctl = 158;  // of x86-64
    constexpr long kRequest = 0x1023;
    constexpr long kTileData = 18;
    return ::syscall(kArchPrctl, kRequest, kTileData) == 0;
}

/// Leaf 7: bit 24 AMX-TILE, 25 AMX-INT8, 22 AMX-BF16.
bool has_tiles(unsigned bit) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 24 & 1) != 0 &&
           (d >> bit & 1) != 0 && tiles_are_given();
}
bool has_int8() { return has_tiles(25); }
bool has_bf16() { return has_tiles(22); }

struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// Tiles 0-3 are sums (x tile, weight tile), 4 and 5 x, 6 and 7 weights.
void begin_tiles() {
    const TileConfig config;
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

void load_tiles(const std::byte* weights, const std::byte* x) {
    _tile_loadd(4, x, 64);
    _tile_loadd(5, x + kTileBytes, 64);
    _tile_loadd(6, weights, 64);
    _tile_loadd(7, weights + kTileBytes, 64);
}

/// out [32 rows][32 outputs] of 4 bytes.
void end_tiles(std::byte* out) {
    constexpr int kStride = 2 * kTileRows * 4;
    _tile_stored(0, out, kStride);
    _tile_stored(1, out + 64, kStride);
    _tile_stored(2, out + kTileRows * kStride, kStride);
    _tile_stored(3, out + kTileRows * kStride + 64, kStride);
}

void step_int8() {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
}

void step_bf16() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

template <void (*kStep)(), int kDepth>
int64_t register_tiles(int64_t n_steps) {
    alignas(64) std::byte operands[2 * kTileBytes];
    __builtin_memset(operands, 0x3c, sizeof(operands));  // 0.01 as bf16
    alignas(64) std::byte out[4 * kTileBytes];
    begin_tiles();
    load_tiles(operands, operands);
    for (int64_t n = 0; n < n_steps; ++n) {
        kStep();
    }
    end_tiles(out);
    _tile_release();
    asm volatile("" : : "r"(out) : "memory");
    return n_steps * 4 * kTileRows * kTileRows * kDepth;
}

template <void (*kStep)(), int kDepth>
void tile_product(const std::byte* weights, const std::byte* x, int64_t n_panels, std::byte* out) {
    for (int64_t panel = 0; panel < n_panels; ++panel) {
        begin_tiles();
        for (int64_t step = 0; step < kProductDepth / kDepth; ++step) {
            load_tiles(weights, x + step * 2 * kTileBytes);
            kStep();
            weights += 2 * kTileBytes;
        }
        end_tiles(out);
        out += 4 * kTileBytes;
    }
    _tile_release();
}

}  // namespace

const RateKernel kAmxInt8 = {"int8",
                             "amx tdpbssd",
                             has_int8,
                             16,
                             64,
                             kXRows,
                             1,
                             register_tiles<step_int8, 64>,
                             tile_product<step_int8, 64>};
const RateKernel kAmxBf16 = {"bf16",
                             "amx tdpbf16ps",
                             has_bf16,
                             16,
                             32,
                             kXRows,
                             2,
                             register_tiles<step_bf16, 32>,
                             tile_product<step_bf16, 32>};

}  // namespace nereus
