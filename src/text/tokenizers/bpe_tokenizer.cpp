#include "text/tokenizers/bpe_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/unicode.h"
#include "text/tokenizers/nfc.h"

namespace nereus {

struct BpeTokenizer::Encoding {
    std::vector<int32_t> ids;
    std::vector<Symbol> symbols;
};

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::create(BpeSpec spec, std::string_view origin) {
    PreSplitter splitter = NEREUS_TRY(PreSplitter::create(spec.split_rules, origin));
    return std::unique_ptr<Tokenizer>(new BpeTokenizer(std::move(spec), std::move(splitter)));
}

BpeTokenizer::BpeTokenizer(BpeSpec spec, PreSplitter splitter)
    : spec_(std::move(spec)), splitter_(std::move(splitter)), controls_(spec_.added) {
    plain_ = make_finders(false);
    all_ = make_finders(true);
    for (int byte = 0; byte < 256; ++byte) {
        const char symbol = static_cast<char>(byte);
        byte_ids_[static_cast<size_t>(byte)] = spec_.vocabulary.find(
            spec_.byte_level ? std::string(1, symbol) : fmt::format("<0x{:02X}>", byte));
    }
    has_all_bytes_ = std::find(byte_ids_.begin(), byte_ids_.end(), kNoToken) == byte_ids_.end();
    whole_ = std::make_unique<std::atomic<Whole>[]>(static_cast<size_t>(n_tokens()));
}

BpeTokenizer::Finders BpeTokenizer::make_finders(bool with_control) const {
    std::vector<AddedToken> raw;
    std::vector<AddedToken> normalized;
    for (const AddedToken& token : spec_.added) {
        if (!with_control && is_control_token(token)) {
            continue;
        }
        if (!token.normalized) {
            raw.push_back(token);
            continue;
        }
        normalized.push_back(token);
        normalized.back().text = normalize(token.text);
    }
    return {AddedTokenFinder(std::move(raw)), AddedTokenFinder(std::move(normalized))};
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, ControlTokens control) const {
    NEREUS_CHECK(text.size() < (uint64_t{1} << 31));  // positions in a piece are 32 bits
    const Finders& finders = control == ControlTokens::kParse ? all_ : plain_;
    Encoding encoding;
    encoding.ids.reserve(text.size() / 3);
    if (is_valid_utf8(text)) {
        encode_text(text, finders, encoding);
    } else if (!has_all_bytes_ || !spec_.byte_level) {
        encode_text(replace_invalid_utf8(text), finders, encoding);
    } else {
        while (!text.empty()) {  // valid runs as text, the bytes between them one by one
            size_t n = 0;
            while (n < text.size() && next_code_point(text.substr(n)).valid) {
                n += static_cast<size_t>(next_code_point(text.substr(n)).n_bytes);
            }
            encode_text(text.substr(0, n), finders, encoding);
            text.remove_prefix(n);
            if (!text.empty()) {
                encoding.ids.push_back(byte_ids_[static_cast<uint8_t>(text[0])]);
                text.remove_prefix(1);
            }
        }
    }
    return std::move(encoding.ids);
}

/// Valid UTF-8 from here on.
void BpeTokenizer::encode_text(std::string_view text, const Finders& finders,
                               Encoding& encoding) const {
    std::vector<TextSegment> segments;
    std::vector<TextSegment> inner;
    finders.raw.divide(text, segments);
    for (const TextSegment& segment : segments) {
        if (segment.id != kNoToken) {
            encoding.ids.push_back(segment.id);
            continue;
        }
        const std::string rewritten =
            spec_.normalizer.empty() ? std::string() : normalize(segment.text);
        inner.clear();
        finders.normalized.divide(spec_.normalizer.empty() ? segment.text : rewritten, inner);
        for (const TextSegment& part : inner) {
            if (part.id != kNoToken) {
                encoding.ids.push_back(part.id);
            } else {
                encode_normalized(part.text, encoding);
            }
        }
    }
}

std::string BpeTokenizer::normalize(std::string_view text) const {
    std::string out(text);
    for (const NormalizerStep& step : spec_.normalizer) {
        if (step.kind == NormalizerStep::Kind::kNfc) {
            out = normalize_nfc(out);
        } else if (step.kind == NormalizerStep::Kind::kPrepend) {
            out.insert(0, out.empty() ? std::string() : step.content);
        } else {
            std::string replaced;
            size_t from = 0;
            for (size_t at = out.find(step.pattern); at != out.npos;
                 at = out.find(step.pattern, from)) {
                replaced.append(out, from, at - from).append(step.content);
                from = at + step.pattern.size();
            }
            out = replaced.append(out, from);
        }
    }
    return out;
}

void BpeTokenizer::encode_normalized(std::string_view text, Encoding& encoding) const {
    splitter_.split(text, [&](std::string_view piece) { encode_piece(piece, encoding); });
}

void BpeTokenizer::encode_piece(std::string_view piece, Encoding& encoding) const {
    const int32_t token = spec_.vocabulary.find(piece);
    Whole whole = Whole::kNo;
    if (token != kNoToken) {
        whole = spec_.ignore_merges
                    ? Whole::kYes
                    : whole_[static_cast<size_t>(token)].load(std::memory_order_relaxed);
        if (whole == Whole::kYes) {
            encoding.ids.push_back(token);
            return;
        }
    }
    std::vector<Symbol>& symbols = encoding.symbols;
    symbols.clear();
    initial_symbols(piece, symbols);
    merge_symbols(symbols, [this](const Symbol& left, const Symbol& right) {
        return spec_.merges.find(left.id, right.id);
    });
    for (const Symbol& symbol : symbols) {
        if (symbol.id != kNoToken) {
            encoding.ids.push_back(symbol.id);
        }
    }
    if (whole == Whole::kUnknown) {
        const bool yes = symbols.size() == 1 && symbols[0].id == token;
        whole_[static_cast<size_t>(token)].store(yes ? Whole::kYes : Whole::kNo,
                                                 std::memory_order_relaxed);
    }
}

/// One symbol a byte or character. What has no token becomes byte tokens, else the unknown token,
/// else nothing, as in the reference.
void BpeTokenizer::initial_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
    if (!spec_.byte_level) {
        character_symbols(piece, symbols);
        return;
    }
    for (size_t i = 0; i < piece.size(); ++i) {
        const int32_t id = byte_ids_[static_cast<uint8_t>(piece[i])];
        const int32_t known = id != kNoToken ? id : spec_.unknown_id;
        if (known != kNoToken || spec_.missing_bytes_separate) {
            symbols.push_back({known, static_cast<uint32_t>(i), 1});
        }
    }
}

