// Multi-head latent attention (DeepSeek-V2 paper 2.1; models.md 4.1). The cache holds one row
// [kv_lora_rank latent, normed | qk_rope_head_dim key, rotated] a token.
//
// Absorbed form: each head's query goes through its half of kv_b into latent space, attends to the
// latents themselves, and the result comes back through the other half. It is used for prefill too,
// so that a row's bits do not depend on the chunk it came in (docs/decisions/0001). Expanded form:
// keys and values of all visible rows are made first; kept as the check of the absorbed one.

#include <functional>

#include "base/thread_pool.h"
#include "model/blocks/block.h"

namespace nereus {
namespace {

/// Tokens whose rotated queries one thread copies: below as many no other thread is woken.
constexpr int64_t kCopiedTokens = 16;

struct LatentWeights {
    Weight q;                          ///< without q_lora: [H * (nope + rope), hidden]
    Weight q_a, q_b;                   ///< with: [q_lora, hidden], [H * (nope + rope), q_lora]
    const float* q_a_norm = nullptr;   ///< [q_lora]
    Weight kv_a;                       ///< [latent + rope, hidden]
    const float* kv_a_norm = nullptr;  ///< [latent]
    std::vector<Weight> k;  ///< per head: [nope, latent] of kv_b, or its transpose [latent, nope]
    std::vector<Weight> v;  ///< per head: [v_head_dim, latent]
    bool k_is_transposed = false;
    Weight o;  ///< [hidden, H * v_head_dim]
};

class LatentAttention final : public AttentionBlock {
  public:
    LatentAttention(const ModelConfig& config, AttentionForm form, LatentWeights weights)
        : config_(config),
          w_(std::move(weights)),
          n_heads_(config.num_attention_heads),
          nope_(config.qk_nope_head_dim),
          rope_(config.qk_rope_head_dim),
          latent_(config.kv_lora_rank),
          v_dim_(config.v_head_dim),
          eps_(static_cast<float>(config.rms_norm_eps)),
          scale_(config.softmax_scale()),
          form_(form) {}

    void run(const Pass& pass, ConstRows x, Rows out) override {
        const int64_t n = pass.n_tokens();
        const Rows q = pass.scratch.rows(Scratch::kQ, n, n_heads_ * (nope_ + rope_));
        project(pass, x, q);
        rotate(pass, q, nope_, nope_ + rope_, n_heads_);
        pass.see_cache(pass.layer);
        const Rows heads = pass.scratch.rows(Scratch::kHeads, n, n_heads_ * v_dim_);
        if (form_ == AttentionForm::kAbsorbed) {
            attend_absorbed(pass, q, heads);
        } else {
            attend_expanded(pass, q, heads);
        }
        const MatmulTask o{w_.o, heads, out};
        pass.backend.matmul({&o, 1});
    }

    int64_t n_bytes() const override {
        int64_t bytes = w_.kv_a.n_bytes() + w_.o.n_bytes();
        bytes += w_.q.empty() ? w_.q_a.n_bytes() + w_.q_b.n_bytes() : w_.q.n_bytes();
        for (size_t h = 0; h < w_.k.size(); ++h) {
            bytes += w_.k[h].n_bytes() + w_.v[h].n_bytes();
        }
        return bytes;
    }

  private:
    /// Queries into q, and the new rows of the cache.
    void project(const Pass& pass, ConstRows x, Rows q) {
        const int64_t n = pass.n_tokens();
        const Rows kv = pass.scratch.rows(Scratch::kKv, n, latent_ + rope_);
        pass.tasks.clear();
        pass.tasks.push_back({w_.kv_a, x, kv});
        if (!w_.q.empty()) {
            pass.tasks.push_back({w_.q, x, q});
            pass.backend.matmul(pass.tasks);
        } else {
            const Rows c = pass.scratch.rows(Scratch::kQLatent, n, config_.q_lora_rank);
            pass.tasks.push_back({w_.q_a, x, c});
            pass.backend.matmul(pass.tasks);
            pass.backend.rms_norm(c, w_.q_a_norm, eps_, c);
            const MatmulTask up{w_.q_b, c, q};
            pass.backend.matmul({&up, 1});
        }
        const Rows latents{kv.data, n, latent_, kv.stride};
        pass.backend.rms_norm(latents, w_.kv_a_norm, eps_, latents);
        rotate(pass, kv, latent_, rope_, 1);
        pass.append_rows(kv);
    }

