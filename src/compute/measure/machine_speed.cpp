#include "compute/machine_speed.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "base/units.h"
#include "compute/roof.h"
#include "tensor/random.h"

namespace nereus {
namespace {

using enum FormatId;

constexpr FormatId kCommonFormats[] = {kF32, kBf16, kFp8Block128, kQ8,  kQ4,
                                       kQ2,  kQ8_0, kQ4_0,        kQ4K, kQ6K};

/// Rows an expert meets: one in decode, some in a prefill chunk, all of it in a dense matrix.
constexpr int64_t kRows[] = {1, 4, 16, 64, 256};
constexpr int64_t kCols = 2048;
/// One row has to come from memory; more rows use a weight often enough to take less of it.
constexpr int64_t kMemoryBytes = 64 << 20;
constexpr int64_t kManyRowsBytes = 4 << 20;

struct AttentionShape {
    bool latent;
    KvFormat cache;
    int64_t n_queries;
    int64_t n_heads, n_kv_heads, key, value;

    KvRows rows() const {
        return {cache, latent ? key : n_kv_heads * (key + value), latent ? value : 0};
    }
    double multiply_adds(int64_t n_rows) const {
        return static_cast<double>(n_queries * n_heads * n_rows * (key + value));
    }
};
/// V2-Lite's attention, and Llama 8B's.
constexpr AttentionShape kAttentions[] = {
    {true, KvFormat::kF32, 1, 16, 0, 576, 512},  {true, KvFormat::kF32, 64, 16, 0, 576, 512},
    {true, KvFormat::kInt8, 1, 16, 0, 576, 512}, {true, KvFormat::kInt8, 64, 16, 0, 576, 512},
    {false, KvFormat::kF32, 1, 32, 8, 128, 128}, {false, KvFormat::kF32, 64, 32, 8, 128, 128}};
constexpr int64_t kCachedRows = 1024;

/// Small numbers of either sign.
std::vector<float> some_floats(int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(i * 7919 % 2001) / 1000.0F - 1.0F;
    }
    return values;
}

/// Random weights of one format, used as a matrix of all or of the first rows.
class Matrix {
  public:
    Matrix(ThreadPool& pool, FormatId id) : format_(format_of(id)) {
        rows_ = rows_of(kMemoryBytes);
        const auto n = static_cast<uint64_t>(format_.matrix_bytes(rows_, kCols));
        const auto piece = static_cast<uint64_t>(format_.matrix_bytes(rows_of(kMiB), kCols));
        bytes_.resize(n);
        pool.parallel_for(static_cast<int64_t>(ceil_div(n, piece)), 1, [&](int64_t i, int64_t) {
            const uint64_t begin = static_cast<uint64_t>(i) * piece;
            fill(id, begin, std::span(bytes_).subspan(begin, std::min(piece, n - begin)));
        });
        scales_.assign(static_cast<size_t>(ceil_div<int64_t>(rows_, 128) * (kCols / 128)), 0.01F);
    }

    Weight weight(int64_t n_bytes) const {
        Weight weight{&format_, std::min(rows_, rows_of(n_bytes)), kCols, bytes_.data(),
                      format_.stride_bytes(kCols)};
        if (format_.id == kFp8Block128) {
            weight.scales = scales_.data();
            weight.scale_stride = kCols / 128;
        }
        return weight;
    }

  private:
    /// Formats that fill_random does not know get bytes that are small finite numbers as half
    /// floats and as bf16: 0x2c2c is 0.06 and 2e-12.
    static void fill(FormatId id, uint64_t stream, std::span<std::byte> out) {
        if (can_fill_random(id)) {
            fill_random(id, 0.02, 1, stream, out);
            return;
        }
        for (size_t i = 0; i < out.size(); ++i) {
            out[i] = static_cast<std::byte>((stream + i) * 0x9e3779b97f4a7c15ULL >> 40 & 0x2c);
        }
    }
    /// Whole groups of 128 rows.
    int64_t rows_of(int64_t n_bytes) const {
        return std::max<int64_t>(1, n_bytes / format_.matrix_bytes(128, kCols)) * 128;
    }

