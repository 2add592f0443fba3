#pragma once
// The forward pass once more, for tests: double precision, naive loops, keys and values expanded,
// straight from the equations of the DeepSeek-V2 and V3 papers, Qwen2 and Llama. Nothing is shared
// with src/ but the configuration struct.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tests/support/tiny_model.h"

namespace nereus::test {

class SlowReference {
  public:
    using Vec = std::vector<double>;

    explicit SlowReference(const TinyModel& model) : model_(model), c_(model.config()) {}

    /// Logits of every token of one sequence.
    std::vector<Vec> run(const std::vector<int32_t>& tokens) const {
        std::vector<Vec> hidden;
        for (const int32_t token : tokens) {
            const TinyTensor& table = tensor("model.embed_tokens.weight");
            const auto begin = table.values.begin() + token * c_.hidden_size;
            hidden.emplace_back(begin, begin + c_.hidden_size);
        }
        for (size_t i = 0; i < c_.layers.size(); ++i) {
            run_layer(fmt::format("model.layers.{}.", i), c_.layers[i], hidden);
        }
        std::vector<Vec> logits;
        for (const Vec& h : hidden) {
            logits.push_back(
                multiply(c_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                         norm("model.norm.weight", h)));
        }
        return logits;
    }

  private:
    const TinyTensor& tensor(const std::string& name) const { return model_.tensors.at(name); }

    Vec multiply(const std::string& name, const Vec& x, const std::string& bias = "") const {
        const TinyTensor& w = tensor(name);
        Vec out(static_cast<size_t>(w.shape[0]));
        for (size_t r = 0; r < out.size(); ++r) {
            for (size_t c = 0; c < x.size(); ++c) {
                out[r] += static_cast<double>(w.values[r * x.size() + c]) * x[c];
            }
            if (model_.tensors.count(bias) != 0) {
                out[r] += static_cast<double>(tensor(bias).values[r]);
            }
        }
        return out;
    }

    Vec norm(const std::string& name, Vec x) const {
        const double square = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
        const double scale =
            1 / std::sqrt(square / static_cast<double>(x.size()) + c_.rms_norm_eps);
        for (size_t i = 0; i < x.size(); ++i) {
            x[i] *= scale * static_cast<double>(tensor(name).values[i]);
        }
        return x;
    }

    static void add_scaled(Vec& out, const Vec& x, double factor) {
        for (size_t i = 0; i < out.size(); ++i) {
            out[i] += factor * x[i];
        }
    }

    Vec mlp(const std::string& prefix, const Vec& x) const {
        Vec gate = multiply(prefix + "gate_proj.weight", x);
        const Vec up = multiply(prefix + "up_proj.weight", x);
        for (size_t i = 0; i < gate.size(); ++i) {
            gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
        }
        return multiply(prefix + "down_proj.weight", gate);
    }

    void run_layer(const std::string& prefix, const LayerPlan& plan,
                   std::vector<Vec>& hidden) const {
        std::vector<Vec> normed;
        for (const Vec& h : hidden) {
            normed.push_back(norm(prefix + "input_layernorm.weight", h));
        }
        const std::vector<Vec> attended = plan.attention == AttentionKind::kLatent
                                              ? latent(prefix + "self_attn.", normed)
                                              : grouped(prefix + "self_attn.", normed);
        for (size_t t = 0; t < hidden.size(); ++t) {
            add_scaled(hidden[t], attended[t], 1);
            const Vec x = norm(prefix + "post_attention_layernorm.weight", hidden[t]);
            add_scaled(
                hidden[t],
                plan.ffn == FfnKind::kDense ? mlp(prefix + "mlp.", x) : experts(prefix + "mlp.", x),
                1);
        }
    }

    // ---- rotary positions

