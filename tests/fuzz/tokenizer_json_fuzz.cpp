// Any bytes as a tokenizer.json: an error or a tokenizer, and a tokenizer can be used.

#include <cstdlib>

#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using nereus::ControlTokens;
    const std::string_view json(reinterpret_cast<const char*>(data), size);
    const auto tokenizer = nereus::tokenizer_from_json(json, "fuzz");
    if (!tokenizer.ok()) {
        if (tokenizer.error().message.empty()) {
            std::abort();
        }
        return 0;
    }
    // The unknown token may be a control token, and stands for characters without one.
    const bool has_unknown = json.find("unk_token") != json.npos;
    const std::string_view text = "Hello  world 123\n\t<a> \xe4\xbd\xa0 e\xcc\x81 \xff abcab";
    for (const ControlTokens control : {ControlTokens::kAsText, ControlTokens::kParse}) {
        for (const std::string_view part : {text, json.substr(0, 512)}) {
            for (const int32_t id : (*tokenizer)->encode(part, control)) {
                if (id < 0 || id >= (*tokenizer)->n_tokens()) {
                    std::abort();
                }
                if (control == ControlTokens::kAsText && !has_unknown &&
                    (*tokenizer)->is_control(id)) {
                    std::abort();  // text of a user became a control token
                }
            }
        }
    }
    return 0;
}
