// Repacking: rows arrive where the plan says, are rounded as their format says, and every thread,
// piece and importance gets what belongs to it. Whole models are packed in tests/golden.

#include "model/repack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "base/json.h"
#include "base/thread_pool.h"
#include "tests/support/tiny_model.h"

namespace nereus {
namespace {

using test::must;
using test::source_path;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Keeps the bytes of every tensor; starts at any blob, as a resumed writer does.
class MemoryWriter final : public PackWriter {
  public:
    MemoryWriter(const PackContent& content, size_t first_blob)
        : content_(content), blob_(first_blob) {}

    uint64_t n_bytes() const override { return 0; }
    uint64_t n_bytes_done() const override { return 0; }
    size_t next_blob() const override { return blob_; }
    Status append(std::span<const std::byte> bytes) override {
        if (fail_after-- == 0) {
            return make_error(ErrorCode::kIo, "the disk is full");
        }
        const PackTensor& tensor = content_.blobs[blob_].tensors[tensor_];
        std::vector<std::byte>& out = tensors[tensor.name];
        out.insert(out.end(), bytes.begin(), bytes.end());
        const Format& format = format_of(tensor.format);
        const auto whole =
            static_cast<size_t>(format.matrix_bytes(tensor.shape.rows(), tensor.shape.cols()));
        EXPECT_LE(out.size(), whole) << tensor.name;
        if (out.size() == whole && ++tensor_ == content_.blobs[blob_].tensors.size()) {
            tensor_ = 0;
            ++blob_;
        }
        return {};
    }
    Status finish() override { return {}; }

    std::map<std::string, std::vector<std::byte>> tensors;
    int fail_after = -1;

