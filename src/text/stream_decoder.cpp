#include "text/stream_decoder.h"

#include <algorithm>

#include "base/unicode.h"

namespace nereus {
namespace {

/// How many bytes at the end of `text` are the beginning of `stop`, but not all of it.
size_t overlap(std::string_view text, std::string_view stop) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
        if (stop.starts_with(text.substr(text.size() - n))) {
            return n;
        }
    }
    return 0;
}

}  // namespace

Result<StreamDecoder> StreamDecoder::create(const Tokenizer& tokenizer, Options options) {
    if (options.stop.size() > kMaxStopStrings) {
        return make_error(ErrorCode::kInvalidArgument, "{} stop strings; at most {} are accepted",
                          options.stop.size(), kMaxStopStrings);
    }
    for (const std::string& stop : options.stop) {
        if (stop.empty() || stop.size() > kMaxStopBytes) {
            return make_error(ErrorCode::kInvalidArgument,
                              "a stop string of {} bytes; expected 1 to {}", stop.size(),
                              kMaxStopBytes);
        }
    }
    return StreamDecoder(tokenizer, std::move(options));
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, Options options)
    : tokenizer_(&tokenizer), options_(std::move(options)) {}

std::string StreamDecoder::feed(int32_t id) {
    if (stopped()) {
        return {};
    }
    const int32_t ids[] = {id};
    const std::string piece = tokenizer_->decode(ids, options_.skip_control);
    const std::string_view bytes = tokenizer_->token_bytes(id);
    // Alone, every token is at the begin of the text, where decode may leave out a space; later
    // ones keep theirs. A token that decodes to nothing because it is skipped stays nothing.
    const bool skipped = options_.skip_control && tokenizer_->is_control(id) && piece.empty();
    const bool shortened = !at_begin_ && !skipped && piece.size() + 1 == bytes.size();
    held_ += shortened ? std::string(bytes) : piece;
    at_begin_ = at_begin_ && (skipped || bytes.empty());
    return cut_at_stop() ? release(held_.size()) : release(certain_bytes());
}

std::string StreamDecoder::finish() { return release(held_.size()); }

/// Ends the text before the earliest stop string in it, if there is one.
bool StreamDecoder::cut_at_stop() {
    size_t earliest = held_.size();
    for (size_t i = 0; i < options_.stop.size(); ++i) {
        const size_t at = held_.find(options_.stop[i]);
        if (at != held_.npos && (!stopped() || at < earliest)) {
            earliest = at;
            stop_index_ = static_cast<int>(i);
        }
    }
    held_.resize(earliest);
    return stopped();
}

/// What neither an unfinished character nor the beginning of a stop string can change any more.
size_t StreamDecoder::certain_bytes() const {
    size_t held_back = 0;
    for (const std::string& stop : options_.stop) {
        held_back = std::max(held_back, overlap(held_, stop));
    }
    const std::string_view rest = std::string_view(held_).substr(0, held_.size() - held_back);
    return rest.size() - incomplete_utf8_suffix(rest);
}

std::string StreamDecoder::release(size_t n) {
    std::string text = replace_invalid_utf8(std::string_view(held_).substr(0, n));
    held_.erase(0, n);
    return text;
}

}  // namespace nereus
