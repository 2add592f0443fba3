#include <CLI/CLI.hpp>

#include "apps/eval.h"
#include "apps/input.h"

namespace nereus {
namespace {

Status check_context(const ModelConfig& config, int64_t n_tokens) {
    if (n_tokens > config.max_position_embeddings) {
        return make_error(
            ErrorCode::kOutOfMemory,
            "{} tokens asked for; the model's context (max_position_embeddings) is {}", n_tokens,
            config.max_position_embeddings);
    }
    return {};
}

}  // namespace

Result<std::vector<int32_t>> read_prompt(const std::string& path, const ModelConfig& config) {
    const Json json = NEREUS_TRY(read_json_array(path, "token ids"));
    std::vector<int32_t> ids = NEREUS_TRY(token_ids(json, config.vocab_size, path));
    if (ids.empty()) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected at least one token id", path);
    }
    return ids;
}

Result<EvalSequence> EvalSequence::create(Model& model, int64_t n_tokens) {
    NEREUS_TRY(check_context(model.config(), n_tokens));
    auto cache = NEREUS_TRY(KvCache::create(model.kv_spec(n_tokens)));
    const int32_t slot = NEREUS_TRY(cache->add_sequence());
    return EvalSequence(model, std::move(cache), slot);
}

Result<ConstRows> EvalSequence::feed(std::span<const int32_t> tokens, size_t n_logits) {
    Batch batch;
    for (size_t i = 0; i < tokens.size(); ++i) {
        batch.tokens.push_back(tokens[i]);
        batch.positions.push_back(n_fed_++);
        batch.slots.push_back(slot_);
        if (i + n_logits >= tokens.size()) {
            batch.logit_rows.push_back(static_cast<int32_t>(i));
        }
    }
    return model_->forward(batch, *cache_);
}

void EvalSequence::reset() {
    cache_->truncate(slot_, 0);
    n_fed_ = 0;
}

void add_model_and_tokens(CLI::App& app, std::string& model, std::string& tokens) {
    app.add_option("MODEL", model, "model folder or GGUF")->required();
    app.add_option("--tokens", tokens, "JSON array of ids; - for stdin")
        ->required()
        ->type_name("FILE");
}

}  // namespace nereus