    void rotate(const Pass& pass, Rows x, int64_t offset, int64_t head_stride,
                int64_t n_heads) const {
        RopeArgs args;
        args.x = x;
        args.offset = offset;
        args.head_stride = head_stride;
        args.n_heads = n_heads;
        args.width = rope_;
        args.layout = config_.rope_layout;
        args.positions = pass.batch.positions;
        args.cos = pass.rope.cos();
        args.sin = pass.rope.sin();
        pass.backend.rope(args);
    }

    /// Columns [begin, begin + n) of every row.
    static Rows columns(Rows x, int64_t begin, int64_t n) {
        return {x.data + begin, x.n_rows, n, x.stride};
    }

    void attend_absorbed(const Pass& pass, Rows q, Rows heads) const {
        const int64_t n = pass.n_tokens();
        const int64_t width = latent_ + rope_;
        const Rows absorbed = pass.scratch.rows(Scratch::kAbsorbed, n, n_heads_ * width);
        pass.tasks.clear();
        for (int64_t h = 0; h < n_heads_; ++h) {
            const Rows from = columns(q, h * (nope_ + rope_), nope_);
            pass.tasks.push_back({w_.k[static_cast<size_t>(h)], from,
                                  columns(absorbed, h * width, latent_), nullptr,
                                  !w_.k_is_transposed});
        }
        pass.backend.matmul(pass.tasks);
        const auto copy_rope = [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                for (int64_t h = 0; h < n_heads_; ++h) {
                    std::copy_n(q.row(i) + h * (nope_ + rope_) + nope_, rope_,
                                absorbed.row(i) + h * width + latent_);
                }
            }
        };
        pass.backend.pool().parallel_for(n, kCopiedTokens, std::ref(copy_rope));
        const Rows context = pass.scratch.rows(Scratch::kContext, n, n_heads_ * latent_);
        pass.backend.attend_latent(
            {absorbed, context, pass.visible, n_heads_, latent_, rope_, scale_});
        pass.tasks.clear();
        for (int64_t h = 0; h < n_heads_; ++h) {
            pass.tasks.push_back({w_.v[static_cast<size_t>(h)],
                                  columns(context, h * latent_, latent_),
                                  columns(heads, h * v_dim_, v_dim_)});
        }
        pass.backend.matmul(pass.tasks);
    }

    /// One token at a time: the keys and values of all rows it sees, then plain attention.
    void attend_expanded(const Pass& pass, Rows q, Rows heads) const {
        const int64_t key = nope_ + rope_;
        const int64_t width = n_heads_ * (key + v_dim_);
        for (int64_t i = 0; i < pass.n_tokens(); ++i) {
            const PagedRows& seen = pass.visible[static_cast<size_t>(i)];
            const Rows kv = pass.scratch.rows(Scratch::kExpanded, seen.n_rows, width);
            for (int64_t begin = 0; begin < seen.n_rows; begin += seen.page_tokens) {
                const int64_t count = std::min(seen.page_tokens, seen.n_rows - begin);
                expand_page(pass, reinterpret_cast<const float*>(seen.pages[begin / seen.page_tokens]),
                            {kv.row(begin), count, width, width});
            }
            const auto* page = reinterpret_cast<const std::byte*>(kv.data);
            const PagedRows expanded{&page, seen.n_rows, width, seen.n_rows};
            pass.backend.attend_grouped({{q.row(i), 1, q.n_cols, q.stride},
                                         {heads.row(i), 1, heads.n_cols, heads.stride},
                                         {&expanded, 1},
                                         n_heads_,
                                         n_heads_,
                                         key,
                                         v_dim_,
                                         scale_});
        }
    }

    void expand_page(const Pass& pass, const float* page, Rows kv) const {
        const int64_t key = nope_ + rope_;
        const ConstRows latents{page, kv.n_rows, latent_, latent_ + rope_};
        pass.tasks.clear();
        for (int64_t h = 0; h < n_heads_; ++h) {
            const auto at = static_cast<size_t>(h);
            pass.tasks.push_back(
                {w_.k[at], latents, columns(kv, h * key, nope_), nullptr, w_.k_is_transposed});
            pass.tasks.push_back(
                {w_.v[at], latents, columns(kv, n_heads_ * key + h * v_dim_, v_dim_)});
        }
        pass.backend.matmul(pass.tasks);
        for (int64_t i = 0; i < kv.n_rows; ++i) {
            for (int64_t h = 0; h < n_heads_; ++h) {
                std::copy_n(latents.row(i) + latent_, rope_, kv.row(i) + h * key + nope_);
            }
        }
    }

