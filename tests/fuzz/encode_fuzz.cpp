// Any bytes to tokens and back, with the tokenizer of the bundled model: the same bytes, no control
// token from text of a user, and a stream that gives out the same text in parts.

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/unicode.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace {

std::unique_ptr<nereus::Tokenizer> load() {
    for (std::filesystem::path folder = std::filesystem::current_path();;
         folder = folder.parent_path()) {
        const auto path = folder / "models/nereus-seed/tokenizer.json";
        const auto json = nereus::read_file(path, uint64_t{1} << 26);
        if (json.ok()) {
            return std::move(nereus::tokenizer_from_json(*json, path.string())).value();
        }
        if (folder == folder.parent_path()) {
            std::abort();  // run it somewhere in the source tree
        }
    }
}

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using nereus::ControlTokens;
    static const std::unique_ptr<nereus::Tokenizer> tokenizer = load();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto plain = tokenizer->encode(text, ControlTokens::kAsText);
    for (const int32_t id : plain) {
        require(!tokenizer->is_control(id));
    }
    require(tokenizer->decode(plain, false) == text);
    const auto parsed = tokenizer->encode(text, ControlTokens::kParse);
    require(tokenizer->decode(parsed, false) == text);

    auto stream = nereus::StreamDecoder::create(*tokenizer, {{"stop", "a<"}, false});
    std::string parts;
    for (const int32_t id : parsed) {
        parts += stream->feed(id);
        require(nereus::is_valid_utf8(parts));
    }
    parts += stream->finish();
    const size_t end = std::min(text.find("stop"), text.find("a<"));
    require(parts == nereus::replace_invalid_utf8(text.substr(0, end)));
    return 0;
}
