// Routed and shared experts (models.md 4.3-4.5). A batch's rows are gathered by expert, so that
// each expert's weights are read once for all of them. Experts are computed as the bank has them:
// those in memory first, the others as they arrive from disk. A token's experts are summed in its
// own order of choice, so that its bits depend neither on its batch mates nor on who came first.
//
// Three products a layer, each as large as can be: a parallel section begins and ends with threads
// that wait (a few microseconds, of the 800 that a layer of V2-Lite takes to decode a token). The
// shared experts go along: their first half with the router, their second with the first routed
// experts' first. Where experts come from disk, asking for them is what hurries: the router goes
// alone, and the shared experts are computed while the drive reads.

#include "model/blocks/block.h"
#include "model/routing_source.h"

namespace nereus {
namespace {

struct SharedExpert {
    Weight gate, up, down;  ///< all shared experts stored as one MLP; empty when there are none
};

class ExpertFfn final : public FfnBlock {
  public:
    ExpertFfn(const ModelConfig& config, Weight router, const float* bias, SharedExpert shared,
              int64_t expert_bytes)
        : config_(config),
          router_(router),
          params_(config.router),
          shared_(shared),
          expert_bytes_(expert_bytes) {
        params_.selection_bias = bias;
    }

    Status run(const Pass& pass, ConstRows x, Rows out) override {
        const bool reads = pass.experts.reads_from_disk();
        const Rows shared = shared_rows(pass, x);
        pass.tasks.clear();
        if (!reads) {
            add_shared_first_half(pass, x, shared);
        }
        pass.tasks.push_back({router_, x, logits(pass, x)});
        pass.backend.matmul(pass.tasks);
        route(pass, x);
        group_by_expert(x.n_rows);
        pass.experts.observe(pass.layer, ids_, params_.top_k);
        pass.experts.request(pass.layer, used_);
        pass.tasks.clear();
        if (reads) {
            add_shared_first_half(pass, x, shared);
            pass.backend.matmul(pass.tasks);
        }
        finish_shared(shared, out, pass.tasks);
        if (reads) {
            pass.backend.matmul(pass.tasks);
            pass.tasks.clear();
        }
        const Rows results = NEREUS_TRY(run_routed(pass, x));
        pass.backend.combine_rows(results, slots_.data(), gates_.data(), params_.top_k, out);
        return {};
    }

    int64_t n_bytes() const override {
        return router_.n_bytes() + params_.top_k * expert_bytes_ +
               (shared_.gate.empty()
                    ? 0
                    : shared_.gate.n_bytes() + shared_.up.n_bytes() + shared_.down.n_bytes());
    }

  private:
    Rows logits(const Pass& pass, ConstRows x) const {
        return pass.scratch.rows(Scratch::kRouterLogits, x.n_rows, config_.n_routed_experts);
    }

    static MatmulTask gated(const Weight& gate, const Weight& up, ConstRows x, Rows gate_out,
                            Rows out) {
        return {.weight = up, .x = x, .out = out, .gate = gate, .gate_out = gate_out};
    }

    /// ids_ and gates_ [n_tokens, top_k].
    void route(const Pass& pass, ConstRows x) {
        const auto n = static_cast<size_t>(x.n_rows * params_.top_k);
        ids_.resize(n);
        gates_.resize(n);
        pass.backend.route_experts(logits(pass, x), params_, ids_.data(), gates_.data());
        if (pass.routing != nullptr) {
            pass.routing->choose(pass.layer, pass.batch, ids_, gates_);
        }
    }

    /// The shared experts' first half: [n_tokens, inner].
    Rows shared_rows(const Pass& pass, ConstRows x) const {
        return pass.scratch.rows(Scratch::kSharedUp, x.n_rows, shared_.up.rows);
    }
    void add_shared_first_half(const Pass& pass, ConstRows x, Rows inner) const {
        if (!shared_.gate.empty()) {
            const Rows gate = pass.scratch.rows(Scratch::kSharedGate, x.n_rows, shared_.gate.rows);
            pass.tasks.push_back(gated(shared_.gate, shared_.up, x, gate, inner));
        }
    }