    const ModelConfig& config_;
    LatentWeights w_;
    int64_t n_heads_, nope_, rope_, latent_, v_dim_;
    float eps_;
    float scale_;
    AttentionForm form_;
};

Status bind_queries(const Build& build, int64_t layer, LatentWeights& w) {
    const ModelConfig& c = build.config;
    const int64_t q_rows = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim);
    if (c.q_lora_rank == 0) {
        w.q = NEREUS_TRY(build.matrix(Part::kQ, layer, q_rows, c.hidden_size));
        return {};
    }
    w.q_a = NEREUS_TRY(build.matrix(Part::kQA, layer, c.q_lora_rank, c.hidden_size));
    w.q_a_norm = NEREUS_TRY(build.vector(Part::kQANorm, layer, c.q_lora_rank));
    w.q_b = NEREUS_TRY(build.matrix(Part::kQB, layer, q_rows, c.q_lora_rank));
    return {};
}

/// kv_b as published, or k_b (transposed per head) and v_b of packs and newer GGUF files.
Status bind_heads(const Build& build, int64_t layer, LatentWeights& w) {
    const ModelConfig& c = build.config;
    const int64_t n_heads = c.num_attention_heads;
    const int64_t nope = c.qk_nope_head_dim;
    const int64_t both = nope + c.v_head_dim;
    w.k_is_transposed = build.has(Part::kKB, layer) && !build.has(Part::kKvB, layer);
    if (!w.k_is_transposed) {
        const Weight kv_b =
            NEREUS_TRY(build.matrix(Part::kKvB, layer, n_heads * both, c.kv_lora_rank));
        const std::string name = tensor_name(Part::kKvB, build.kind, layer);
        if (kv_b.format->panel != nullptr) {  // the absorbed form multiplies its transpose
            return make_error(ErrorCode::kUnsupported,
                              "{}: tensor {}: {} has no transposed product; expected k_b and v_b",
                              build.weights.origin(), name, kv_b.format->name);
        }
        for (int64_t h = 0; h < n_heads; ++h) {
            w.k.push_back(NEREUS_TRY(build.slice(kv_b, h * both, nope, name)));
            w.v.push_back(NEREUS_TRY(build.slice(kv_b, h * both + nope, c.v_head_dim, name)));
        }
        return {};
    }
    const Weight k_b = NEREUS_TRY(build.matrix(Part::kKB, layer, n_heads * c.kv_lora_rank, nope));
    const Weight v_b =
        NEREUS_TRY(build.matrix(Part::kVB, layer, n_heads * c.v_head_dim, c.kv_lora_rank));
    for (int64_t h = 0; h < n_heads; ++h) {
        w.k.push_back(NEREUS_TRY(build.slice(k_b, h * c.kv_lora_rank, c.kv_lora_rank,
                                             tensor_name(Part::kKB, build.kind, layer))));
        w.v.push_back(NEREUS_TRY(build.slice(v_b, h * c.v_head_dim, c.v_head_dim,
                                             tensor_name(Part::kVB, build.kind, layer))));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<AttentionBlock>> build_latent_attention(const Build& build, int64_t layer) {
    const ModelConfig& c = build.config;
    LatentWeights w;
    NEREUS_TRY(bind_queries(build, layer, w));
    w.kv_a = NEREUS_TRY(
        build.matrix(Part::kKvA, layer, c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size));
    w.kv_a_norm = NEREUS_TRY(build.vector(Part::kKvANorm, layer, c.kv_lora_rank));
    NEREUS_TRY(bind_heads(build, layer, w));
    w.o = NEREUS_TRY(
        build.matrix(Part::kO, layer, c.hidden_size, c.num_attention_heads * c.v_head_dim));
    return std::unique_ptr<AttentionBlock>(
        std::make_unique<LatentAttention>(c, build.attention_form, std::move(w)));
}

}  // namespace nereus
