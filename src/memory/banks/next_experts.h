#pragma once
// NextExperts: which experts a layer will probably choose, from those that the layer before chose.
// Learnt by counting while the model runs, for a token's experts of neighbouring layers go
// together; a guess costs no product. In recorded routing of V2-Lite with 40 % of the experts in
// memory, the likeliest one that is not is asked for in 33 to 59 % of the layers, by text.

#include <cstdint>
#include <span>
#include <vector>

namespace nereus {

/// Layers are mixture layers, the first one follows the last. threads: one at a time.
class NextExperts {
  public:
    struct Guess {
        int32_t expert = 0;
        float n_uses = 0;  ///< expected, over the tokens of the pass
    };

    NextExperts(int64_t n_layers, int64_t n_experts);
    static uint64_t n_bytes(int64_t n_layers, int64_t n_experts) {
        return static_cast<uint64_t>(n_layers * n_experts * (n_experts + 1)) * sizeof(uint16_t);
    }

    /// The choices of a layer's tokens, [n_tokens, top_k]: counts them together with those of the
    /// layer before where these were the last ones seen, of as many tokens.
    void see(int32_t layer, std::span<const int32_t> choices, int64_t top_k);

    /// Experts of the layer after the last one seen whose expected uses reach `floor`, the
    /// likeliest first. Valid until the next call.
    std::span<const Guess> foresee(float floor);

  private:
    int32_t after(int32_t layer) const { return (layer + 1) % static_cast<int32_t>(n_layers_); }
    /// How often each expert of a layer was chosen by a token that had this one in the layer
    /// before; last, how often there was such a token.
    std::span<uint16_t> followers(int32_t layer, int32_t expert_before);
    void expect(int32_t layer, std::span<const int32_t> before);
    void count(int32_t layer, std::span<const int32_t> before, std::span<const int32_t> now);

    int64_t n_layers_, n_experts_;
    std::vector<uint16_t> counts_;  ///< [layer][expert before][n_experts + 1]
    int32_t layer_ = -1;            ///< last seen; -1: none
    int64_t top_k_ = 1;
    std::vector<int32_t> choices_;               ///< of it
    std::vector<float> shares_, likely_, uses_;  ///< by expert: of all tokens, one token's, summed
    std::vector<Guess> guesses_;
};

}  // namespace nereus
