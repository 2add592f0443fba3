#pragma once
// What an array of numbers is: a shape and a view of rows. Shapes are given as [rows =
// out_features, cols = in_features], slowest dimension first, as in safetensors (GGUF's `ne` is
// reversed at load).

#include <cstdint>
#include <string>
#include <vector>

namespace nereus {

/// Dimensions, slowest first; rank 0 is a scalar.
struct Shape {
    std::vector<int64_t> dims;

    int rank() const { return static_cast<int>(dims.size()); }
    int64_t operator[](int i) const { return dims[static_cast<size_t>(i)]; }
    /// Product of all dimensions; sizes were checked when the file was read.
    int64_t n_elements() const;
    /// The fastest dimension; 1 for a scalar.
    int64_t cols() const { return dims.empty() ? 1 : dims.back(); }
    /// n_elements / cols.
    int64_t rows() const { return cols() == 0 ? 0 : n_elements() / cols(); }
    /// "[129280, 7168]"
    std::string to_string() const;
    bool operator==(const Shape&) const = default;
};

/// n_rows rows of n_cols floats, `stride` floats apart. Does not own.
struct Rows {
    float* data = nullptr;
    int64_t n_rows = 0;
    int64_t n_cols = 0;
    int64_t stride = 0;
    float* row(int64_t i) const { return data + i * stride; }
};

struct ConstRows {
    const float* data = nullptr;
    int64_t n_rows = 0;
    int64_t n_cols = 0;
    int64_t stride = 0;
    ConstRows() = default;
    ConstRows(const float* d, int64_t rows, int64_t cols, int64_t row_stride)
        : data(d), n_rows(rows), n_cols(cols), stride(row_stride) {}
    ConstRows(const Rows& r)  // NOLINT(google-explicit-constructor): reading is always allowed
        : data(r.data), n_rows(r.n_rows), n_cols(r.n_cols), stride(r.stride) {}
    const float* row(int64_t i) const { return data + i * stride; }
};

}  // namespace nereus
