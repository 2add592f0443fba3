#pragma once
// Tiny models for tests: any configuration with random weights, written as a Hugging Face folder of
// one F32 safetensors file. The weights stay at hand for a reference to compute with.

#include <unistd.h>

#include <map>

#include "base/rng.h"
#include "tests/support/golden.h"

namespace nereus::test {

struct TinyTensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
};

/// A folder in the temporary directory, removed with its owner.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        static int counter = 0;
        path_ = std::filesystem::temp_directory_path() /
                fmt::format("nereus_tiny_{}_{}", ::getpid(), counter++);
        std::filesystem::create_directories(path_);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

/// A configuration and tensors of the right shapes; change either before open().
class TinyModel {
  public:
    TinyModel(Json config, uint64_t seed) : config_json(std::move(config)), seed_(seed) {
        config_ = must(config_from_json(config_json, "tiny"));
        add("model.embed_tokens.weight", {config_.vocab_size, config_.hidden_size}, 1.0);
        add_gain("model.norm.weight", config_.hidden_size);
        if (!config_.tie_word_embeddings) {
            add_matrix("lm_head.weight", config_.vocab_size, config_.hidden_size);
        }
        for (size_t i = 0; i < config_.layers.size(); ++i) {
            add_layer(fmt::format("model.layers.{}.", i), config_.layers[i]);
        }
    }

    const ModelConfig& config() const { return config_; }

    Loaded open(int n_threads = 1, int64_t max_tokens = 4096,
                AttentionForm form = AttentionForm::kAbsorbed,
                std::optional<KvFormat> cache = {}) const {
        Loaded loaded = open_checkpoint_only(n_threads);
        LoadOptions options;
        options.attention_form = form;
        options.cache = cache;
        loaded.model = must(load_model(*loaded.checkpoint, *loaded.backend, options));
        loaded.cache = must(KvCache::create(loaded.model->kv_spec(max_tokens)));
        return loaded;
    }

    /// What load_model says about the files, for tests of its errors.
    Error load_error(std::optional<KvFormat> cache = {}) const {
        const Loaded loaded = open_checkpoint_only(1);
        LoadOptions options;
        options.cache = cache;
        const auto model = load_model(*loaded.checkpoint, *loaded.backend, options);
        return model.ok() ? Error{ErrorCode::kCancelled, "the model was loaded"} : model.error();
    }

