#include "model/recipe.h"

#include "tensor/panel.h"

namespace nereus {
namespace {

using enum FormatId;

/// Below this a panel's padding costs more than its rounding saves.
constexpr int64_t kLeastPanelColumns = 32;

// In the order of TensorRole; the last two are decided by format_for.
constexpr Recipe kRecipes[] = {
    {"q8", "8.1 bits everywhere", {kQ8, kQ8, kQ8, kQ8, kQ8, kQ8, kQ8, kF32, kF32}},
    {"q4",
     "4.5 bits; 8.1 for embedding, head and the latent heads",
     {kQ8, kQ8, kQ4, kQ8, kQ4, kQ4, kQ4, kF32, kF32}},
    {"q4-mixed",
     "routed experts 4.5 bits, everything else 8.1",
     {kQ8, kQ8, kQ8, kQ8, kQ8, kQ8, kQ4, kF32, kF32}},
    {"q2",
     "routed experts 2.9 bits, the rest as q4",
     {kQ8, kQ8, kQ4, kQ8, kQ4, kQ4, kQ2, kF32, kF32}},
    {"bf16",
     "16 bits, for comparison",
     {kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, kBf16, kF32, kF32},
     false},
    {"f32",
     "32 bits: no rounding, for comparison",
     {kF32, kF32, kF32, kF32, kF32, kF32, kF32, kF32, kF32},
     false},
};

bool fits_panels(const ModelTensor& tensor) {
    return tensor.rows >= kPanelRows && tensor.cols >= kLeastPanelColumns &&
           tensor.slice_rows % kPanelRows == 0;
}

}  // namespace

std::span<const Recipe> all_recipes() { return kRecipes; }

Result<const Recipe*> find_recipe(std::string_view name) {
    std::string names;
    for (const Recipe& recipe : kRecipes) {
        if (recipe.name == name) {
            return &recipe;
        }
        names += names.empty() ? "" : ", ";
        names += recipe.name;
    }
    return make_error(ErrorCode::kInvalidArgument, "--format {}: expected one of {}", name, names);
}

FormatId format_for(const Recipe& recipe, const ModelTensor& tensor, FormatId stored) {
    if (tensor.role == TensorRole::kVector) {
        return kF32;
    }
    if (tensor.role == TensorRole::kRouter) {
        return stored == kBf16 ? kBf16 : kF32;
    }
    const FormatId wanted = recipe.formats[static_cast<size_t>(tensor.role)];
    const bool panels = format_of(wanted).panel != nullptr;
    return panels && !fits_panels(tensor) ? kBf16 : wanted;
}

std::vector<PackBlob> pack_blobs(std::span<const ModelTensor> tensors,
                                 std::span<const FormatId> formats) {
    std::vector<PackBlob> blobs;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const ModelTensor& tensor = tensors[i];
        const bool same_expert = i > 0 && tensor.expert >= 0 &&
                                 tensors[i - 1].expert == tensor.expert &&
                                 tensors[i - 1].layer == tensor.layer;
        if (!same_expert) {
            blobs.push_back({tensor.expert >= 0, {}});
        }
        Shape shape{{tensor.rows, tensor.cols}};
        if (tensor.role == TensorRole::kVector) {
            shape.dims = {tensor.cols};
        }
        blobs.back().tensors.push_back({tensor.name, formats[i], shape});
    }
    return blobs;
}

}  // namespace nereus
