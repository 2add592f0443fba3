#pragma once
// What the subcommands of eval share: ids from a file, and a model with one sequence of its cache.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/open.h"
#include "base/result.h"

namespace nereus {

/// Rows of a prefill chunk: 512 logit rows of V3 are 265 MB.
inline constexpr int64_t kLogitChunk = 512;
inline constexpr int64_t kEvalCountMax = 1 << 24;

/// The ids of a JSON file, at least one, all in the vocabulary.
Result<std::vector<int32_t>> read_prompt(const std::string& path, const ModelConfig& config);

/// Tokens of a window: context, or all n_tokens where context is 0.
inline size_t window_tokens(int64_t context, size_t n_tokens) {
    return context == 0 ? n_tokens : static_cast<size_t>(context);
}

/// A model and one sequence of its cache: ids in, logits out.
class EvalSequence {
  public:
    /// errors: out_of_memory (more tokens than the model's context)
    static Result<EvalSequence> create(Model& model, int64_t n_tokens);
    /// Logits of the last n_logits of these tokens. Valid until the next call.
    Result<ConstRows> feed(std::span<const int32_t> tokens, size_t n_logits);
    void reset();

  private:
    EvalSequence(Model& model, std::unique_ptr<KvCache> cache, int32_t slot)
        : model_(&model), cache_(std::move(cache)), slot_(slot) {}

    Model* model_;
    std::unique_ptr<KvCache> cache_;
    int32_t slot_;
    int32_t n_fed_ = 0;
};

/// Declares MODEL and --tokens.
void add_model_and_tokens(CLI::App& app, std::string& model, std::string& tokens);

CommandBody setup_eval_kl(CLI::App& app, const CommonOptions& common);

}  // namespace nereus
