// synth: a random model of any configuration, in any format, so that real shapes can be measured
// without the weights.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/open.h"
#include "apps/random_model.h"
#include "apps/synth_gguf.h"
#include "apps/work_progress.h"
#include "base/file.h"
#include "base/units.h"
#include "model/recipe.h"
#include "weights/model_files.h"
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

/// The tensors of the model; optional ones as the family has them: biases of q, k and v.
std::vector<ModelTensor> synthetic_tensors(const ModelConfig& config, CheckpointKind kind,
                                           TensorLayout layout) {
    std::vector<ModelTensor> tensors = model_tensors(config, kind, layout);
    std::erase_if(tensors, [&](const ModelTensor& tensor) {
        const bool output = tensor.name.find("o_proj") != std::string::npos ||
                            tensor.name.find("attn_output") != std::string::npos;
        const bool bias = tensor.name.ends_with(".bias") && !output;
        return tensor.optional && !(bias && config.attention_bias);
    });
    return tensors;
}

Result<ExitCode> synth_pack(const SynthFlags& flags, const SynthConfig& config,
                            const Recipe& recipe, ThreadPool& pool) {
    const std::vector<ModelTensor> tensors =
        synthetic_tensors(config.config, CheckpointKind::kHuggingFace, TensorLayout::kPack);
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

/// One tensor of a file: random numbers, or the scales of the fp8 tensor before it.
struct FileItem {
    size_t tensor = 0;
    bool is_scales = false;
    FileTensor file;
};

Status write_items(const std::vector<ModelTensor>& tensors, const std::vector<FileItem>& items,
                   TensorFileWriter& writer, RandomBytes random) {
    WorkProgress progress("Writing");
    const AppendBytes append = [&](std::span<const std::byte> bytes) {
        return writer.append(bytes);
    };
    for (size_t i = 0; i < items.size(); ++i) {
        const ModelTensor& tensor = tensors[items[i].tensor];
        NEREUS_TRY(items[i].is_scales ? random.write_fp8_scales(tensor, append)
                                      : random.write(tensor, items[i].file.format, append));
        progress.update(static_cast<double>(i + 1) / static_cast<double>(items.size()));
    }
    return writer.finish();
}

std::vector<FileTensor> files_of(const std::vector<FileItem>& items) {
    std::vector<FileTensor> files;
    for (const FileItem& item : items) {
        files.push_back(item.file);
    }
    return files;
}

Result<ExitCode> report(const SynthFlags& flags, const SynthConfig& config,
                        const std::vector<FileItem>& items) {
    int64_t n_bytes = 0;
    for (const FileItem& item : items) {
        const Shape& shape = item.file.shape;
        n_bytes += format_of(item.file.format).matrix_bytes(shape.rows(), shape.cols());
    }
    return print_result(fmt::format("{}: {} layers, {}\n", flags.out,
                                    config.config.num_hidden_layers,
                                    human_bytes(static_cast<uint64_t>(n_bytes))));
}

/// A folder as published: everything bf16, or matrices fp8 with block scales as V3's.
Result<ExitCode> synth_folder(const SynthFlags& flags, const SynthConfig& config, bool fp8,
                              ThreadPool& pool) {
    const std::vector<ModelTensor> tensors =
        synthetic_tensors(config.config, CheckpointKind::kHuggingFace, TensorLayout::kPublished);
    std::vector<FileItem> items;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const ModelTensor& tensor = tensors[i];
        const bool vector = tensor.role == TensorRole::kVector;
        const bool plain = tensor.role == TensorRole::kEmbedding ||
                           tensor.role == TensorRole::kHead || tensor.role == TensorRole::kRouter;
        const FormatId format = vector          ? FormatId::kF32
                                : fp8 && !plain ? FormatId::kFp8Block128
                                                : FormatId::kBf16;
        const Shape shape{vector ? std::vector<int64_t>{tensor.cols}
                                 : std::vector<int64_t>{tensor.rows, tensor.cols}};
        items.push_back({i, false, {tensor.name, format, shape}});
        if (format == FormatId::kFp8Block128) {
            const Shape scales{
                {ceil_div<int64_t>(tensor.rows, 128), ceil_div<int64_t>(tensor.cols, 128)}};
            items.push_back({i, true, {tensor.name + "_scale_inv", FormatId::kF32, scales}});
        }
    }
    Json json = config.json;
    if (fp8) {
        json["quantization_config"] = {{"activation_scheme", "dynamic"},
                                       {"fmt", "e4m3"},
                                       {"quant_method", "fp8"},
                                       {"weight_block_size", {128, 128}}};
    }
    const auto writer =
        NEREUS_TRY(create_safetensors_folder(flags.out, files_of(items), dump_json(json) + "\n"));
    NEREUS_TRY(write_items(tensors, items, *writer, RandomBytes(pool, flags.seed)));
    return report(flags, config, items);
}

/// llama.cpp's Q4_K_M of the model, in one file.
Result<ExitCode> synth_gguf(const SynthFlags& flags, const SynthConfig& config, ThreadPool& pool) {
    const std::vector<ModelTensor> tensors =
        synthetic_tensors(config.config, CheckpointKind::kGguf, TensorLayout::kSplitHeads);
    std::vector<FileItem> items;
    for (size_t i = 0; i < tensors.size(); ++i) {
        items.push_back({i, false, q4_k_m_tensor(tensors[i], config.config)});
    }
    const GgufPairs pairs = gguf_pairs(config.config);
    const auto writer = NEREUS_TRY(create_gguf(flags.out, pairs, files_of(items)));
    NEREUS_TRY(write_items(tensors, items, *writer, RandomBytes(pool, flags.seed)));
    return report(flags, config, items);
}

Result<ExitCode> synth(const SynthFlags& flags, const CommonOptions& common) {
    const SynthConfig config = NEREUS_TRY(read_config(flags));
    ThreadPool pool(common.threads);
    if (flags.format == "bf16" || flags.format == "fp8") {
        return synth_folder(flags, config, flags.format == "fp8", pool);
    }
    if (flags.format == "gguf-q4_k_m") {
        return synth_gguf(flags, config, pool);
    }
    const auto recipe = find_recipe(flags.format);
    if (!recipe.ok()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}; or bf16 or fp8 (a folder as published), gguf-q4_k_m (a file)",
                          recipe.error().message);
    }
    return synth_pack(flags, config, **recipe, pool);
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<SynthFlags>();
    app.add_option("CONFIG", flags->config, "a config.json")->required();
    app.add_option("--format", flags->format,
                   "q8, q4, q4-mixed, q2 (packs); bf16, fp8 (a folder as published); gguf-q4_k_m "
                   "(a file)")
        ->required()
        ->type_name("NAME");
    app.add_option("--out", flags->out, "the folder or file to write")
        ->required()
        ->type_name("PATH");
    app.add_option("--layers", flags->n_layers, "only the first N layers")
        ->check(CLI::Range(int64_t{1}, int64_t{4096}))
        ->type_name("N");
    app.add_option("--seed", flags->seed, "of the random numbers (default 1)")
        ->check(CLI::Range(uint64_t{0}, uint64_t{INT64_MAX}))
        ->type_name("S");
    return [flags, &common] { return synth(*flags, common); };
}

}  // namespace

const Command kSynthCommand = {"synth", "a random model of any configuration, for measuring",
                               setup};

}  // namespace nereus
