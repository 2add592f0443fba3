#include "text/tokenizers/sentencepiece_tokenizer.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/unicode.h"

namespace nereus {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

std::string escape_spaces(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 2);
    for (const char c : text) {
        if (c == ' ') {
            out += kSpaceMark;
        } else {
            out += c;
        }
    }
    return out;
}

AddedTokenFinder finder(const std::vector<AddedToken>& added, bool with_control) {
    std::vector<AddedToken> tokens;
    for (const AddedToken& token : added) {
        if (with_control || !is_control_token(token)) {
            tokens.push_back(token);
        }
    }
    return AddedTokenFinder(std::move(tokens));
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(SentencePieceSpec spec)
    : spec_(std::move(spec)),
      controls_(spec_.added),
      plain_(finder(spec_.added, false)),
      all_(finder(spec_.added, true)) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        byte_ids_[byte] = spec_.vocabulary.find(fmt::format("<0x{:02X}>", byte));
    }
}

std::vector<int32_t> SentencePieceTokenizer::encode(std::string_view text,
                                                    ControlTokens control) const {
    NEREUS_CHECK(text.size() < (uint64_t{1} << 30));  // three bytes a space, positions of 32 bits
    std::vector<TextSegment> segments;
    (control == ControlTokens::kParse ? all_ : plain_).divide(text, segments);
    std::vector<int32_t> ids;
    ids.reserve(text.size() / 3);
    bool after_token = true;  // the begin of the text counts as one
    for (const TextSegment& segment : segments) {
        if (segment.id != kNoToken) {
            ids.push_back(segment.id);
        } else {
            const bool prefix = spec_.add_space_prefix && after_token;
            encode_text(escape_spaces(prefix ? std::string(1, ' ').append(segment.text)
                                             : std::string(segment.text)),
                        ids);
        }
        after_token = segment.id != kNoToken;
    }
    return ids;
}

void SentencePieceTokenizer::encode_text(std::string_view text, std::vector<int32_t>& ids) const {
    std::vector<Symbol> symbols;
    for (size_t at = 0; at < text.size();) {
        const auto n = static_cast<size_t>(next_code_point(text.substr(at)).n_bytes);
        symbols.push_back({spec_.vocabulary.find(text.substr(at, n)), static_cast<uint32_t>(at),
                           static_cast<uint32_t>(n)});
        at += n;
    }
    merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
        const int32_t id =
            spec_.vocabulary.find(text.substr(left.begin, size_t{left.size} + right.size));
        if (id == kNoToken) {
            return std::nullopt;
        }
        return Merge{spec_.priorities[static_cast<size_t>(id)], id};
    });
    for (const Symbol& symbol : symbols) {
        emit(text, symbol, ids);
    }
}

/// A symbol's token; without one its bytes', and where those are missing the unknown token.
void SentencePieceTokenizer::emit(std::string_view text, const Symbol& symbol,
                                  std::vector<int32_t>& ids) const {
    if (symbol.id != kNoToken) {
        ids.push_back(symbol.id);
        return;
    }
    for (const char byte : text.substr(symbol.begin, symbol.size)) {
        const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
        const int32_t known = id != kNoToken ? id : spec_.unknown_id;
        if (known != kNoToken) {
            ids.push_back(known);
        }
    }
}

std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids, bool skip_control) const {
    std::string text;
    bool at_begin = spec_.add_space_prefix;
    for (const int32_t id : ids) {
        if (skip_control && controls_.is_special(id)) {
            continue;
        }
        const std::string_view bytes = token_bytes(id);
        text += at_begin && bytes.starts_with(' ') ? bytes.substr(1) : bytes;
        at_begin = at_begin && bytes.empty();
    }
    return text;
}

std::optional<int32_t> SentencePieceTokenizer::find_control(std::string_view text) const {
    return optional_token(controls_.find(text));
}

}  // namespace nereus
