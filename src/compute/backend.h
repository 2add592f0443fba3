#pragma once
// Backend: verbs on tensors. One instance a device; the CPU's picks its kernel table by CPUID once.
//
// Determinism, promised by every verb: the bits of an output row depend only on that row's inputs,
// never on the number of threads, on the other rows of the call, or on the kernel table. The order:
//   dot product   16 accumulators; lane j takes columns j, j+16, j+32, ... with one fused
//                 multiply-add each, in order (missing columns of the last group add nothing); then
//                 lanes are added as a tree: l[i]+l[i+8] for i<8, then +4, +2, +1.
//   weights       first decoded to float exactly as format.decode_row does, then multiplied.
// Formats whose row says so (Format::activations) multiply integers instead: activations are
// rounded to int8 and the products of a block added exactly; the orders are stated in
// tensor/panel.h for panels and in cpu/int8_blocks.h for GGUF's blocks. Transposed products never
// round.
//   sums of rows  sequential fused multiply-adds in index order, one lane an output column.
//   exp           one polynomial (cpu/math.h), the same fused operations in every table.
//   attention     spans of 1024 rows by absolute position, merged in order (cpu/attention.h); over
//                 int8 rows the products are integers (cpu/latent_kernels.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compute/kv_rows.h"
#include "compute/weight.h"
#include "tensor/tensor.h"

namespace nereus {

class ThreadPool;

/// out[t, r] = sum_c weight[r, c] * x[t, c]; transposed: out[t, c] = sum_r weight[r, c] * x[t, r]
/// (row sums in order of r). bias (may be null) is added last, [n outputs].
/// With a gate, the first half of a feed-forward: out = silu(gate x) * (weight x), as swiglu does.
struct MatmulTask {
    Weight weight;
    ConstRows x;  ///< [n_tokens, cols]; transposed: [n_tokens, rows]
    Rows out;     ///< [n_tokens, rows]; transposed: [n_tokens, cols]; overwritten; not aliasing x
    const float* bias = nullptr;
    bool transposed = false;
    Weight gate = {};    ///< empty, or of the weight's format and shape
    Rows gate_out = {};  ///< with a gate: room for gate x, of out's shape
};

/// Sees the products of a matmul, on the caller's thread, before they run.
using ProductObserver = std::function<void(std::span<const MatmulTask> tasks)>;

/// Pages of a cached sequence: row p is row p % page_tokens of pages[p / page_tokens].
struct PagedRows {
    const std::byte* const* pages = nullptr;
    int64_t page_tokens = 0;
    int64_t width = 0;   ///< numbers per row
    int64_t n_rows = 0;  ///< visible rows: 0 .. n_rows-1
    KvFormat format = KvFormat::kF32;
};

/// Row i of x [n, rows.width] goes to places[i], rounded as the format says.
struct AppendKvArgs {
    ConstRows x;
    std::span<const KvPlace> places;
    KvRows rows;
};

struct AttendLatentArgs {
    ConstRows q;  ///< [n_tokens, n_heads * (latent + rope)]: per head the absorbed query, then q_pe
    Rows out;     ///< [n_tokens, n_heads * latent], overwritten
    std::span<const PagedRows> visible;  ///< one per token: rows [latent | rope], of one format
    int64_t n_heads = 0;
    int64_t latent = 0;  ///< kv_lora_rank
    int64_t rope = 0;    ///< qk_rope_head_dim
    float scale = 1.0F;
};

struct AttendGroupedArgs {
    ConstRows q;  ///< [n_tokens, n_heads * head_dim], RoPE applied
    Rows out;     ///< [n_tokens, n_heads * value_dim], overwritten
    /// One per token, f32 or bf16; a row is [n_kv_heads * head_dim keys | n_kv_heads * value_dim
    /// values].
    std::span<const PagedRows> visible;
    int64_t n_heads = 0;
    int64_t n_kv_heads = 0;
    int64_t head_dim = 0;
    int64_t value_dim = 0;
    float scale = 1.0F;
};

enum class RopeLayout { kInterleaved, kRotateHalf };

/// Rotates `width` floats of each of n_heads heads in place. Angles come from a table
/// [max_position, width/2] of cos and sin.
struct RopeArgs {
    Rows x;                   ///< [n_tokens, ...]
    int64_t offset = 0;       ///< of head 0's rotated part within a row
    int64_t head_stride = 0;  ///< floats from one head to the next
    int64_t n_heads = 1;
    int64_t width = 0;  ///< rotated floats a head, even
    RopeLayout layout = RopeLayout::kInterleaved;
    std::span<const int32_t> positions;  ///< [n_tokens]
    const float* cos = nullptr;          ///< [max_position, width/2]
    const float* sin = nullptr;
};

enum class RouterScoring { kSoftmax, kSigmoid };
enum class GroupScore { kNone, kMax, kTopTwoSum };

/// How routed experts are chosen (models.md 4.3, 4.4).
struct RouterParams {
    RouterScoring scoring = RouterScoring::kSoftmax;
    GroupScore group_score = GroupScore::kNone;  ///< kNone: all experts compete
    int64_t n_group = 1;
    int64_t topk_group = 1;
    int64_t top_k = 1;
    bool norm_topk_prob = false;            ///< divide by the sum (+1e-20)
    float routed_scaling_factor = 1;        ///< applied as the family says, see scale_after_norm
    bool scale_after_norm = true;           ///< false: V2's exclusive branches (normalise or scale)
    const float* selection_bias = nullptr;  ///< [n_experts], for the choice only; may be null
};

/// One device's verbs. threads: one caller at a time. errors: none; shapes are checked.
class Backend {
  public:
    virtual ~Backend() = default;
    /// "portable", "avx2", "avx512".
    virtual std::string_view isa() const = 0;
    virtual ThreadPool& pool() = 0;