    const Format& format_;
    int64_t rows_ = 0;
    std::vector<std::byte> bytes_;
    std::vector<float> scales_;
};

ProductSpeed measure_product(Backend& backend, const Matrix& matrix, int64_t n_rows,
                             double seconds) {
    const Weight weight = matrix.weight(n_rows == 1 ? kMemoryBytes : kManyRowsBytes);
    const std::vector<float> x = some_floats(n_rows * kCols);
    std::vector<float> out(static_cast<size_t>(n_rows * weight.rows));
    MatmulTask task;
    task.weight = weight;
    task.x = {x.data(), n_rows, kCols, kCols};
    task.out = {out.data(), n_rows, weight.rows, weight.rows};
    const auto n_weights = static_cast<double>(weight.rows * kCols);
    const Rate rate = measure_rate(n_weights, 2, seconds, [&] { backend.matmul({&task, 1}); });
    return {weight.format->id, n_rows, 1 / rate.median};
}

/// Rows of a cache, filled by the backend.
class CachedRows {
  public:
    CachedRows(Backend& backend, const KvRows& rows) : rows_(rows) {
        const auto page_bytes = static_cast<size_t>(rows.page_bytes(page_tokens()));
        bytes_.resize(page_bytes * static_cast<size_t>(ceil_div(kCachedRows, page_tokens())));
        std::vector<KvPlace> places;
        for (int64_t row = 0; row < kCachedRows; ++row) {
            std::byte* const page =
                bytes_.data() + page_bytes * static_cast<size_t>(row / page_tokens());
            places.push_back({page, row % page_tokens()});
            if (row % page_tokens() == 0) {
                pages_.push_back(page);
            }
        }
        const std::vector<float> x = some_floats(kCachedRows * rows.width);
        backend.append_kv({{x.data(), kCachedRows, rows.width, rows.width}, places, rows});
    }
    PagedRows view() const {
        return {pages_.data(), page_tokens(), rows_.width, kCachedRows, rows_.format};
    }

  private:
    int64_t page_tokens() const { return kv_format_row(rows_.format).page_tokens; }

    KvRows rows_;
    std::vector<std::byte> bytes_;
    std::vector<const std::byte*> pages_;
};

AttentionSpeed measure_attention(Backend& backend, const AttentionShape& shape, double seconds) {
    const CachedRows cache(backend, shape.rows());
    const std::vector<PagedRows> visible(static_cast<size_t>(shape.n_queries), cache.view());
    const int64_t q_cols = shape.n_heads * shape.key;
    const int64_t out_cols = shape.n_heads * shape.value;
    const std::vector<float> q = some_floats(shape.n_queries * q_cols);
    std::vector<float> out(static_cast<size_t>(shape.n_queries * out_cols));
    const ConstRows q_rows{q.data(), shape.n_queries, q_cols, q_cols};
    const Rows out_rows{out.data(), shape.n_queries, out_cols, out_cols};
    const Rate rate = measure_rate(shape.multiply_adds(kCachedRows), 2, seconds, [&] {
        if (shape.latent) {
            backend.attend_latent({q_rows, out_rows, visible, shape.n_heads, shape.value,
                                   shape.key - shape.value, 0.05F});
        } else {
            backend.attend_grouped({q_rows, out_rows, visible, shape.n_heads, shape.n_kv_heads,
                                    shape.key, shape.value, 0.05F});
        }
    });
    return {shape.latent, shape.cache, shape.n_queries, rate.median};
}

/// Norms, additions and small products: what a layer does beside its big products.
double measure_verb(Backend& backend, double seconds) {
    const std::vector<float> x = some_floats(kCols);
    std::vector<float> out(x);
    const ConstRows in{x.data(), 1, kCols, kCols};
    const Rows to{out.data(), 1, kCols, kCols};
    constexpr int kCalls = 100;
    const Rate rate = measure_rate(2 * kCalls, 2, seconds, [&] {
        for (int i = 0; i < kCalls; ++i) {
            backend.rms_norm(in, x.data(), 1e-6F, to);
            backend.swiglu(in, in, to);
        }
    });
    return 1 / rate.median;
}

/// Seconds at `at` between two measured points (n, seconds) on a straight line of logarithms.
double between(double at, double n0, double s0, double n1, double s1) {
    const double part = std::log(at / n0) / std::log(n1 / n0);
    return s0 * std::pow(s1 / s0, part);
}

Result<double> positive(const Json& json, const char* key, const std::string& origin) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number() || !(found->get<double>() > 0)) {
        return make_error(ErrorCode::kCorrupt, "{}: \"{}\": expected a positive number, found {}",
                          origin, key, found == json.end() ? "nothing" : dump_json(*found));
    }
    return found->get<double>();
}

Result<const Json*> list(const Json& json, const char* key, const std::string& origin) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_array()) {
        return make_error(ErrorCode::kCorrupt, "{}: \"{}\": expected a list", origin, key);
    }
    return &*found;
}

}  // namespace

std::span<const FormatId> common_formats() { return kCommonFormats; }

bool MachineSpeed::knows(FormatId format) const {
    return std::any_of(products.begin(), products.end(),
                       [&](const ProductSpeed& each) { return each.format == format; });
}

double MachineSpeed::weight_seconds(FormatId format, double n_rows) const {
    NEREUS_CHECK(!products.empty());
    NEREUS_CHECK(n_rows > 0);
    std::vector<ProductSpeed> points;  // by rows, as they were measured
    for (const ProductSpeed& each : products) {
        if (each.format == format) {
            points.push_back(each);
        }
    }
    if (points.empty()) {
        double slowest = 0;
        for (const ProductSpeed& each : products) {
            slowest = std::max(slowest, weight_seconds(each.format, n_rows));
        }
        return slowest;
    }
    if (n_rows <= static_cast<double>(points.front().n_rows)) {
        return points.front().weight_seconds;
    }
    for (size_t i = 1; i < points.size(); ++i) {
        if (n_rows <= static_cast<double>(points[i].n_rows)) {
            return between(n_rows, static_cast<double>(points[i - 1].n_rows),
                           points[i - 1].weight_seconds, static_cast<double>(points[i].n_rows),
                           points[i].weight_seconds);
        }
    }
    return points.back().weight_seconds * n_rows / static_cast<double>(points.back().n_rows);
}

