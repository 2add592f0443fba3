#include "bench/op_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/rng.h"
#include "base/units.h"
#include "tensor/format.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

/// Bytes of a matrix that no L3 cache of a few cores holds.
constexpr int64_t kBeyondCaches = int64_t{96} << 20;

/// Small numbers of either sign.
std::vector<float> random_floats(int64_t n, uint64_t seed) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(random_bits(seed, i, 0) % 2001) / 1000.0F - 1.0F;
    }
    return values;
}

bool is_panel_format(FormatId id) { return format_of(id).rows_together() > 1; }

/// Random bytes in which every block's half-float factor is small and finite: 0x1c.. and 0x2c.. are
/// 0.004 and 0.06.
void fill_blocks(std::vector<std::byte>& bytes) {
    for (size_t i = 0; i < bytes.size(); i += 8) {
        const uint64_t bits = random_bits(1, i, 0) & 0x2c2c2c2c2c2c2c2cU;
        std::memcpy(bytes.data() + i, &bits, std::min<size_t>(8, bytes.size() - i));
    }
}

/// One panel of random numbers again and again: not all bytes are a block of a panel format.
void fill_panels(const Format& format, int64_t cols, std::vector<std::byte>& bytes) {
    const std::vector<float> values = random_floats(kPanelRows * cols, 1);
    encode_panel(format, values.data(), cols, kPanelRows, cols, nullptr, EncodeEffort::kFast,
                 bytes.data());
    const auto panel = static_cast<size_t>(format.stride_bytes(cols));
    for (size_t at = panel; at < bytes.size(); at += panel) {
        std::memcpy(bytes.data() + at, bytes.data(), panel);
    }
}

struct StoredMatrix {
    std::vector<std::byte> bytes;
    std::vector<float> scales;
    Weight weight;

    StoredMatrix(FormatId id, int64_t rows, int64_t cols) {
        const Format& format = format_of(id);
        bytes.resize(static_cast<size_t>(format.matrix_bytes(rows, cols)));
        if (is_panel_format(id)) {
            fill_panels(format, cols, bytes);
        } else {
            fill_blocks(bytes);
        }
        scales = random_floats((rows + 127) / 128 * ((cols + 127) / 128), 2);
        weight = {&format, rows, cols, bytes.data(), format.stride_bytes(cols)};
        if (id == FormatId::kFp8Block128) {
            weight.scales = scales.data();
            weight.scale_stride = (cols + 127) / 128;
        }
    }
    StoredMatrix(const StoredMatrix&) = delete;
};

struct ProductShape {
    FormatId format = FormatId::kF32;
    int64_t rows = 0, cols = 0, n_tokens = 1;

    std::string name() const {
        return fmt::format("matmul/{}/{}x{}/{}", format_of(format).name, rows, cols, n_tokens);
    }
};

/// out = weight x for n_tokens.
OpCase product_case(const ProductShape& shape) {
    struct Data {
        StoredMatrix matrix;
        std::vector<float> x, out;
        explicit Data(const ProductShape& s)
            : matrix(s.format, s.rows, s.cols),
              x(random_floats(s.n_tokens * s.cols, 3)),
              out(static_cast<size_t>(s.n_tokens * s.rows)) {}
    };
    const auto data = std::make_shared<Data>(shape);
    OpCase result;
    result.name = shape.name();
    result.bytes = static_cast<double>(data->matrix.weight.n_bytes());
    result.multiply_adds = static_cast<double>(shape.rows * shape.cols * shape.n_tokens);
    result.number = is_panel_format(shape.format) ? "int8" : "f32";
    result.run = [=](Backend& backend) {
        const MatmulTask task = {.weight = data->matrix.weight,
                                 .x = {data->x.data(), shape.n_tokens, shape.cols, shape.cols},
                                 .out = {data->out.data(), shape.n_tokens, shape.rows, shape.rows}};
        backend.matmul({&task, 1});
    };
    result.answer = [=] { return data->out; };
    return result;
}

struct AttentionShape {
    int64_t n_heads = 0, n_kv_heads = 0;  ///< n_kv_heads 0: latent
    int64_t key = 0, value = 0;
    int64_t n_rows = 0, n_tokens = 1;
    KvFormat format = KvFormat::kF32;

