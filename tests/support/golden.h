#pragma once
// Golden models for tests: opens a folder of tests/golden with its reference outputs.

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "model/model.h"
#include "weights/checkpoint.h"

namespace nereus::test {

inline std::string source_path(const std::string& relative) {
    return std::string(NEREUS_SOURCE_DIR) + "/" + relative;
}

/// The value, or a failed test that shows the message.
template <typename T>
T must(Result<T> result) {
    if (!result.ok()) {
        throw std::runtime_error(result.error().message);
    }
    return std::move(result).value();
}

/// The reference's tokens, logits and greedy continuation (tests/golden/README.md).
struct Golden {
    std::vector<int32_t> tokens, greedy;
    std::vector<float> logits;  ///< [n_tokens, vocab_size]
    double logits_std = 0;

    explicit Golden(const std::string& name) {
        const std::string folder = source_path("tests/golden/" + name);
        const Json json = must(
            parse_json(must(read_file(folder + "/golden.json", 1 << 20)), folder + "/golden.json"));
        tokens = json.at("tokens").get<std::vector<int32_t>>();
        greedy = json.at("greedy").get<std::vector<int32_t>>();
        logits_std = json.at("logits_std").get<double>();
        const std::string bytes = must(read_file(folder + "/logits.f32", 1 << 26));
        logits.resize(bytes.size() / sizeof(float));
        std::memcpy(logits.data(), bytes.data(), bytes.size());
    }
};

/// A model with all it needs alive.
struct Loaded {
    std::unique_ptr<ThreadPool> pool;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Checkpoint> checkpoint;
    std::unique_ptr<Model> model;
    std::unique_ptr<KvCache> cache;
};

inline Loaded load(const std::string& path, int n_threads = 1, const std::string& isa = "",
                   AttentionForm form = AttentionForm::kAbsorbed,
                   ActivationsChoice activations = ActivationsChoice::kOfFormat) {
    Loaded loaded;
    loaded.pool = std::make_unique<ThreadPool>(n_threads);
    loaded.backend = must(create_cpu_backend(*loaded.pool, isa, activations));
    loaded.checkpoint = must(open_checkpoint(source_path(path)));
    LoadOptions options;
    options.attention_form = form;
    loaded.model = must(load_model(*loaded.checkpoint, *loaded.backend, options));
    loaded.cache = must(KvCache::create(loaded.model->kv_spec(16384)));
    return loaded;
}

/// Feeds tokens to one sequence in chunks and returns the logits of every token.
inline std::vector<float> run_tokens(Loaded& loaded, int32_t slot,
                                     const std::vector<int32_t>& tokens, int64_t chunk) {
    std::vector<float> logits;
    for (size_t begin = 0; begin < tokens.size(); begin += static_cast<size_t>(chunk)) {
        const size_t end = std::min(tokens.size(), begin + static_cast<size_t>(chunk));
        Batch batch;
        const auto start = static_cast<int32_t>(loaded.cache->length(slot));
        for (size_t i = begin; i < end; ++i) {
            const auto offset = static_cast<int32_t>(i - begin);
            batch.tokens.push_back(tokens[i]);
            batch.positions.push_back(start + offset);
            batch.slots.push_back(slot);
            batch.logit_rows.push_back(offset);
        }
        const ConstRows out = must(loaded.model->forward(batch, *loaded.cache));
        for (int64_t i = 0; i < out.n_rows; ++i) {
            logits.insert(logits.end(), out.row(i), out.row(i) + out.n_cols);
        }
    }
    return logits;
}

inline std::vector<float> run_fresh(Loaded& loaded, const std::vector<int32_t>& tokens,
                                    int64_t chunk) {
    const int32_t slot = must(loaded.cache->add_sequence());
    std::vector<float> logits = run_tokens(loaded, slot, tokens, chunk);
    loaded.cache->remove_sequence(slot);
    return logits;
}

inline int32_t argmax(const float* row, int64_t n) {
    return static_cast<int32_t>(std::max_element(row, row + n) - row);
}

/// n greedy tokens after the prompt.
inline std::vector<int32_t> run_greedy(Loaded& loaded, const std::vector<int32_t>& prompt,
                                       size_t n) {
    const int64_t vocab = loaded.model->config().vocab_size;
    const int32_t slot = must(loaded.cache->add_sequence());
    std::vector<float> logits = run_tokens(loaded, slot, prompt, 64);
    std::vector<int32_t> out;
    while (out.size() < n) {
        out.push_back(argmax(logits.data() + logits.size() - static_cast<size_t>(vocab), vocab));
        logits = run_tokens(loaded, slot, {out.back()}, 1);
    }
    loaded.cache->remove_sequence(slot);
    return out;
}

inline double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    double worst = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        worst = std::isfinite(difference) ? std::max(worst, difference) : INFINITY;
    }
    return worst;
}

}  // namespace nereus::test
