// synth: a random model of any configuration, in any format, so that real shapes can be measured
// without the weights.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/open.h"
#include "apps/work_progress.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/units.h"
#include "model/recipe.h"
#include "tensor/random.h"
#include "weights/pack.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kConfigBytesMax = 16ULL << 20;

struct SynthFlags {
    std::string config, format, out;
    int64_t n_layers = 0;  ///< 0: all
    uint64_t seed = 1;
};

/// A configuration cut to its first layers, and its text.
struct SynthConfig {
    Json json;
    ModelConfig config;
};

Result<SynthConfig> read_config(const SynthFlags& flags) {
    const std::string text = NEREUS_TRY(read_file(flags.config, kConfigBytesMax));
    SynthConfig result;
    result.json = NEREUS_TRY(parse_json(text, flags.config));
    result.config = NEREUS_TRY(config_from_json(result.json, flags.config));
    if (flags.n_layers > result.config.num_hidden_layers) {
        return make_error(ErrorCode::kInvalidArgument, "--layers {}: {} has {} layers",
                          flags.n_layers, flags.config, result.config.num_hidden_layers);
    }
    if (flags.n_layers > 0) {
        result.json["num_hidden_layers"] = flags.n_layers;
    }
    result.json["num_nextn_predict_layers"] = 0;
    result.json.erase("quantization_config");
    result.config = NEREUS_TRY(config_from_json(result.json, flags.config));
    return result;
}

/// The published tensors of the model; optional ones as the family has them.
std::vector<ModelTensor> synthetic_tensors(const ModelConfig& config, TensorLayout layout) {
    std::vector<ModelTensor> tensors = model_tensors(config, CheckpointKind::kHuggingFace, layout);
    std::erase_if(tensors, [&](const ModelTensor& tensor) {
        const bool bias = tensor.name.ends_with(".bias") && !tensor.name.ends_with("o_proj.bias");
        return tensor.optional && !(bias && config.attention_bias);
    });
    return tensors;
}

/// Normed rows of deviation 1 stay of deviation 1 after a product, so that logits are finite and
/// routers choose; the embedding has it from the start.
double deviation_of(const ModelTensor& tensor) {
    return tensor.role == TensorRole::kEmbedding
               ? 1.0
               : 1.0 / std::sqrt(static_cast<double>(tensor.cols));
}

/// Norms are ones, biases small.
void fill_vector(const ModelTensor& tensor, uint64_t seed, uint64_t stream,
                 std::span<std::byte> out) {
    if (tensor.name.find("norm") == std::string::npos) {
        fill_random(FormatId::kF32, 0.01, seed, stream, out);
        return;
    }
    const float one = 1.0F;
    for (size_t i = 0; i < out.size(); i += sizeof(one)) {
        std::memcpy(out.data() + i, &one, sizeof(one));
    }
}

/// Bytes of one tensor at a time, in pieces that all threads fill.
class RandomBytes {
  public:
    RandomBytes(ThreadPool& pool, uint64_t seed) : pool_(pool), seed_(seed) {}

    template <typename Append>
    Status write(const ModelTensor& tensor, FormatId format, const Append& append) {
        const auto n_bytes =
            static_cast<uint64_t>(format_of(format).matrix_bytes(tensor.rows, tensor.cols));
        const uint64_t stream = digest_of(tensor.name);
        if (tensor.role == TensorRole::kVector) {
            buffer_.resize(n_bytes);
            fill_vector(tensor, seed_, stream, buffer_);
            return append(std::span<const std::byte>(buffer_));
        }
        const auto unit = static_cast<uint64_t>(random_unit_bytes(format));
        const uint64_t piece = kPieceBytes / unit * unit;
        buffer_.resize(std::min(n_bytes, kPieces * piece));
        for (uint64_t begin = 0; begin < n_bytes; begin += buffer_.size()) {
            const std::span<std::byte> part =
                std::span(buffer_).first(std::min<uint64_t>(n_bytes - begin, buffer_.size()));
            const auto n_pieces = static_cast<int64_t>(ceil_div<uint64_t>(part.size(), piece));
            pool_.parallel_for(n_pieces, 1, [&](int64_t first, int64_t last) {
                for (int64_t i = first; i < last; ++i) {
                    const uint64_t at = static_cast<uint64_t>(i) * piece;
                    fill_random(format, deviation_of(tensor), seed_, stream + begin + at,
                                part.subspan(at, std::min(piece, part.size() - at)));
                }
            });
            NEREUS_TRY(append(std::span<const std::byte>(part)));
        }
        return {};
    }

  private:
    static constexpr uint64_t kPieceBytes = kMiB;
    static constexpr uint64_t kPieces = 32;

    ThreadPool& pool_;
    uint64_t seed_;
    std::vector<std::byte> buffer_;
};

Result<ExitCode> synth_pack(const SynthFlags& flags, const SynthConfig& config,
                            const Recipe& recipe, ThreadPool& pool) {
    const std::vector<ModelTensor> tensors = synthetic_tensors(config.config, TensorLayout::kPack);
    std::vector<FormatId> formats;
    for (const ModelTensor& tensor : tensors) {
        formats.push_back(format_for(recipe, tensor, FormatId::kF32));
    }
    PackContent content;
    content.recipe = recipe.name;
    content.source = fmt::format("synthetic, seed {}", flags.seed);
    content.blobs = pack_blobs(tensors, formats);
    content.copies = {{"config.json", dump_json(config.json) + "\n"}};
    const std::vector<PackBlob> blobs = content.blobs;
    const auto writer = NEREUS_TRY(create_pack(flags.out, std::move(content)));
    RandomBytes random(pool, flags.seed);
    {
        WorkProgress progress("Writing");
        size_t tensor = 0;
        for (size_t blob = 0; blob < blobs.size(); ++blob) {
            for (size_t i = 0; i < blobs[blob].tensors.size(); ++i, ++tensor) {
                if (blob >= writer->next_blob()) {
                    NEREUS_TRY(random.write(tensors[tensor], formats[tensor],
                                            [&](auto bytes) { return writer->append(bytes); }));
                }
            }
            progress.update(static_cast<double>(writer->n_bytes_done()) /
                            static_cast<double>(writer->n_bytes()));
        }
    }
    NEREUS_TRY(writer->finish());
    return print_result(fmt::format("{}: {} layers, {}\n", flags.out,
                                    config.config.num_hidden_layers,
                                    human_bytes(writer->n_bytes())));
}

Result<ExitCode> synth(const SynthFlags& flags, const CommonOptions& common) {
    const SynthConfig config = NEREUS_TRY(read_config(flags));
    ThreadPool pool(common.threads);
    const Recipe* recipe = NEREUS_TRY(find_recipe(flags.format));
    return synth_pack(flags, config, *recipe, pool);
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<SynthFlags>();
    app.add_option("CONFIG", flags->config, "a config.json")->required();
    app.add_option("--format", flags->format, "a format of nereus pack")
        ->required()
        ->type_name("NAME");
    app.add_option("--out", flags->out, "the folder to write")->required()->type_name("DIR");
    app.add_option("--layers", flags->n_layers, "only the first N layers")
        ->check(CLI::Range(int64_t{1}, int64_t{4096}))
        ->type_name("N");
    app.add_option("--seed", flags->seed, "of the random numbers (default 1)")->type_name("S");
    return [flags, &common] { return synth(*flags, common); };
}

}  // namespace

const Command kSynthCommand = {"synth", "a random model of any configuration, for measuring",
                               setup};

}  // namespace nereus
