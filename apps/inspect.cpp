// inspect: what a model is and what it costs, from its files or from a bare config.json.

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "apps/input.h"
#include "apps/open.h"
#include "base/file.h"
#include "base/units.h"
#include "model/count.h"
#include "model/kv_format.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kConfigBytesMax = 16ULL << 20;

struct FormatTotals {
    int64_t n_tensors = 0;
    int64_t n_bytes = 0;
};

struct Report {
    ModelConfig config;
    bool has_weights = false;
    PartCounts bytes;  ///< estimated from the declared type without weights
    std::map<std::string, FormatTotals> formats;
    bool has_panels = false;
    KvFormat kv_format = KvFormat::kF32;

    int64_t kv_bytes_per_token() const {
        return kv_spec_of(config, kv_format, 1).bytes_per_token();
    }
};

/// The config.json to read when there are no weights beside it; empty otherwise.
fs::path bare_config(const fs::path& path) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
        const bool weights = path_exists(path / "model.safetensors") ||
                             path_exists(path / "model.safetensors.index.json") ||
                             path_exists(path / "pack.json") || path_exists(path / "pack.partial");
        return weights || !path_exists(path / "config.json") ? fs::path() : path / "config.json";
    }
    return path.extension() == ".json" ? path : fs::path();
}

/// Bytes a weight of the part takes by what config.json declares: two for BF16 and F16, four for
/// F32; FP8 matrices one plus their scales, their ends, norms and router as declared.
double declared_weight_bytes(const Json& config, ModelPart part) {
    const auto quantization = config.find("quantization_config");
    const bool fp8 = quantization != config.end() && quantization->is_object() &&
                     quantization->value("quant_method", Json()) == "fp8";
    const bool plain = part == ModelPart::kEmbedding || part == ModelPart::kHead ||
                       part == ModelPart::kNorms || part == ModelPart::kRouter;
    constexpr double kFp8Bytes = 1.0 + 4.0 / (128 * 128);
    if (fp8 && !plain) {
        return kFp8Bytes;
    }
    const Json type =
        config.contains("torch_dtype") ? config["torch_dtype"] : config.value("dtype", Json());
    return type == "float32" ? 4.0 : 2.0;
}

Result<Report> report_of_config(const fs::path& path) {
    const std::string text = NEREUS_TRY(read_file(path, kConfigBytesMax));
    const Json json = NEREUS_TRY(parse_json(text, path.string()));
    Report report;
    report.config = NEREUS_TRY(config_from_json(json, path.string()));
    const PartCounts parameters = count_parameters(report.config);
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        report.bytes[part] = static_cast<int64_t>(static_cast<double>(parameters[part]) *
                                                  declared_weight_bytes(json, part));
    }
    return report;
}

int64_t stored_bytes(const StoredTensor& tensor) {
    const int64_t scales = tensor.scales == nullptr
                               ? 0
                               : ceil_div<int64_t>(tensor.shape.rows(), 128) *
                                     ceil_div<int64_t>(tensor.shape.cols(), 128) * 4;
    return static_cast<int64_t>(tensor.data.size()) + scales;
}

Result<Report> report_of_checkpoint(const fs::path& path) {
    const auto checkpoint = NEREUS_TRY(open_checkpoint(path));
    Report report;
    report.has_weights = true;
    report.has_panels = has_panels(*checkpoint);
    report.config = NEREUS_TRY(config_of(*checkpoint));
    for (const StoredTensor& tensor : checkpoint->tensors()) {
        const int64_t n_bytes = stored_bytes(tensor);
        report.bytes[part_of_tensor(tensor.name, report.config)] += n_bytes;
        FormatTotals& totals = report.formats[std::string(format_of(tensor.format).name)];
        totals.n_tensors += 1;
        totals.n_bytes += n_bytes;
    }
    return report;
}

int64_t bytes_per_token(const Report& report) {
    double sum = 0;
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        sum += static_cast<double>(report.bytes[part]) * share_read_per_token(report.config, part);
    }
    return static_cast<int64_t>(sum);
}

struct Dimension {
    const char* name;
    int64_t ModelConfig::* field;
};
constexpr Dimension kDimensions[] = {
    {"vocab_size", &ModelConfig::vocab_size},
    {"hidden_size", &ModelConfig::hidden_size},
    {"intermediate_size", &ModelConfig::intermediate_size},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers},
    {"num_attention_heads", &ModelConfig::num_attention_heads},
    {"num_key_value_heads", &ModelConfig::num_key_value_heads},
    {"head_dim", &ModelConfig::head_dim},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings},
    {"q_lora_rank", &ModelConfig::q_lora_rank},
    {"kv_lora_rank", &ModelConfig::kv_lora_rank},
    {"qk_nope_head_dim", &ModelConfig::qk_nope_head_dim},
    {"qk_rope_head_dim", &ModelConfig::qk_rope_head_dim},
    {"v_head_dim", &ModelConfig::v_head_dim},
    {"moe_intermediate_size", &ModelConfig::moe_intermediate_size},
    {"n_routed_experts", &ModelConfig::n_routed_experts},
    {"n_shared_experts", &ModelConfig::n_shared_experts},
    {"num_experts_per_tok", &ModelConfig::num_experts_per_tok},
    {"first_k_dense_replace", &ModelConfig::first_k_dense_replace},
    {"num_nextn_predict_layers", &ModelConfig::num_nextn_predict_layers},
};

