#pragma once
// Repack: the tensors of one checkpoint, rounded to the formats of a recipe, as the bytes of a
// pack. Reads rows in pieces and lets their pages go, so that memory stays small whatever the
// model.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/recipe.h"
#include "model/tensor_plan.h"
#include "weights/checkpoint.h"
#include "weights/pack.h"

namespace nereus {

class ThreadPool;

/// How much each input column of a matrix matters: [cols], or null for all alike. `rows` is where
/// the rows lie in the source checkpoint. threads: several at once
using ImportanceOf = std::function<const float*(const std::byte* rows, int64_t cols)>;

/// Whether a pack keeps the published basis or turns it (turning.h). Turning is for numbers that
/// are rounded in blocks; a model with tied embeddings, or one that is turned already, keeps its
/// own: the first needs its gains before the head, the second shows it by gains that are all one.
enum class PackBasis { kPublished, kTurned };

class Repack {
  public:
    /// Chooses formats and checks every shape. `options` tells runs apart that differ in more than
    /// model and recipe. The checkpoint must outlive the result. errors: those of the
    /// configuration; not_found (a tensor), corrupt (a shape)
    static Result<std::unique_ptr<Repack>> plan(const Checkpoint& checkpoint, const Recipe& recipe,
                                                const std::string& options,
                                                PackBasis basis = PackBasis::kPublished);
    virtual ~Repack() = default;

    virtual const PackContent& content() const = 0;
    virtual const std::vector<ModelTensor>& tensors() const = 0;
    /// Tensors of the checkpoint that a pack leaves out (multi-token prediction).
    virtual int64_t n_left_out() const = 0;
    /// How many routed experts a text left without any input; they are rounded as if all columns
    /// mattered alike. errors: invalid_argument (another matrix has none; names it)
    virtual Result<int64_t> n_unseen_experts(const ImportanceOf& importance) const = 0;
    /// Writes what the writer still wants. importance may be null. errors: corrupt (a number that
    /// is not finite), io
    virtual Status write(PackWriter& writer, ThreadPool& pool, const ImportanceOf& importance,
                         const std::function<void()>& progress) = 0;
};

}  // namespace nereus