double MachineSpeed::attention_seconds(bool latent, KvFormat cache, double n_queries,
                                       double multiply_adds) const {
    const AttentionSpeed* nearest = nullptr;
    const auto distance = [&](const AttentionSpeed& each) {
        return std::abs(std::log(n_queries / static_cast<double>(each.n_queries))) +
               (each.cache == cache ? 0 : 100);  // another format only where its own is missing
    };
    for (const AttentionSpeed& each : attention) {
        if (each.latent == latent && (nearest == nullptr || distance(each) < distance(*nearest))) {
            nearest = &each;
        }
    }
    NEREUS_CHECK(nearest != nullptr);
    return multiply_adds / nearest->multiply_adds_per_second;
}

MachineSpeed measure_machine(Backend& backend, std::span<const FormatId> formats,
                             double seconds_each, const MeasureProgress& progress) {
    MachineSpeed speed;
    speed.threads = backend.pool().n_threads();
    speed.isa = backend.isa();
    const auto n_steps = static_cast<double>(formats.size() + std::size(kAttentions) + 2);
    double done = 0;
    const auto step = [&] { progress(++done / n_steps); };
    Roof roof;
    measure_bandwidth(backend.pool(), RoofBuffer(), roof);
    speed.read_bytes_per_second = roof.bytes_per_second(speed.threads);
    step();
    for (const FormatId id : formats) {
        const Matrix matrix(backend.pool(), id);
        for (const int64_t n_rows : kRows) {
            speed.products.push_back(measure_product(backend, matrix, n_rows, seconds_each));
        }
        step();
    }
    for (const AttentionShape& shape : kAttentions) {
        speed.attention.push_back(measure_attention(backend, shape, seconds_each));
        step();
    }
    speed.verb_seconds = measure_verb(backend, seconds_each);
    step();
    return speed;
}

Json machine_speed_json(const MachineSpeed& speed) {
    Json json = {{"threads", speed.threads},
                 {"isa", speed.isa},
                 {"read_gb_per_second", speed.read_bytes_per_second / 1e9},
                 {"verb_microseconds", speed.verb_seconds * 1e6},
                 {"products", Json::array()},
                 {"attention", Json::array()}};
    for (const ProductSpeed& each : speed.products) {
        json["products"].push_back({{"format", format_of(each.format).name},
                                    {"rows", each.n_rows},
                                    {"weight_nanoseconds", each.weight_seconds * 1e9}});
    }
    for (const AttentionSpeed& each : speed.attention) {
        json["attention"].push_back({{"latent", each.latent},
                                     {"cache", kv_format_row(each.cache).name},
                                     {"queries", each.n_queries},
                                     {"gmadd_per_second", each.multiply_adds_per_second / 1e9}});
    }
    return json;
}

Result<MachineSpeed> machine_speed_from_json(const Json& json, const std::string& origin) {
    MachineSpeed speed;
    speed.threads = static_cast<int>(NEREUS_TRY(positive(json, "threads", origin)));
    speed.isa = json.value("isa", "");
    speed.read_bytes_per_second = NEREUS_TRY(positive(json, "read_gb_per_second", origin)) * 1e9;
    speed.verb_seconds = NEREUS_TRY(positive(json, "verb_microseconds", origin)) / 1e6;
    for (const Json& row : *NEREUS_TRY(list(json, "products", origin))) {
        for (const Format& format : all_formats()) {
            if (row.value("format", "") == format.name) {
                speed.products.push_back(
                    {format.id, static_cast<int64_t>(NEREUS_TRY(positive(row, "rows", origin))),
                     NEREUS_TRY(positive(row, "weight_nanoseconds", origin)) / 1e9});
            }
        }
    }
    for (const Json& row : *NEREUS_TRY(list(json, "attention", origin))) {
        AttentionSpeed one;
        one.latent = row.value("latent", true);
        for (const KvFormatRow& format : kKvFormats) {
            one.cache = row.value("cache", "") == format.name ? format.format : one.cache;
        }
        one.n_queries = static_cast<int64_t>(NEREUS_TRY(positive(row, "queries", origin)));
        one.multiply_adds_per_second = NEREUS_TRY(positive(row, "gmadd_per_second", origin)) * 1e9;
        speed.attention.push_back(one);
    }
    if (speed.products.empty() || speed.attention.size() < std::size(kAttentions)) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: {} products and {} attentions measured; run "
                          "nereus doctor again",
                          origin, speed.products.size(), speed.attention.size());
    }
    return speed;
}

}  // namespace nereus