void BpeTokenizer::character_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
    bool after_unknown = false;
    for (size_t at = 0; at < piece.size();) {
        const auto n = static_cast<size_t>(next_code_point(piece.substr(at)).n_bytes);
        const std::string_view character = piece.substr(at, n);
        const int32_t id = spec_.vocabulary.find(character);
        const auto begin = static_cast<uint32_t>(at);
        const auto size = static_cast<uint32_t>(n);
        at += n;
        if (id != kNoToken) {
            symbols.push_back({id, begin, size});
        } else if (!spec_.byte_fallback || !byte_symbols(character, begin, symbols)) {
            if (after_unknown && spec_.fuse_unknown) {
                symbols.back().size += size;
            } else if (spec_.unknown_id != kNoToken) {
                symbols.push_back({spec_.unknown_id, begin, size});
            }
            after_unknown = spec_.unknown_id != kNoToken;
            continue;
        }
        after_unknown = false;
    }
}

/// The <0xNN> tokens of a character; false when one of them is missing.
bool BpeTokenizer::byte_symbols(std::string_view bytes, uint32_t begin,
                                std::vector<Symbol>& symbols) const {
    const auto has_token = [this](char byte) {
        return byte_ids_[static_cast<uint8_t>(byte)] != kNoToken;
    };
    if (!std::all_of(bytes.begin(), bytes.end(), has_token)) {
        return false;
    }
    for (const char byte : bytes) {
        symbols.push_back({byte_ids_[static_cast<uint8_t>(byte)], begin++, 1});
    }
    return true;
}

std::string_view BpeTokenizer::token_bytes(int32_t id) const {
    return spec_.printed.has(id) ? spec_.printed.bytes(id) : spec_.vocabulary.bytes(id);
}

std::string BpeTokenizer::decode(std::span<const int32_t> ids, bool skip_control) const {
    std::string text;
    for (const int32_t id : ids) {
        if (!skip_control || !controls_.is_special(id)) {
            text += token_bytes(id);
        }
    }
    if (spec_.strip_leading_space && text.starts_with(' ')) {
        text.erase(0, 1);
    }
    return text;
}

std::optional<int32_t> BpeTokenizer::find_control(std::string_view text) const {
    return optional_token(controls_.find(text));
}
std::optional<int32_t> BpeTokenizer::bos_id() const { return optional_token(spec_.bos_id); }
std::optional<int32_t> BpeTokenizer::eos_id() const { return optional_token(spec_.eos_id); }

}  // namespace nereus