    /// Angles per position: theta^(-2i/n), blended by YaRN or Llama 3's rule.
    double frequency(size_t i, double n) const {
        const RopeScaling& s = c_.rope_scaling;
        const double plain = std::pow(c_.rope_theta, -2 * static_cast<double>(i) / n);
        const auto original = static_cast<double>(s.original_max_position_embeddings);
        const double pi = std::numbers::pi;
        if (s.type == RopeScalingType::kYarn) {
            const auto dimension = [&](double turns) {
                return n * std::log(original / (turns * 2 * pi)) / (2 * std::log(c_.rope_theta));
            };
            const double low = std::max(0.0, std::floor(dimension(s.beta_fast)));
            double high = std::min(n - 1, std::ceil(dimension(s.beta_slow)));
            high += high == low ? 0.001 : 0;
            const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
            return plain / s.factor * ramp + plain * (1 - ramp);
        }
        if (s.type == RopeScalingType::kLlama3) {
            const double turns = original * plain / (2 * pi);  // over the original context
            const double smooth = std::clamp(
                (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
            return plain / s.factor * (1 - smooth) + plain * smooth;
        }
        return s.type == RopeScalingType::kLinear ? plain / s.factor : plain;
    }

    static double stretch(double factor, double mscale) {
        return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
    }

    void rotate(double* x, size_t n, size_t position) const {
        const RopeScaling& s = c_.rope_scaling;
        const double magnitude =
            s.type == RopeScalingType::kYarn
                ? stretch(s.factor, s.mscale) / stretch(s.factor, s.mscale_all_dim)
                : 1;
        const bool pairs = c_.layers[0].attention == AttentionKind::kLatent;
        for (size_t i = 0; i < n / 2; ++i) {
            const double angle =
                static_cast<double>(position) * frequency(i, static_cast<double>(n));
            double& a = x[pairs ? 2 * i : i];
            double& b = x[pairs ? 2 * i + 1 : i + n / 2];
            const double turned = (a * std::cos(angle) - b * std::sin(angle)) * magnitude;
            b = (b * std::cos(angle) + a * std::sin(angle)) * magnitude;
            a = turned;
        }
    }

    // ---- attention

    /// Causal attention of one head: q, k [T][dim], v [T][dim_v].
    static std::vector<Vec> attend(const std::vector<Vec>& q, const std::vector<Vec>& k,
                                   const std::vector<Vec>& v, double scale) {
        std::vector<Vec> out;
        for (size_t t = 0; t < q.size(); ++t) {
            Vec weights;
            for (size_t s = 0; s <= t; ++s) {
                weights.push_back(scale *
                                  std::inner_product(q[t].begin(), q[t].end(), k[s].begin(), 0.0));
            }
            const double largest = *std::max_element(weights.begin(), weights.end());
            double sum = 0;
            for (double& w : weights) {
                w = std::exp(w - largest);
                sum += w;
            }
            out.emplace_back(v[0].size());
            for (size_t s = 0; s <= t; ++s) {
                add_scaled(out.back(), v[s], weights[s] / sum);
            }
        }
        return out;
    }

    static Vec part(const Vec& x, int64_t begin, int64_t n) {
        return {x.begin() + begin, x.begin() + begin + n};
    }

    std::vector<Vec> project_heads(const std::string& prefix, const std::vector<Vec>& heads,
                                   const std::string& bias = "") const {
        std::vector<Vec> out;
        for (const Vec& h : heads) {
            out.push_back(multiply(prefix + "o_proj.weight", h, bias));
        }
        return out;
    }

    std::vector<Vec> latent(const std::string& prefix, const std::vector<Vec>& x) const {
        const int64_t nope = c_.qk_nope_head_dim;
        const int64_t rope = c_.qk_rope_head_dim;
        std::vector<Vec> queries, latents, shared_keys, heads(x.size());
        for (size_t t = 0; t < x.size(); ++t) {
            queries.push_back(c_.q_lora_rank == 0
                                  ? multiply(prefix + "q_proj.weight", x[t])
                                  : multiply(prefix + "q_b_proj.weight",
                                             norm(prefix + "q_a_layernorm.weight",
                                                  multiply(prefix + "q_a_proj.weight", x[t]))));
            const Vec kv = multiply(prefix + "kv_a_proj_with_mqa.weight", x[t]);
            latents.push_back(
                multiply(prefix + "kv_b_proj.weight",
                         norm(prefix + "kv_a_layernorm.weight", part(kv, 0, c_.kv_lora_rank))));
            shared_keys.push_back(part(kv, c_.kv_lora_rank, rope));
            rotate(shared_keys.back().data(), static_cast<size_t>(rope), t);
        }
        double scale = 1 / std::sqrt(static_cast<double>(nope + rope));
        if (c_.rope_scaling.type == RopeScalingType::kYarn) {
            scale *= std::pow(stretch(c_.rope_scaling.factor, c_.rope_scaling.mscale_all_dim), 2);
        }
        for (int64_t h = 0; h < c_.num_attention_heads; ++h) {
            std::vector<Vec> q, k, v;
            for (size_t t = 0; t < x.size(); ++t) {
                q.push_back(part(queries[t], h * (nope + rope), nope + rope));
                rotate(q.back().data() + nope, static_cast<size_t>(rope), t);
                k.push_back(part(latents[t], h * (nope + c_.v_head_dim), nope));
                k.back().insert(k.back().end(), shared_keys[t].begin(), shared_keys[t].end());
                v.push_back(part(latents[t], h * (nope + c_.v_head_dim) + nope, c_.v_head_dim));
            }
            const std::vector<Vec> out = attend(q, k, v, scale);
            for (size_t t = 0; t < x.size(); ++t) {
                heads[t].insert(heads[t].end(), out[t].begin(), out[t].end());
            }
        }
        return project_heads(prefix, heads);
    }

    std::vector<Vec> grouped(const std::string& prefix, const std::vector<Vec>& x) const {
        const int64_t dim = c_.head_dim;
        const int64_t per_key = c_.num_attention_heads / c_.num_key_value_heads;
        std::vector<Vec> heads(x.size());
        for (int64_t h = 0; h < c_.num_attention_heads; ++h) {
            std::vector<Vec> q, k, v;
            for (size_t t = 0; t < x.size(); ++t) {
                const auto head = [&](const char* name, int64_t index) {
                    return part(multiply(prefix + name + ".weight", x[t], prefix + name + ".bias"),
                                index * dim, dim);
                };
                q.push_back(head("q_proj", h));
                k.push_back(head("k_proj", h / per_key));
                v.push_back(head("v_proj", h / per_key));
                rotate(q.back().data(), static_cast<size_t>(dim), t);
                rotate(k.back().data(), static_cast<size_t>(dim), t);
            }
            const std::vector<Vec> out = attend(q, k, v, 1 / std::sqrt(static_cast<double>(dim)));
            for (size_t t = 0; t < x.size(); ++t) {
                heads[t].insert(heads[t].end(), out[t].begin(), out[t].end());
            }
        }
        return project_heads(prefix, heads, prefix + "o_proj.bias");
    }

    // ---- experts

    /// Which experts compete after the groups were limited.
    std::vector<bool> eligible(const Vec& keys) const {
        const auto n_group = static_cast<size_t>(c_.router.n_group);
        const size_t size = keys.size() / n_group;
        std::vector<bool> kept(keys.size(), c_.router.group_score == GroupScore::kNone);
        if (c_.router.group_score == GroupScore::kNone) {
            return kept;
        }
        std::vector<std::pair<double, size_t>> groups;
        for (size_t g = 0; g < n_group; ++g) {
            Vec members(keys.begin() + static_cast<std::ptrdiff_t>(g * size),
                        keys.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
            std::sort(members.rbegin(), members.rend());
            const bool two = c_.router.group_score == GroupScore::kTopTwoSum && size > 1;
            groups.emplace_back(-(two ? members[0] + members[1] : members[0]), g);
        }
        std::sort(groups.begin(), groups.end());
        for (size_t g = 0; g < static_cast<size_t>(c_.router.topk_group); ++g) {
            std::fill_n(kept.begin() + static_cast<std::ptrdiff_t>(groups[g].second * size), size,
                        true);
        }
        return kept;
    }

    Vec experts(const std::string& prefix, const Vec& x) const {
        const RouterParams& r = c_.router;
        Vec scores = multiply(prefix + "gate.weight", x);
        double sum = 0;
        for (double& s : scores) {
            s = r.scoring == RouterScoring::kSigmoid ? 1 / (1 + std::exp(-s)) : std::exp(s);
            sum += s;
        }
        Vec keys = scores;
        for (size_t e = 0; e < scores.size(); ++e) {
            scores[e] /= r.scoring == RouterScoring::kSoftmax ? sum : 1;
            const std::string bias = prefix + "gate.e_score_correction_bias";
            keys[e] = scores[e] + (model_.tensors.count(bias) == 0
                                       ? 0.0
                                       : static_cast<double>(tensor(bias).values[e]));
        }
        const std::vector<bool> kept = eligible(keys);
        std::vector<std::pair<double, size_t>> ranked;
        for (size_t e = 0; e < keys.size(); ++e) {
            ranked.emplace_back(kept[e] ? -keys[e] : INFINITY, e);
        }
        std::sort(ranked.begin(), ranked.end());
        ranked.resize(static_cast<size_t>(r.top_k));
        double chosen_sum = 0;
        for (const auto& [key, e] : ranked) {
            chosen_sum += scores[e];
        }
        const bool v3 = c_.model_type == "deepseek_v3";
        const bool normalise = r.norm_topk_prob && (v3 || r.top_k > 1);
        const double scale = (normalise ? 1 / (chosen_sum + 1e-20) : 1.0) *
                             (v3 || !normalise ? static_cast<double>(r.routed_scaling_factor) : 1);
        Vec out(x.size());
        for (const auto& [key, e] : ranked) {
            add_scaled(out, mlp(fmt::format("{}experts.{}.", prefix, e), x), scores[e] * scale);
        }
        if (c_.n_shared_experts > 0) {
            add_scaled(out, mlp(prefix + "shared_experts.", x), 1);
        }
        return out;
    }

    const TinyModel& model_;
    const ModelConfig& c_;
};

}  // namespace nereus::test