  private:
    const PackContent& content_;
    size_t blob_;
    size_t tensor_ = 0;
};

struct Packed {
    std::unique_ptr<Checkpoint> checkpoint;
    std::unique_ptr<Repack> repack;
};

Packed plan(const std::string& model, const char* recipe) {
    Packed packed;
    packed.checkpoint = must(open_checkpoint(source_path(model)));
    packed.repack = must(Repack::plan(*packed.checkpoint, *must(find_recipe(recipe)), "test"));
    return packed;
}

using Tensors = std::map<std::string, std::vector<std::byte>>;

Tensors written(const Packed& packed, const ImportanceOf& importance = nullptr, int threads = 1,
                size_t first_blob = 0) {
    MemoryWriter writer(packed.repack->content(), first_blob);
    ThreadPool pool(threads);
    const Status status = packed.repack->write(writer, pool, importance, [] {});
    EXPECT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(writer.next_blob(), packed.repack->content().blobs.size());
    return writer.tensors;
}

std::vector<float> as_floats(const std::vector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// Row r of a published tensor, decoded.
std::vector<float> source_row(const Checkpoint& checkpoint, const std::string& name, int64_t r) {
    const StoredTensor* tensor = checkpoint.find(name);
    EXPECT_NE(tensor, nullptr) << name;
    const Format& format = format_of(tensor->format);
    const int64_t cols = tensor->shape.cols();
    const float* scales =
        tensor->scales == nullptr ? nullptr : tensor->scales + r / 128 * ((cols + 127) / 128);
    std::vector<float> row(static_cast<size_t>(cols));
    format.decode_row({tensor->data.data() + r * format.row_bytes(cols), scales}, cols, row.data());
    return row;
}

TEST(Repack, without_rounding_every_row_is_the_row_of_its_source) {
    for (const char* model : {"tests/golden/v3_fp8", "tests/golden/qwen2",
                              "tests/data/gguf/v3-legacy.gguf", "tests/golden/v2_group"}) {
        const Packed packed = plan(model, "f32");
        const Tensors tensors = written(packed);
        int n_checked = 0;
        for (const ModelTensor& tensor : packed.repack->tensors()) {
            if (tensor.source != RowSource::kSame || tensor.role == TensorRole::kVector ||
                tensor.role == TensorRole::kRouter) {
                continue;
            }
            const auto values = as_floats(tensors.at(tensor.name));
            ASSERT_EQ(values.size(), static_cast<size_t>(tensor.rows * tensor.cols));
            for (const int64_t r : {int64_t{0}, tensor.rows / 2, tensor.rows - 1}) {
                const auto expected =
                    source_row(*packed.checkpoint, tensor.source_name, tensor.source_first + r);
                ASSERT_TRUE(
                    std::equal(expected.begin(), expected.end(), values.begin() + r * tensor.cols))
                    << model << " " << tensor.name << " row " << r;
            }
            ++n_checked;
        }
        EXPECT_GT(n_checked, 10) << model;
    }
}

TEST(Repack, key_heads_are_the_transposed_upper_rows_of_kv_b_and_value_heads_the_lower) {
    const Packed packed = plan("tests/golden/v3", "f32");
    const ModelConfig config = must(config_of(*packed.checkpoint));
    const Tensors tensors = written(packed);
    const std::string prefix = "model.layers.1.self_attn.";
    const auto keys = as_floats(tensors.at(prefix + "k_b_proj.weight"));
    const auto values = as_floats(tensors.at(prefix + "v_b_proj.weight"));
    const int64_t nope = config.qk_nope_head_dim;
    const int64_t rank = config.kv_lora_rank;
    const int64_t both = nope + config.v_head_dim;
    for (int64_t head = 0; head < config.num_attention_heads; ++head) {
        for (int64_t i = 0; i < both; ++i) {
            const auto row =
                source_row(*packed.checkpoint, prefix + "kv_b_proj.weight", head * both + i);
            for (int64_t l = 0; l < rank; ++l) {
                const float found = i < nope
                                        ? keys[static_cast<size_t>((head * rank + l) * nope + i)]
                                        : values[static_cast<size_t>(
                                              (head * config.v_head_dim + i - nope) * rank + l)];
                ASSERT_EQ(found, row[static_cast<size_t>(l)]) << head << " " << i << " " << l;
            }
        }
    }
}

TEST(Repack, norms_biases_and_the_routers_correction_stay_exact_in_every_recipe) {
    for (const Recipe& recipe : all_recipes()) {
        const Packed packed = plan("tests/golden/v3", std::string(recipe.name).c_str());
        const Tensors tensors = written(packed);
        for (const ModelTensor& tensor : packed.repack->tensors()) {
            if (tensor.role != TensorRole::kVector) {
                continue;
            }
            const auto stored = source_row(*packed.checkpoint, tensor.source_name, 0);
            EXPECT_EQ(as_floats(tensors.at(tensor.name)), stored) << recipe.name << tensor.name;
        }
    }
}

TEST(Repack, multi_token_prediction_is_left_out_and_counted) {
    const Packed packed = plan("tests/golden/v3", "q8");
    const ModelConfig config = must(config_of(*packed.checkpoint));
    const std::string mtp = fmt::format("model.layers.{}.", config.num_hidden_layers);
    int64_t n_mtp = 0;
    for (const StoredTensor& tensor : packed.checkpoint->tensors()) {
        n_mtp += tensor.name.starts_with(mtp) ? 1 : 0;
    }
    EXPECT_GT(n_mtp, 0);
    EXPECT_EQ(packed.repack->n_left_out(), n_mtp);
    for (const ModelTensor& tensor : packed.repack->tensors()) {
        EXPECT_FALSE(tensor.name.starts_with(mtp)) << tensor.name;
    }
    EXPECT_EQ(plan("tests/golden/qwen2", "q8").repack->n_left_out(), 0);
}

TEST(Repack, threads_do_not_change_a_byte) {
    for (const char* recipe : {"q8", "q4", "q2", "bf16"}) {
        const Packed packed = plan("tests/golden/v3", recipe);
        EXPECT_TRUE(written(packed, nullptr, 1) == written(packed, nullptr, 3)) << recipe;
    }
}

TEST(Repack, a_resumed_writer_gets_what_is_missing_and_nothing_else) {
    const Packed packed = plan("tests/golden/v3", "q4");
    const Tensors whole = written(packed);
    const auto& blobs = packed.repack->content().blobs;
    for (const size_t first : {size_t{1}, blobs.size() / 2, blobs.size() - 1}) {
        const Tensors rest = written(packed, nullptr, 2, first);
        std::set<std::string> expected;
        for (size_t b = first; b < blobs.size(); ++b) {
            for (const PackTensor& tensor : blobs[b].tensors) {
                expected.insert(tensor.name);
                EXPECT_TRUE(rest.at(tensor.name) == whole.at(tensor.name)) << tensor.name;
            }
        }
        EXPECT_EQ(rest.size(), expected.size());
    }
    EXPECT_TRUE(written(packed, nullptr, 1, blobs.size()).empty());
}

TEST(Repack, importance_is_asked_with_the_source_rows_of_matrices_only) {
    const Packed packed = plan("tests/golden/qwen2", "q4");
    std::mutex mutex;
    std::set<int64_t> widths;
    std::atomic<int> n_outside = 0;
    const ImportanceOf importance = [&](const std::byte* rows, int64_t cols) -> const float* {
        bool inside = false;
        for (const StoredTensor& tensor : packed.checkpoint->tensors()) {
            const bool here =
                rows >= tensor.data.data() && rows < tensor.data.data() + tensor.data.size();
            inside = inside || (here && tensor.shape.cols() == cols && tensor.shape.rank() == 2);
        }
        n_outside += inside ? 0 : 1;
        const std::lock_guard lock(mutex);
        widths.insert(cols);
        return nullptr;
    };
    written(packed, importance, 2);
    EXPECT_EQ(n_outside, 0);
    const ModelConfig config = must(config_of(*packed.checkpoint));
    EXPECT_TRUE(widths.contains(config.hidden_size));
    EXPECT_TRUE(widths.contains(config.intermediate_size));
}

double weighted_error(const Packed& packed, const Tensors& tensors, const std::string& name,
                      const std::vector<float>& importance) {
    double sum = 0;
    for (const ModelTensor& tensor : packed.repack->tensors()) {
        if (tensor.name != name) {
            continue;
        }
        const Format& format = format_of(FormatId::kQ4);
        std::vector<float> row(static_cast<size_t>(tensor.cols));
        for (int64_t r = 0; r < tensor.rows; ++r) {
            format.decode_row({tensors.at(name).data() + r / 16 * format.stride_bytes(tensor.cols),
                               nullptr, r % 16},
                              tensor.cols, row.data());
            const auto expected = source_row(*packed.checkpoint, tensor.source_name, r);
            for (size_t c = 0; c < row.size(); ++c) {
                const double d = static_cast<double>(row[c]) - expected[c];
                sum += d * d * importance[c];
            }
        }
    }
    return sum;
}

TEST(Repack, columns_of_importance_are_rounded_better) {
    const Packed packed = plan("tests/golden/qwen2", "q4");
    const std::string name = "model.layers.0.mlp.gate_proj.weight";
    const ModelConfig config = must(config_of(*packed.checkpoint));
    std::vector<float> importance(
        static_cast<size_t>(std::max(config.hidden_size, config.intermediate_size)), 1.0F);
    for (size_t c = 0; c < importance.size(); c += 5) {
        importance[c] = 500.0F;
    }
    const auto with = written(packed, [&](const std::byte*, int64_t) { return importance.data(); });
    const auto without = written(packed);
    const double error_without = weighted_error(packed, without, name, importance);
    ASSERT_GT(error_without, 0);
    EXPECT_LT(weighted_error(packed, with, name, importance), 0.8 * error_without);
}

TEST(Repack, the_writers_error_ends_it) {
    const Packed packed = plan("tests/golden/qwen2", "q8");
    for (const int n_appends : {0, 1, 7}) {
        MemoryWriter writer(packed.repack->content(), 0);
        writer.fail_after = n_appends;
        ThreadPool pool(1);
        const Status status = packed.repack->write(writer, pool, nullptr, [] {});
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(status.error().message, "the disk is full");
    }
}

TEST(Repack, progress_is_told_once_a_blob) {
    const Packed packed = plan("tests/golden/v3", "q8");
    MemoryWriter writer(packed.repack->content(), 0);
    ThreadPool pool(1);
    size_t n_told = 0;
    ASSERT_TRUE(packed.repack->write(writer, pool, nullptr, [&] { ++n_told; }).ok());
    EXPECT_EQ(n_told, packed.repack->content().blobs.size());
}

TEST(Repack, the_source_of_a_pack_tells_models_and_options_apart) {
    const auto source = [](const char* model, const char* options) {
        const auto checkpoint = must(open_checkpoint(source_path(model)));
        return must(Repack::plan(*checkpoint, *must(find_recipe("q8")), options))->content().source;
    };
    const std::string first = source("tests/golden/v3", "a");
    EXPECT_EQ(first, source("tests/golden/v3", "a"));
    EXPECT_NE(first, source("tests/golden/v3", "b"));
    EXPECT_NE(first, source("tests/golden/v3_norope", "a"));
}

Json dense_config() {
    return *parse_json(R"({"model_type": "qwen2", "vocab_size": 64, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "tie_word_embeddings": false})",
                       "test");
}

TEST(Repack, a_missing_tensor_and_a_wrong_shape_are_named_before_anything_is_written) {
    const auto message_after = [](const std::function<void(test::TinyModel&)>& change) {
        test::TinyModel tiny(dense_config(), 1);
        change(tiny);
        const test::TemporaryFolder folder;
        tiny.write_to(folder.path());
        const auto checkpoint = must(open_checkpoint(folder.path()));
        const auto repack = Repack::plan(*checkpoint, *must(find_recipe("q8")), "");
        return repack.ok() ? std::string() : repack.error().message;
    };
    EXPECT_EQ(message_after([](test::TinyModel&) {}), "");
    EXPECT_THAT(message_after([](test::TinyModel& tiny) {
                    tiny.tensors.erase("model.layers.0.mlp.up_proj.weight");
                }),
                HasSubstr("model.layers.0.mlp.up_proj.weight"));
    EXPECT_THAT(message_after(
                    [](test::TinyModel& tiny) { tiny.tensors["lm_head.weight"].shape = {32, 64}; }),
                AllOf(HasSubstr("lm_head.weight"), HasSubstr("[32, 64]")));
}

TEST(Repack, a_number_that_is_not_finite_is_refused_by_tensor_and_row) {
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
        test::TinyModel tiny(dense_config(), 1);
        auto& tensor = tiny.tensors["model.layers.0.mlp.down_proj.weight"];
        tensor.values[20 * 48 + 5] = bad;
        const test::TemporaryFolder folder;
        tiny.write_to(folder.path());
        const auto checkpoint = must(open_checkpoint(folder.path()));
        const auto repack = must(Repack::plan(*checkpoint, *must(find_recipe("q4")), ""));
        MemoryWriter writer(repack->content(), 0);
        ThreadPool pool(2);
        const Status status = repack->write(writer, pool, nullptr, [] {});
        ASSERT_FALSE(status.ok());
        EXPECT_THAT(status.error().message,
                    AllOf(HasSubstr("down_proj"), HasSubstr("from 16"), HasSubstr("not finite")));
    }
}

}  // namespace
}  // namespace nereus