    bool latent() const { return n_kv_heads == 0; }
    int64_t width() const { return latent() ? key : n_kv_heads * (key + value); }
    KvRows rows() const { return {format, width(), value}; }
    std::string name() const {
        return fmt::format("attend_{}/{}/{}x{}/{}/{}", latent() ? "latent" : "grouped",
                           kv_format_row(format).name, n_heads, key, n_rows, n_tokens);
    }
};

void fill_pages(Backend& backend, const AttentionShape& shape, const std::vector<float>& rows,
                std::vector<std::byte>& cache) {
    const int64_t page_tokens = kv_format_row(shape.format).page_tokens;
    std::vector<KvPlace> places;
    for (int64_t r = 0; r < shape.n_rows; ++r) {
        std::byte* page = cache.data() + r / page_tokens * shape.rows().page_bytes(page_tokens);
        places.push_back({page, r % page_tokens});
    }
    backend.append_kv(
        {{rows.data(), shape.n_rows, shape.width(), shape.width()}, places, shape.rows()});
}

/// Attention of n_tokens over the same n_rows cached rows.
OpCase attention_case(const AttentionShape& shape) {
    struct Data {
        std::vector<float> rows, q, out;
        std::vector<std::byte> cache;
        std::vector<const std::byte*> pages;
        bool is_filled = false;
    };
    auto data = std::make_shared<Data>();
    data->rows = random_floats(shape.n_rows * shape.width(), 4);
    data->q = random_floats(shape.n_tokens * shape.n_heads * shape.key, 5);
    data->out.resize(static_cast<size_t>(shape.n_tokens * shape.n_heads * shape.value));
    const int64_t page_tokens = kv_format_row(shape.format).page_tokens;
    const int64_t page_bytes = shape.rows().page_bytes(page_tokens);
    data->cache.resize(static_cast<size_t>(ceil_div(shape.n_rows, page_tokens) * page_bytes));
    for (size_t at = 0; at < data->cache.size(); at += static_cast<size_t>(page_bytes)) {
        data->pages.push_back(data->cache.data() + at);
    }
    OpCase result;
    result.name = shape.name();
    result.bytes = static_cast<double>(shape.n_rows * shape.rows().row_bytes());
    result.number = shape.format == KvFormat::kInt8 ? "int8" : "f32";
    result.multiply_adds = static_cast<double>(shape.n_tokens * shape.n_heads * shape.n_rows *
                                               (shape.key + shape.value));
    result.run = [=](Backend& backend) {
        const int64_t n_heads = shape.n_heads;
        if (!data->is_filled) {  // in the warm-up
            fill_pages(backend, shape, data->rows, data->cache);
            data->is_filled = true;
        }
        const std::vector<PagedRows> visible(
            static_cast<size_t>(shape.n_tokens),
            PagedRows{data->pages.data(), page_tokens, shape.width(), shape.n_rows, shape.format});
        const int64_t q_cols = n_heads * shape.key;
        const int64_t out_cols = n_heads * shape.value;
        const ConstRows q = {data->q.data(), shape.n_tokens, q_cols, q_cols};
        const Rows out = {data->out.data(), shape.n_tokens, out_cols, out_cols};
        if (shape.latent()) {
            backend.attend_latent(
                {q, out, visible, n_heads, shape.value, shape.key - shape.value, 0.1F});
        } else {
            backend.attend_grouped(
                {q, out, visible, n_heads, shape.n_kv_heads, shape.key, shape.value, 0.1F});
        }
    };
    result.answer = [=] { return data->out; };
    return result;
}

/// Verbs that read rows and write rows: two inputs, one output.
struct RowData {
    std::vector<float> x, y, out, gain;
    int64_t n_rows, n_cols;

    RowData(int64_t rows, int64_t cols)
        : x(random_floats(rows * cols, 6)),
          y(random_floats(rows * cols, 7)),
          out(x),
          gain(random_floats(cols, 8)),
          n_rows(rows),
          n_cols(cols) {}
    ConstRows in(const std::vector<float>& values) const {
        return {values.data(), n_rows, n_cols, n_cols};
    }
    Rows target() { return {out.data(), n_rows, n_cols, n_cols}; }
};

using RowVerb = std::function<void(Backend&, RowData&)>;

