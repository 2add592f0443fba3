#include "model/model_size.h"

#include <algorithm>

#include "base/json.h"
#include "base/units.h"
#include "model/tensor_plan.h"

namespace nereus {
namespace {

void add(std::vector<PartSize>& parts, ModelPart part, FormatId format, double n_weights,
         double n_bytes) {
    const auto same = std::find_if(parts.begin(), parts.end(), [&](const PartSize& each) {
        return each.part == part && each.format == format;
    });
    PartSize& size = same != parts.end() ? *same : parts.emplace_back(PartSize{part, format, 0, 0});
    size.n_weights += n_weights;
    size.n_bytes += n_bytes;
}

/// Scales of an fp8 matrix beside its bytes.
int64_t scale_bytes(FormatId format, int64_t rows, int64_t cols) {
    return format == FormatId::kFp8Block128
               ? ceil_div<int64_t>(rows, 128) * ceil_div<int64_t>(cols, 128) * 4
               : 0;
}

/// What the models of one tensor list weigh when each tensor has the format that choose gives it.
template <typename Choose>
std::vector<PartSize> sizes_of(const ModelConfig& config, TensorLayout layout,
                               const Choose& choose) {
    std::vector<PartSize> parts;
    for (const ModelTensor& tensor : model_tensors(config, CheckpointKind::kHuggingFace, layout)) {
        if (tensor.optional) {
            continue;
        }
        const FormatId format = choose(tensor);
        add(parts, part_of_tensor(tensor.name, config), format,
            static_cast<double>(tensor.rows * tensor.cols),
            static_cast<double>(format_of(format).matrix_bytes(tensor.rows, tensor.cols) +
                                scale_bytes(format, tensor.rows, tensor.cols)));
    }
    return parts;
}

bool is_fp8(const Json& config) {
    const auto quantization = config.find("quantization_config");
    return quantization != config.end() && quantization->is_object() &&
           quantization->value("quant_method", Json()) == "fp8";
}

FormatId declared_type(const Json& config) {
    const Json type =
        config.contains("torch_dtype") ? config["torch_dtype"] : config.value("dtype", Json());
    return type == "float32"   ? FormatId::kF32
           : type == "float16" ? FormatId::kF16
                               : FormatId::kBf16;
}

/// DeepSeek's fp8 models keep embedding, head, router and vectors as they are.
bool stays_wide(TensorRole role) {
    return role == TensorRole::kEmbedding || role == TensorRole::kHead ||
           role == TensorRole::kRouter || role == TensorRole::kVector;
}

}  // namespace

double ModelSize::n_bytes() const {
    double sum = 0;
    for (const PartSize& size : parts) {
        sum += size.n_bytes;
    }
    return sum;
}

double ModelSize::n_bytes_of(ModelPart part) const {
    double sum = 0;
    for (const PartSize& size : parts) {
        sum += size.part == part ? size.n_bytes : 0;
    }
    return sum;
}

int64_t ModelSize::n_mixture_layers() const {
    return std::count_if(config.layers.begin(), config.layers.end(),
                         [](const LayerPlan& layer) { return layer.ffn == FfnKind::kExperts; });
}

double ModelSize::expert_bytes() const {
    const auto n = static_cast<double>(n_mixture_layers() * config.n_routed_experts);
    return n == 0 ? 0 : n_bytes_of(ModelPart::kRoutedExperts) / n;
}

ModelSize size_in_recipe(const ModelConfig& config, const Recipe& recipe) {
    return {config, std::string(recipe.name),
            sizes_of(config, TensorLayout::kPack, [&](const ModelTensor& tensor) {
                return format_for(recipe, tensor, FormatId::kBf16);
            })};
}

ModelSize size_as_published(const ModelConfig& config, const Json& config_json) {
    const FormatId declared = declared_type(config_json);
    const bool fp8 = is_fp8(config_json);
    return {config, fmt::format("as published ({})", fp8 ? "fp8" : format_of(declared).name),
            sizes_of(config, TensorLayout::kPublished, [&](const ModelTensor& tensor) {
                return fp8 && !stays_wide(tensor.role) ? FormatId::kFp8Block128 : declared;
            })};
}

Result<ModelSize> size_of_files(const Checkpoint& checkpoint) {
    ModelSize size;
    size.config = NEREUS_TRY(config_of(checkpoint));
    size.format = "as stored";
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        const ModelPart part = part_of_tensor(tensor.name, size.config);
        if (part == ModelPart::kMtp || tensor.shape.rows() <= 0) {
            continue;
        }
        const int64_t scales = tensor.scales == nullptr
                                   ? 0
                                   : ceil_div<int64_t>(tensor.shape.rows(), 128) *
                                         ceil_div<int64_t>(tensor.shape.cols(), 128) * 4;
        const FormatId format = tensor.scales == nullptr ? tensor.format : FormatId::kFp8Block128;
        add(size.parts, part, format,
            static_cast<double>(tensor.shape.rows() * tensor.shape.cols()),
            static_cast<double>(static_cast<int64_t>(tensor.data.size()) + scales));
    }
    return size;
}

}  // namespace nereus
