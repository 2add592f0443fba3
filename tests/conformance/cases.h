#pragma once
// What the conformance tests share: random weights of every format, inputs, and backends of every
// instruction set with any number of threads.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/floats.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "compute/backend.h"
#include "tensor/format.h"

namespace nereus::conformance {

/// Random floats in [-1, 1), the same for the same seed.
inline std::vector<float> random_floats(int64_t n, uint64_t seed) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        const uint64_t bits = random_bits(seed, i, 7);
        values[i] = static_cast<float>(static_cast<int64_t>(bits >> 40) - (1 << 23)) * 0x1p-23F;
    }
    return values;
}

/// A matrix with its bytes. Rows start at odd addresses: no alignment is promised to kernels.
class OwnedWeight {
  public:
    OwnedWeight(FormatId id, int64_t rows, int64_t cols, uint64_t seed) {
        const Format& format = format_of(id);
        const int64_t stride = format.row_bytes(cols) + (id == FormatId::kF32 ? 0 : 3);
        bytes_.resize(static_cast<size_t>(rows * stride + 1));
        for (int64_t r = 0; r < rows; ++r) {
            fill_row(format, cols, seed + static_cast<uint64_t>(r), bytes_.data() + 1 + r * stride);
        }
        scales_ = random_floats((rows + 255) / 128 * ((cols + 127) / 128), seed ^ 99);
        weight_ = {.format = &format,
                   .rows = rows,
                   .cols = cols,
                   .data = bytes_.data() + 1,
                   .row_stride_bytes = stride};
        if (id == FormatId::kFp8Block128) {
            weight_.scales = scales_.data();
            weight_.scale_stride = (cols + 127) / 128;
            weight_.scale_row_offset = 64;  // as a slice of a larger matrix has
        }
    }
    const Weight& get() const { return weight_; }

    /// Overwrites a block's half floats by small ones, now and then a subnormal or a zero.
    static void set_factors(FormatId id, std::byte* block, uint64_t seed) {
        struct Place {
            FormatId id;
            std::vector<int> offsets;
        };
        static const std::vector<Place> kPlaces = {
            {FormatId::kQ4_1, {0, 2}},  {FormatId::kQ5_0, {0}},  {FormatId::kQ5_1, {0, 2}},
            {FormatId::kQ2K, {80, 82}}, {FormatId::kQ3K, {108}}, {FormatId::kQ4K, {0, 2}},
            {FormatId::kQ5K, {0, 2}},   {FormatId::kQ6K, {208}}, {FormatId::kIq2Xxs, {0}},
            {FormatId::kIq4Nl, {0}},    {FormatId::kQ8_0, {0}},  {FormatId::kQ4_0, {0}}};
        for (const Place& place : kPlaces) {
            for (size_t k = 0; place.id == id && k < place.offsets.size(); ++k) {
                const uint64_t bits = random_bits(seed, k, 11);
                const float factor = static_cast<float>(bits % 2001) / 1000.0F - 1.0F;
                const float size = bits >> 60 == 0 ? 1e-7F : 0.02F;
                const uint16_t half = f32_to_f16(bits >> 60 == 1 ? 0.0F : factor * size);
                std::memcpy(block + place.offsets[k], &half, sizeof(half));
            }
        }
        if (id == FormatId::kMxfp4) {
            block[0] = static_cast<std::byte>(116 + random_bits(seed, 0, 11) % 12);
        }
    }

  private:
    /// Encodes random numbers where the format can, else makes random blocks with sane factors.
    static void fill_row(const Format& format, int64_t cols, uint64_t seed, std::byte* out) {
        const std::vector<float> values = random_floats(cols, seed);
        if (format.encode_row != nullptr) {
            format.encode_row(values.data(), cols, out);
            return;
        }
        for (int64_t i = 0; i < format.row_bytes(cols); ++i) {
            out[i] = static_cast<std::byte>(random_bits(seed, static_cast<uint64_t>(i), 3));
            if (is_fp8(format.id) && (std::to_integer<int>(out[i]) & 0x7f) == 0x7f) {
                out[i] = std::byte{0x3c};  // NaN has a test of its own
            }
        }
        for (int64_t b = 0; b < cols / format.block_elements && !is_fp8(format.id); ++b) {
            set_factors(format.id, out + b * format.block_bytes, seed + static_cast<uint64_t>(b));
        }
    }

    static bool is_fp8(FormatId id) {
        return id == FormatId::kF8E4m3 || id == FormatId::kFp8Block128;
    }

    std::vector<std::byte> bytes_;
    std::vector<float> scales_;
    Weight weight_;
};

/// A matrix of floats; NaN-free, and poisoned where nothing has been written.
struct Matrix {
    int64_t n_rows = 0;
    int64_t n_cols = 0;
    std::vector<float> values;

    static Matrix random(int64_t rows, int64_t cols, uint64_t seed) {
        return {rows, cols, random_floats(rows * cols, seed)};
    }
    static Matrix filled(int64_t rows, int64_t cols, float value) {
        return {rows, cols, std::vector<float>(static_cast<size_t>(rows * cols), value)};
    }
    Rows rows() { return {values.data(), n_rows, n_cols, n_cols}; }
    ConstRows read() const { return {values.data(), n_rows, n_cols, n_cols}; }
    const float* row(int64_t i) const { return values.data() + i * n_cols; }
};

/// Bit equality.
inline bool same_bits(const Matrix& a, const Matrix& b) {
    return a.values.size() == b.values.size() &&
           std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0;
}

/// A backend and the pool it runs on.
class Machine {
  public:
    Machine(const std::string& isa, int n_threads,
            ActivationsChoice activations = ActivationsChoice::kOfFormat)
        : pool_(n_threads) {
        auto made = create_cpu_backend(pool_, isa, activations);
        NEREUS_CHECK(made.ok());
        backend_ = std::move(made).value();
    }
    Backend* operator->() { return backend_.get(); }

  private:
    ThreadPool pool_;
    std::unique_ptr<Backend> backend_;
};

/// Formats whose rows lie by themselves; panel formats have cases of their own.
inline std::vector<FormatId> weight_formats() {
    std::vector<FormatId> ids;
    for (const Format& format : all_formats()) {
        if (format.decode_row != nullptr && format.panel == nullptr) {
            ids.push_back(format.id);
        }
    }
    return ids;
}

}  // namespace nereus::conformance