OpCaseRow row_case(const std::string& verb, int64_t n_rows, int64_t n_cols, int n_touched,
                   const RowVerb& body) {
    const std::string name = fmt::format("{}/{}/{}", verb, n_cols, n_rows);
    return {name, [=] {
                const auto data = std::make_shared<RowData>(n_rows, n_cols);
                OpCase result;
                result.name = name;
                result.bytes = static_cast<double>(n_touched * n_rows * n_cols * 4);
                result.run = [=](Backend& backend) { body(backend, *data); };
                result.answer = [=] { return data->out; };
                return result;
            }};
}

void rotate(Backend& backend, RowData& data) {
    constexpr int64_t kWidth = 64;
    const std::vector<int32_t> positions(static_cast<size_t>(data.n_rows), 0);
    data.out = data.x;  // in place: the same numbers every time
    RopeArgs args;
    args.x = data.target();
    args.head_stride = kWidth;
    args.n_heads = data.n_cols / kWidth;
    args.width = kWidth;
    args.positions = positions;
    args.cos = data.gain.data();
    args.sin = data.gain.data();
    backend.rope(args);
}

void route(Backend& backend, RowData& data) {
    constexpr int64_t kTopK = 8;
    RouterParams params;
    params.scoring = RouterScoring::kSigmoid;
    params.group_score = GroupScore::kTopTwoSum;
    params.n_group = 8;
    params.topk_group = 4;
    params.top_k = kTopK;
    std::vector<int32_t> ids(static_cast<size_t>(data.n_rows * kTopK));
    data.out.resize(ids.size());
    backend.route_experts(data.in(data.x), params, ids.data(), data.out.data());
}

void add_row_cases(std::vector<OpCaseRow>& cases) {
    for (const int64_t n : {1, 8, 512}) {
        cases.push_back(row_case("rms_norm", n, 7168, 2, [](Backend& backend, RowData& data) {
            backend.rms_norm(data.in(data.x), data.gain.data(), 1e-6F, data.target());
        }));
        cases.push_back(row_case("swiglu", n, 2048, 3, [](Backend& backend, RowData& data) {
            backend.swiglu(data.in(data.x), data.in(data.y), data.target());
        }));
        cases.push_back(row_case("rope", n, 128 * 64, 2, rotate));
        cases.push_back(row_case("router", n, 256, 1, route));
    }
}

OpCaseRow row_of(const ProductShape& shape) {
    return {shape.name(), [=] { return product_case(shape); }};
}

OpCaseRow row_of(const AttentionShape& shape) {
    return {shape.name(), [=] { return attention_case(shape); }};
}

}  // namespace

std::vector<OpCaseRow> all_op_cases() {
    std::vector<OpCaseRow> cases;
    constexpr int64_t kCols = 4096;
    for (const Format& format : all_formats()) {
        if (format.decode_row != nullptr) {
            const int64_t rows = kBeyondCaches / format.matrix_bytes(16, kCols) * 16 / 128 * 128;
            cases.push_back(row_of(ProductShape{format.id, rows, kCols, 1}));
        }
    }
    for (const FormatId id :
         {FormatId::kF32, FormatId::kBf16, FormatId::kFp8Block128, FormatId::kQ4K,
          FormatId::kIq2Xxs, FormatId::kQ8, FormatId::kQ4, FormatId::kQ2}) {
        for (const int64_t tokens : {2, 4, 8, 64, 512}) {
            cases.push_back(row_of(ProductShape{id, 4096, kCols, tokens}));
        }
    }
    // One expert of V2-Lite: it comes from memory alone and is small for its overhead.
    cases.push_back(row_of(ProductShape{FormatId::kQ4, 1408, 2048, 1}));
    cases.push_back(row_of(ProductShape{FormatId::kQ4, 2048, 1408, 1}));
    for (const int64_t tokens : {1, 8, 256}) {
        for (const KvFormatRow& row : kKvFormats) {
            cases.push_back(row_of(AttentionShape{128, 0, 576, 512, 4096, tokens, row.format}));
            cases.push_back(row_of(AttentionShape{16, 0, 576, 512, 4096, tokens, row.format}));
        }
        cases.push_back(row_of(AttentionShape{32, 4, 64, 64, 4096, tokens}));
    }
    add_row_cases(cases);
    return cases;
}

}  // namespace nereus