    /// out[i] = row ids[i] of the table.
    virtual void embed(const Weight& table, std::span<const int32_t> ids, Rows out) = 0;
    /// out = x / sqrt(mean(x^2) + eps) * gain, a row at a time; out may be x. gain [n_cols].
    virtual void rms_norm(ConstRows x, const float* gain, float eps, Rows out) = 0;
    /// Independent products in one dispatch: attention projections, heads, or experts.
    virtual void matmul(std::span<const MatmulTask> tasks) = 0;
    /// out += x
    virtual void add(ConstRows x, Rows out) = 0;
    /// out = silu(gate) * up; out may be gate.
    virtual void swiglu(ConstRows gate, ConstRows up, Rows out) = 0;
    virtual void rope(const RopeArgs& args) = 0;
    virtual void append_kv(const AppendKvArgs& args) = 0;
    virtual void attend_latent(const AttendLatentArgs& args) = 0;
    virtual void attend_grouped(const AttendGroupedArgs& args) = 0;
    /// From router logits [n_tokens, n_experts]: ids and weights [n_tokens, top_k], best first;
    /// ties take the lower index.
    virtual void route_experts(ConstRows logits, const RouterParams& params, int32_t* ids,
                               float* weights) = 0;
    /// out[i] = x[rows[i]]
    virtual void gather_rows(ConstRows x, std::span<const int32_t> rows, Rows out) = 0;
    /// out[t] += sum over j in order of weights[t, j] * x[slots[t, j]]: the experts' sum, fused
    /// multiply-adds in order of j. slots, weights [n_tokens, top_k].
    virtual void combine_rows(ConstRows x, const int32_t* slots, const float* weights,
                              int64_t top_k, Rows out) = 0;
    /// From now on every matmul is shown to it; null: no longer. For statistics of activations.
    virtual void observe_products(ProductObserver observer) = 0;
};

/// Names of the kernel tables this CPU can run, fastest first; the last is "portable".
std::vector<std::string> available_isas();

/// Which activations products of GGUF's block formats use (panel formats have no other than their
/// own): what the format's row says; F32; or F32 for superblocks of 256, whose one scale costs more
/// than the 0.3 % of perplexity that a file may differ from llama.cpp's (docs/decisions/0006).
enum class ActivationsChoice { kOfFormat, kF32, kAuto };

/// isa: a name of available_isas(), or "" for the fastest. errors: unsupported (the message lists
/// the available names). The pool must outlive the backend.
Result<std::unique_ptr<Backend>> create_cpu_backend(
    ThreadPool& pool, std::string_view isa,
    ActivationsChoice activations = ActivationsChoice::kOfFormat);

}  // namespace nereus