    /// Sorts the (token, choice) pairs by expert: used_ lists the experts that occur, begins_ where
    /// each one's rows start, tokens_ the token of each row, slots_ the row of each pair.
    void group_by_expert(int64_t n_tokens) {
        counts_.assign(static_cast<size_t>(config_.n_routed_experts), 0);
        for (const int32_t id : ids_) {
            ++counts_[static_cast<size_t>(id)];
        }
        used_.clear();
        begins_.clear();
        int32_t begin = 0;
        for (size_t e = 0; e < counts_.size(); ++e) {
            if (counts_[e] > 0) {
                used_.push_back(static_cast<int32_t>(e));
                begins_.push_back(begin);
            }
            begin += std::exchange(counts_[e], begin);  // from here on: next row of expert e
        }
        begins_.push_back(begin);
        tokens_.resize(ids_.size());
        slots_.resize(ids_.size());
        for (int64_t pair = 0; pair < n_tokens * params_.top_k; ++pair) {
            const auto at = static_cast<size_t>(pair);
            const int32_t row = counts_[static_cast<size_t>(ids_[at])]++;
            tokens_[static_cast<size_t>(row)] = static_cast<int32_t>(pair / params_.top_k);
            slots_[at] = row;
        }
    }

    /// The rows that each expert meets, sorted by expert; one token's experts all meet its row.
    Rows gather(const Pass& pass, ConstRows x) const {
        const auto n = static_cast<int64_t>(tokens_.size());
        const Rows gathered = pass.scratch.rows(Scratch::kGathered, n, x.n_cols);
        pass.backend.gather_rows(x, tokens_, gathered);
        return gathered;
    }

    /// All chosen experts over their rows, [n_tokens * top_k, hidden_size] sorted by expert; and
    /// what is in tasks, along with the first of them.
    Result<Rows> run_routed(const Pass& pass, ConstRows x) {
        const auto n = static_cast<int64_t>(tokens_.size());
        const Rows results = pass.scratch.rows(Scratch::kExpertOut, n, x.n_cols);
        const Rows inner = pass.scratch.rows(Scratch::kUp, n, config_.moe_intermediate_size);
        const Rows gathered = x.n_rows > 1 ? gather(pass, x) : Rows{};
        while (true) {
            const std::span<const ReadyExpert> ready = NEREUS_TRY(pass.experts.next());
            if (ready.empty()) {
                return results;
            }
            add_first_half(pass, x, gathered, inner, ready);
            pass.backend.matmul(pass.tasks);
            pass.tasks.clear();
            for (const auto& [e, weights] : ready) {
                pass.tasks.push_back({weights.down, part(inner, e), part(results, e)});
            }
            pass.backend.matmul(pass.tasks);
            pass.tasks.clear();
        }
    }

    /// tasks: the shared experts' second half, or nothing; out is zero then.
    void finish_shared(Rows shared, Rows out, std::vector<MatmulTask>& tasks) const {
        tasks.clear();
        if (!shared_.gate.empty()) {
            tasks.push_back({shared_.down, shared, out});
            return;
        }
        for (int64_t i = 0; i < out.n_rows; ++i) {
            std::fill_n(out.row(i), out.n_cols, 0.0F);
        }
    }

    /// silu(gate x) * (up x) of these experts over their rows.
    void add_first_half(const Pass& pass, ConstRows x, Rows gathered, Rows inner,
                        std::span<const ReadyExpert> ready) const {
        const Rows gate = pass.scratch.rows(Scratch::kGate, inner.n_rows, inner.n_cols);
        for (const auto& [e, weights] : ready) {
            const ConstRows rows = x.n_rows > 1 ? part(gathered, e) : x;
            pass.tasks.push_back(
                gated(weights.gate, weights.up, rows, part(gate, e), part(inner, e)));
        }
    }

