#include "tensor/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/floats.h"
#include "base/rng.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

/// A fast sequence of bits (splitmix64) from one random start.
class Bits {
  public:
    Bits(uint64_t seed, uint64_t stream) : state_(random_bits(seed, stream, 0)) {}

    uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }

    void fill(std::span<std::byte> out) {
        while (!out.empty()) {
            const uint64_t bits = next();
            const size_t n = std::min(out.size(), sizeof(bits));
            std::memcpy(out.data(), &bits, n);
            out = out.subspan(n);
        }
    }

  private:
    uint64_t state_;
};

using Block = std::span<std::byte>;

void put_f16(Block block, size_t at, double value) {
    const uint16_t bits = f32_to_f16(static_cast<float>(value));
    std::memcpy(block.data() + at, &bits, sizeof(bits));
}

constexpr double kUniform = 1.7320508;  // half width of a uniform distribution of deviation 1

/// One of 2^16 levels of a uniform distribution around zero.
float uniform(uint64_t bits, double stddev) {
    const double unit = (static_cast<double>(bits & 0xffff) - 32767.5) / 32768.0;
    return static_cast<float>(unit * kUniform * stddev);
}

void fill_f32(Bits& bits, double stddev, Block out) {
    const float value = uniform(bits.next(), stddev);
    std::memcpy(out.data(), &value, sizeof(value));
}

/// Four values from 64 bits.
template <uint16_t (*kRound)(float)>
void fill_small(Bits& bits, double stddev, Block out) {
    const uint64_t all = bits.next();
    for (size_t i = 0; i < out.size() / 2; ++i) {
        const uint16_t value = kRound(uniform(all >> (16 * i), stddev));
        std::memcpy(out.data() + 2 * i, &value, sizeof(value));
    }
}

/// Exponents 8 to 11 of 15: 2 .. 30, no NaN.
void fill_fp8(Bits& bits, double, Block out) {
    bits.fill(out);
    for (std::byte& code : out) {
        code = (code & std::byte{0x9f}) | std::byte{0x40};
    }
}

/// d * int8: the deviation of 256 levels is 73.9.
void fill_q8_0(Bits& bits, double stddev, Block out) {
    bits.fill(out);
    put_f16(out, 0, stddev / 73.9);
}

/// d * (q - 16), q uniform in 0 .. 31; the sign of d alternates because the mean of q - 16 is -1/2.
void fill_q5_0(Bits& bits, double stddev, Block out) {
    bits.fill(out);
    put_f16(out, 0, (bits.next() % 2 == 0 ? 1 : -1) * stddev / 9.23);
}

/// d * scale * q - dmin * min, q uniform in 0 .. 15, all scales and mins 63: dmin = 7.5 d.
void fill_q4_k(Bits& bits, double stddev, Block out) {
    constexpr size_t kScales = 12;
    bits.fill(out);
    std::fill_n(out.data() + 4, kScales, std::byte{0xff});
    const double d = stddev / (63 * 4.61);
    put_f16(out, 0, d);
    put_f16(out, 2, 7.5 * d);
}

/// d * scale * (q - 32), q uniform in 0 .. 63, scales 64 of alternating sign.
void fill_q6_k(Bits& bits, double stddev, Block out) {
    constexpr size_t kScales = 192;
    bits.fill(out);
    for (size_t i = 0; i < 16; ++i) {
        out[kScales + i] = static_cast<std::byte>(i % 2 == 0 ? 64 : -64);
    }
    put_f16(out, 208, stddev / (64 * 18.47));
}

void put_panel_scales(Block block, double scale) {
    for (size_t r = 0; r < kPanelRows; ++r) {
        put_f16(block, 2 * r, scale);
    }
}

/// By how much turning back makes the deviation of turned numbers larger.
const double kTurnedGrowth = kTurnedWeight / std::sqrt(static_cast<double>(kPanelColumns));

/// w8 uniform in -127 .. 127.
void fill_q8(Bits& bits, double stddev, Block block) {
    bits.fill(block);
    for (std::byte& code : block.subspan(2 * kPanelRows)) {
        code |= static_cast<std::byte>(code == std::byte{0});
    }
    put_panel_scales(block, stddev / (73.6 * kTurnedGrowth));
}

/// Steps 14 and 16 by row and run, offsets that make the mean zero.
template <typename Layout>
void fill_codes(Bits& bits, double stddev, Block block) {
    bits.fill(block);
    constexpr int kTop = static_cast<int>(Layout::kLevels) - 1;
    for (int64_t i = 0; i < Layout::kRuns * kPanelRows; ++i) {
        std::byte& steps = block[static_cast<size_t>(Layout::kSteps + i / 2)];
        steps |= std::byte{0xdd};  // 14 or 16, less one
        const auto nibble = (static_cast<unsigned>(steps) >> (i % 2 * 4)) & 15U;
        const int step = static_cast<int>(nibble) + 1;
        block[static_cast<size_t>(Layout::kOffsets + i)] = static_cast<std::byte>(-step * kTop / 2);
    }
    const double levels = static_cast<double>(Layout::kLevels);
    put_panel_scales(block, stddev / (15.0 * std::sqrt((levels * levels - 1) / 12)));
}

struct RandomRow {
    FormatId format;
    int64_t unit_bytes;
    void (*fill)(Bits& bits, double stddev, Block unit);
};

constexpr RandomRow kRows[] = {
    {FormatId::kF32, 4, fill_f32},
    {FormatId::kF16, 2, fill_small<f32_to_f16>},
    {FormatId::kBf16, 2, fill_small<f32_to_bf16>},
    {FormatId::kFp8Block128, 1, fill_fp8},
    {FormatId::kQ8_0, 34, fill_q8_0},
    {FormatId::kQ5_0, 22, fill_q5_0},
    {FormatId::kQ4K, 144, fill_q4_k},
    {FormatId::kQ6K, 210, fill_q6_k},
    {FormatId::kQ8, kQ8BlockBytes, fill_q8},
    {FormatId::kQ4, Q4Layout::kBytes, fill_codes<Q4Layout>},
    {FormatId::kQ2, Q2Layout::kBytes, fill_codes<Q2Layout>},
};

const RandomRow* find(FormatId format) {
    for (const RandomRow& row : kRows) {
        if (row.format == format) {
            return &row;
        }
    }
    return nullptr;
}

}  // namespace

bool can_fill_random(FormatId format) { return find(format) != nullptr; }

int64_t random_unit_bytes(FormatId format) {
    const RandomRow* row = find(format);
    NEREUS_CHECK(row != nullptr);
    return row->unit_bytes;
}

void fill_random(FormatId format, double stddev, uint64_t seed, uint64_t stream,
                 std::span<std::byte> out) {
    const RandomRow* row = find(format);
    NEREUS_CHECK(row != nullptr);
    const auto unit = static_cast<size_t>(row->unit_bytes);
    NEREUS_CHECK(out.size() % unit == 0);
    // Small units are filled several at a time: one draw makes four bf16 or eight fp8.
    const size_t step = unit >= 8 ? unit : unit == 4 ? 4 : 8;
    Bits bits(seed, stream);
    while (!out.empty()) {
        const size_t n = std::min(out.size(), step);
        row->fill(bits, stddev, out.first(n));
        out = out.subspan(n);
    }
}

}  // namespace nereus
