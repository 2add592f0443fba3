#pragma once
// Recipes: which number format each role of tensor gets when a model is packed. One row a recipe.

#include <array>
#include <span>
#include <string_view>

#include "base/result.h"
#include "model/tensor_plan.h"
#include "tensor/format.h"
#include "weights/pack.h"

namespace nereus {

struct Recipe {
    std::string_view name;
    std::string_view help;  ///< one line
    std::array<FormatId, kTensorRoles> formats;
    bool rounds = true;  ///< in blocks, whose largest number costs the others
};

std::span<const Recipe> all_recipes();

/// errors: invalid_argument, with the names there are
Result<const Recipe*> find_recipe(std::string_view name);

/// The format a tensor gets: the recipe's, or bf16 where its rows cannot lie in panels. Vectors are
/// f32; a router stays f32 or bf16 as `stored` says and becomes f32 otherwise.
FormatId format_for(const Recipe& recipe, const ModelTensor& tensor, FormatId stored);

/// Blobs of a pack: every routed expert one, everything else tensor by tensor. formats has one
/// entry a tensor.
std::vector<PackBlob> pack_blobs(std::span<const ModelTensor> tensors,
                                 std::span<const FormatId> formats);

}  // namespace nereus