/// Parts that are there, in table order.
Json parts_json(const PartCounts& counts) {
    Json json = Json::object();
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        if (counts[part] != 0) {
            json[std::string(model_part_name(part))] = counts[part];
        }
    }
    return json;
}

Json report_json(const Report& report) {
    const PartCounts parameters = count_parameters(report.config);
    Json json;
    json["family"] = report.config.model_type;
    for (const Dimension& dimension : kDimensions) {
        if (report.config.*dimension.field != 0) {
            json["dimensions"][dimension.name] = report.config.*dimension.field;
        }
    }
    json["parameters"]["total"] = parameters.total();
    json["parameters"]["active"] = active_parameters(report.config);
    json["parameters"]["mtp"] = parameters[ModelPart::kMtp];
    json["parameters"]["by_part"] = parts_json(parameters);
    json["weights"] = report.has_weights ? "stored" : "estimated";
    for (const auto& [name, totals] : report.formats) {
        json["formats"][name] = {{"tensors", totals.n_tensors}, {"bytes", totals.n_bytes}};
    }
    json["bytes"]["total"] = report.bytes.total() + report.bytes[ModelPart::kMtp];
    json["bytes"]["by_part"] = parts_json(report.bytes);
    json["bytes_per_token"] = bytes_per_token(report);
    json["kv_bytes_per_token"] = report.kv_bytes_per_token();
    json["kv_format"] = kv_format_row(report.kv_format).name;
    return json;
}

std::string count_text(int64_t n) {
    const auto value = static_cast<double>(n);
    return n >= 1'000'000'000 ? fmt::format("{:.3f} billion", value / 1e9)
                              : fmt::format("{:.3f} million", value / 1e6);
}

std::string bytes_text(int64_t n) {
    const auto value = static_cast<double>(n);
    return n >= 1'000'000'000 ? fmt::format("{:.2f} GB", value / 1e9)
           : n >= 1'000'000   ? fmt::format("{:.2f} MB", value / 1e6)
                              : fmt::format("{:.2f} kB", value / 1e3);
}

std::string report_text(const std::string& path, const Report& report) {
    const Json json = report_json(report);
    std::string out =
        fmt::format("model            {}\nfamily           {}\n", path, report.config.model_type);
    const PartCounts parameters = count_parameters(report.config);
    out +=
        fmt::format("parameters       {} total, {} active a token\n",
                    count_text(parameters.total()), count_text(active_parameters(report.config)));
    if (parameters[ModelPart::kMtp] > 0) {
        out += fmt::format("MTP              {} more, recognised and not used\n",
                           count_text(parameters[ModelPart::kMtp]));
    }
    for (const auto& [name, totals] : report.formats) {
        out += fmt::format("format           {:<14} {:>12} in {} tensors\n", name,
                           bytes_text(totals.n_bytes), totals.n_tensors);
    }
    out += fmt::format("weights          {}{}\n", bytes_text(json["bytes"]["total"].get<int64_t>()),
                       report.has_weights ? "" : " (estimated from the declared type)");
    for (size_t i = 0; i < kModelParts; ++i) {
        const auto part = static_cast<ModelPart>(i);
        if (report.bytes[part] != 0) {
            out += fmt::format("  {:<14} {:>12}  {}\n", model_part_name(part),
                               bytes_text(report.bytes[part]), count_text(parameters[part]));
        }
    }
    out += fmt::format("read per token   {}\n", bytes_text(bytes_per_token(report)));
    out += fmt::format("cache per token  {} ({})\n", bytes_text(report.kv_bytes_per_token()),
                       kv_format_row(report.kv_format).name);
    for (const auto& [name, value] : json["dimensions"].items()) {
        out += fmt::format("{:<24} {}\n", name, value.get<int64_t>());
    }
    return out;
}

struct InspectFlags {
    std::string model;
    bool json = false;
};

Result<ExitCode> inspect(const InspectFlags& flags, const CommonOptions& common) {
    const fs::path config = bare_config(flags.model);
    Report report =
        NEREUS_TRY(config.empty() ? report_of_checkpoint(flags.model) : report_of_config(config));
    report.kv_format =
        NEREUS_TRY(choose_kv_format(cache_option(common), report.config, report.has_panels));
    return print_result(flags.json ? dump_json(report_json(report)) + "\n"
                                   : report_text(flags.model, report));
}

CommandBody setup(CLI::App& app, const CommonOptions& common) {
    auto flags = std::make_shared<InspectFlags>();
    app.add_option("MODEL", flags->model, "model folder, GGUF, or a bare config.json")->required();
    app.add_flag("--json", flags->json, "one JSON object");
    return [flags, &common] { return inspect(*flags, common); };
}

}  // namespace

const Command kInspectCommand = {"inspect", "what a model is: dimensions, parameters, bytes",
                                 setup};

}  // namespace nereus
