#include "terminal/thinking.h"

#include <fmt/format.h>

#include "terminal/layout/wrap_writer.h"

namespace nereus {

struct ThinkingView::Writer {
    WrapWriter wrap;
};

ThinkingView::ThinkingView(TerminalSink sink, TerminalTraits traits, bool live)
    : sink_(std::move(sink)), traits_(traits), live_(live) {
    writer_ = std::make_unique<Writer>(Writer{WrapWriter(sink_, traits.columns - 1)});
}

ThinkingView::~ThinkingView() = default;

void ThinkingView::write(std::string_view text) {
    started_ = true;
    if (!live_) {
        return;
    }
    if (!traits_.is_terminal) {
        in_text_ = true;
        last_ = text.empty() ? last_ : text.back();
        sink_(text);
        return;
    }
    const std::string clean = neutralise(text);
    std::string_view rest = clean;
    if (!in_text_) {
        rest.remove_prefix(std::min(rest.find_first_not_of('\n'), rest.size()));
        if (rest.empty()) {
            return;
        }
        in_text_ = true;
        if (traits_.can_style) {
            sink_(sgr::kDim);
        }
    }
    writer_->wrap.write(rest);
}

void ThinkingView::finish(std::string_view summary, const TerminalTraits& now) {
    if (!started_) {
        return;
    }
    writer_->wrap.flush();
    if (in_text_ && traits_.can_style) {
        const int n_rows = writer_->wrap.n_rows();
        const bool visible = now.columns == traits_.columns && n_rows < now.rows - 1;
        sink_(sgr::kReset);
        if (visible) {
            sink_(n_rows > 0 ? fmt::format("\r\x1b[{}A\x1b[J", n_rows) : "\r\x1b[J");
        } else {
            sink_("\n");
        }
    } else if (in_text_ && (traits_.is_terminal ? writer_->wrap.column() > 0 : last_ != '\n')) {
        sink_("\n");
    }
    if (!summary.empty()) {
        sink_(styled(summary, sgr::kDim, traits_));
        sink_("\n");
    }
    started_ = false;
}

}  // namespace nereus
