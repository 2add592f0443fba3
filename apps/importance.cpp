#include "apps/importance.h"

#include <algorithm>
#include <memory>

#include "apps/eval.h"
#include "apps/open.h"
#include "apps/text_windows.h"
#include "apps/work_progress.h"

namespace nereus {
namespace {

/// Logits of a window: enough rows for the head's statistics, few enough for a large vocabulary.
constexpr size_t kLogitRows = 64;

}  // namespace

Result<InputStatistics> measure_importance(const Checkpoint& checkpoint, const ImportanceText& text,
                                           ThreadPool& pool, const CommonOptions& common) {
    const OpenedText opened = NEREUS_TRY(open_text(checkpoint.path(), "auto"));
    NEREUS_TRY(need_tokenizer(opened));
    // Only sums of squares come of it, so the fast rounding of activations is good enough.
    const auto backend = NEREUS_TRY(create_cpu_backend(pool, common.isa));
    const auto model = NEREUS_TRY(load_model(checkpoint, *backend));
    const int64_t context = std::min(kImportanceContext, model->config().max_position_embeddings);
    const auto ids = NEREUS_TRY(text_windows(opened, text.raw, context, text.n_windows, text.path));
    EvalSequence sequence = NEREUS_TRY(EvalSequence::create(*model, context));
    InputStatistics statistics;
    backend->observe_products([&](auto tasks) { statistics.add(tasks, pool); });
    WorkProgress progress("Reading the text");
    const auto window = static_cast<size_t>(context);
    for (size_t begin = 0; begin < ids.size(); begin += window) {
        sequence.reset();
        NEREUS_TRY(sequence.feed(std::span(ids).subspan(begin, window), kLogitRows));
        progress.update(static_cast<double>(begin + window) / static_cast<double>(ids.size()));
    }
    statistics.finish();
    return statistics;
}

}  // namespace nereus