    /// config.json and model.safetensors into a folder that exists.
    void write_to(const std::filesystem::path& folder) const {
        must_write(folder / "config.json", dump_json(config_json));
        Json header = Json::object();
        std::string data;
        for (const auto& [name, tensor] : tensors) {
            const size_t begin = data.size();
            data.append(reinterpret_cast<const char*>(tensor.values.data()),
                        tensor.values.size() * sizeof(float));
            header[name] = {
                {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
        }
        std::string text = dump_json(header);
        text.resize((text.size() + 7) / 8 * 8, ' ');
        const uint64_t size = text.size();
        must_write(folder / "model.safetensors",
                   std::string(reinterpret_cast<const char*>(&size), 8) + text + data);
    }

    Json config_json;
    std::map<std::string, TinyTensor> tensors;

  private:
    Loaded open_checkpoint_only(int n_threads) const {
        write_to(folder_.path());
        Loaded loaded;
        loaded.pool = std::make_unique<ThreadPool>(n_threads);
        loaded.backend = must(create_cpu_backend(*loaded.pool, ""));
        loaded.checkpoint = must(open_checkpoint(folder_.path()));
        return loaded;
    }

    static void must_write(const std::filesystem::path& path, const std::string& bytes) {
        const Status written = write_file_atomic(path, bytes);
        EXPECT_TRUE(written.ok()) << written.error().message;
    }

    void add(const std::string& name, std::vector<int64_t> shape, double spread, double mean = 0) {
        TinyTensor tensor;
        tensor.shape = std::move(shape);
        int64_t n = 1;
        for (const int64_t dim : tensor.shape) {
            n *= dim;
        }
        const auto stream = static_cast<uint64_t>(tensors.size());
        for (int64_t i = 0; i < n; ++i) {
            const double unit = random_unit(seed_, stream, static_cast<uint64_t>(i));
            tensor.values.push_back(static_cast<float>(mean + spread * (2 * unit - 1)));
        }
        tensors[name] = std::move(tensor);
    }

    /// Spread so that outputs have about the size of inputs.
    void add_matrix(const std::string& name, int64_t rows, int64_t cols) {
        add(name, {rows, cols}, std::sqrt(3.0 / static_cast<double>(cols)));
    }
    void add_gain(const std::string& name, int64_t n) { add(name, {n}, 0.3, 1.0); }

    void add_mlp(const std::string& prefix, int64_t inner) {
        add_matrix(prefix + "gate_proj.weight", inner, config_.hidden_size);
        add_matrix(prefix + "up_proj.weight", inner, config_.hidden_size);
        add_matrix(prefix + "down_proj.weight", config_.hidden_size, inner);
    }

    void add_layer(const std::string& prefix, const LayerPlan& plan) {
        add_gain(prefix + "input_layernorm.weight", config_.hidden_size);
        add_gain(prefix + "post_attention_layernorm.weight", config_.hidden_size);
        if (plan.attention == AttentionKind::kLatent) {
            add_latent(prefix + "self_attn.");
        } else {
            add_grouped(prefix + "self_attn.");
        }
        if (plan.ffn == FfnKind::kDense) {
            add_mlp(prefix + "mlp.", config_.intermediate_size);
            return;
        }
        add_matrix(prefix + "mlp.gate.weight", config_.n_routed_experts, config_.hidden_size);
        if (config_.router.group_score == GroupScore::kTopTwoSum) {
            add(prefix + "mlp.gate.e_score_correction_bias", {config_.n_routed_experts}, 0.5);
        }
        for (int64_t e = 0; e < config_.n_routed_experts; ++e) {
            add_mlp(fmt::format("{}mlp.experts.{}.", prefix, e), config_.moe_intermediate_size);
        }
        if (config_.n_shared_experts > 0) {
            add_mlp(prefix + "mlp.shared_experts.",
                    config_.n_shared_experts * config_.moe_intermediate_size);
        }
    }

    void add_latent(const std::string& prefix) {
        const ModelConfig& c = config_;
        const int64_t q_rows = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
        if (c.q_lora_rank == 0) {
            add_matrix(prefix + "q_proj.weight", q_rows, c.hidden_size);
        } else {
            add_matrix(prefix + "q_a_proj.weight", c.q_lora_rank, c.hidden_size);
            add_gain(prefix + "q_a_layernorm.weight", c.q_lora_rank);
            add_matrix(prefix + "q_b_proj.weight", q_rows, c.q_lora_rank);
        }
        add_matrix(prefix + "kv_a_proj_with_mqa.weight", c.kv_lora_rank + c.qk_rope_head_dim,
                   c.hidden_size);
        add_gain(prefix + "kv_a_layernorm.weight", c.kv_lora_rank);
        add_matrix(prefix + "kv_b_proj.weight",
                   c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank);
        add_matrix(prefix + "o_proj.weight", c.hidden_size, c.num_attention_heads * c.v_head_dim);
    }

    void add_grouped(const std::string& prefix) {
        const ModelConfig& c = config_;
        const int64_t q_rows = c.num_attention_heads * c.head_dim;
        const int64_t kv_rows = c.num_key_value_heads * c.head_dim;
        add_matrix(prefix + "q_proj.weight", q_rows, c.hidden_size);
        add_matrix(prefix + "k_proj.weight", kv_rows, c.hidden_size);
        add_matrix(prefix + "v_proj.weight", kv_rows, c.hidden_size);
        add_matrix(prefix + "o_proj.weight", c.hidden_size, q_rows);
        if (c.attention_bias) {
            add(prefix + "q_proj.bias", {q_rows}, 0.5);
            add(prefix + "k_proj.bias", {kv_rows}, 0.5);
            add(prefix + "v_proj.bias", {kv_rows}, 0.5);
        }
    }

    TemporaryFolder folder_;
    ModelConfig config_;
    uint64_t seed_;
};

}  // namespace nereus::test