    /// The rows of the e-th used expert.
    Rows part(Rows x, size_t e) const {
        return {x.row(begins_[e]), begins_[e + 1] - begins_[e], x.n_cols, x.stride};
    }

    const ModelConfig& config_;
    Weight router_;
    RouterParams params_;
    SharedExpert shared_;
    int64_t expert_bytes_;
    std::vector<int32_t> ids_, counts_, used_, begins_, tokens_, slots_;
    std::vector<float> gates_;
};

/// One expert of a Hugging Face folder or a pack, or a slice of a GGUF's stack.
Result<Weight> bind_one(const Build& build, Part part, int64_t layer, int64_t expert, int64_t rows,
                        int64_t cols) {
    const std::string single = single_expert_name(part, build.kind, layer, expert);
    if (build.kind == CheckpointKind::kHuggingFace || build.experts.contains(single)) {
        return build.experts.matrix(single, rows, cols);
    }
    const std::string stack = tensor_name(part, build.kind, layer);
    const int64_t n_experts = build.config.n_routed_experts;
    const Weight all = NEREUS_TRY(build.experts.matrix(stack, n_experts * rows, cols));
    return build.slice(all, expert * rows, rows, stack);
}

}  // namespace

Result<std::vector<ExpertWeights>> bind_experts(const Build& build, int64_t layer) {
    const ModelConfig& c = build.config;
    std::vector<ExpertWeights> experts;
    for (int64_t e = 0; e < c.n_routed_experts; ++e) {
        const int64_t inner = c.moe_intermediate_size;
        ExpertWeights w;
        w.gate = NEREUS_TRY(bind_one(build, Part::kExpertGate, layer, e, inner, c.hidden_size));
        w.up = NEREUS_TRY(bind_one(build, Part::kExpertUp, layer, e, inner, c.hidden_size));
        w.down = NEREUS_TRY(bind_one(build, Part::kExpertDown, layer, e, c.hidden_size, inner));
        experts.push_back(w);
    }
    return experts;
}

Result<std::unique_ptr<FfnBlock>> build_expert_ffn(const Build& build, int64_t layer) {
    const ModelConfig& c = build.config;
    const Weight router =
        NEREUS_TRY(build.matrix(Part::kRouter, layer, c.n_routed_experts, c.hidden_size));
    const bool biased = c.router.group_score == GroupScore::kTopTwoSum;
    const float* bias =
        biased ? NEREUS_TRY(build.vector(Part::kRouterBias, layer, c.n_routed_experts)) : nullptr;
    SharedExpert shared;
    if (c.n_shared_experts > 0) {
        const int64_t inner = c.n_shared_experts * c.moe_intermediate_size;
        shared.gate = NEREUS_TRY(build.matrix(Part::kSharedGate, layer, inner, c.hidden_size));
        shared.up = NEREUS_TRY(build.matrix(Part::kSharedUp, layer, inner, c.hidden_size));
        shared.down = NEREUS_TRY(build.matrix(Part::kSharedDown, layer, c.hidden_size, inner));
    }
    const ExpertWeights first = {NEREUS_TRY(bind_one(build, Part::kExpertGate, layer, 0,
                                                     c.moe_intermediate_size, c.hidden_size)),
                                 NEREUS_TRY(bind_one(build, Part::kExpertUp, layer, 0,
                                                     c.moe_intermediate_size, c.hidden_size)),
                                 NEREUS_TRY(bind_one(build, Part::kExpertDown, layer, 0,
                                                     c.hidden_size, c.moe_intermediate_size))};
    const int64_t expert_bytes = first.gate.n_bytes() + first.up.n_bytes() + first.down.n_bytes();
    return std::unique_ptr<FfnBlock>(
        std::make_unique<ExpertFfn>(c, router, bias, shared, expert_bytes));
}

}  // namespace nereus
