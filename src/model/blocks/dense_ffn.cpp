// SwiGLU: down( silu(gate x) * (up x) ) (models.md 4.2).

#include "model/blocks/block.h"

namespace nereus {
namespace {

class DenseFfn final : public FfnBlock {
  public:
    DenseFfn(Weight gate, Weight up, Weight down) : gate_(gate), up_(up), down_(down) {}

    Status run(const Pass& pass, ConstRows x, Rows out) override {
        const Rows gate = pass.scratch.rows(Scratch::kGate, x.n_rows, gate_.rows);
        const Rows inner = pass.scratch.rows(Scratch::kUp, x.n_rows, up_.rows);
        const MatmulTask gated{
            .weight = up_, .x = x, .out = inner, .gate = gate_, .gate_out = gate};
        pass.backend.matmul({&gated, 1});
        const MatmulTask down{down_, inner, out};
        pass.backend.matmul({&down, 1});
        return {};
    }

    int64_t n_bytes() const override { return gate_.n_bytes() + up_.n_bytes() + down_.n_bytes(); }

  private:
    Weight gate_, up_, down_;
};

}  // namespace

Result<std::unique_ptr<FfnBlock>> build_dense_ffn(const Build& build, int64_t layer) {
    const ModelConfig& c = build.config;
    const Weight gate =
        NEREUS_TRY(build.matrix(Part::kGate, layer, c.intermediate_size, c.hidden_size));
    const Weight up =
        NEREUS_TRY(build.matrix(Part::kUp, layer, c.intermediate_size, c.hidden_size));
    const Weight down =
        NEREUS_TRY(build.matrix(Part::kDown, layer, c.hidden_size, c.intermediate_size));
    return std::unique_ptr<FfnBlock>(std::make_unique<DenseFfn>(gate, up, down));
}

}  // namespace nereus
