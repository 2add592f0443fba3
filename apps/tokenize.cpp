// tokenize and detokenize: JSON arrays of strings to arrays of ids and back, for comparison with
// other programs.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/input.h"
#include "apps/open.h"

namespace nereus {
namespace {

struct TokenizeFlags {
    std::string path;
    std::string file;
    bool special = false;
};

Result<ExitCode> tokenize(const TokenizeFlags& flags) {
    const OpenedText text = NEREUS_TRY(open_text(flags.path, ""));
    const Tokenizer* tokenizer = NEREUS_TRY(need_tokenizer(text));
    const Json strings = NEREUS_TRY(read_json_array(flags.file, "strings"));
    const auto control = flags.special ? ControlTokens::kParse : ControlTokens::kAsText;
    Json out = Json::array();
    for (size_t i = 0; i < strings.size(); ++i) {
        if (!strings[i].is_string()) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: element {} is {}, expected a string", flags.file, i,
                              strings[i].type_name());
        }
        out.push_back(tokenizer->encode(strings[i].get_ref<const std::string&>(), control));
    }
    return print_result(dump_json(out) + "\n");
}

Result<ExitCode> detokenize(const TokenizeFlags& flags) {
    const OpenedText text = NEREUS_TRY(open_text(flags.path, ""));
    const Tokenizer* tokenizer = NEREUS_TRY(need_tokenizer(text));
    const Json lists = NEREUS_TRY(read_json_array(flags.file, "arrays of ids"));
    Json out = Json::array();
    for (size_t i = 0; i < lists.size(); ++i) {
        const auto ids = NEREUS_TRY(token_ids(lists[i], tokenizer->n_tokens(),
                                              fmt::format("{}: element {}", flags.file, i)));
        out.push_back(tokenizer->decode(ids, false));
    }
    return print_result(dump_json(out) + "\n");
}

void add_paths(CLI::App& app, TokenizeFlags& flags, const char* file_help) {
    app.add_option("PATH", flags.path, "model folder, tokenizer.json or GGUF")->required();
    app.add_option("--file", flags.file, file_help)->required()->type_name("FILE");
}

CommandBody setup_tokenize(CLI::App& app, const CommonOptions&) {
    auto flags = std::make_shared<TokenizeFlags>();
    add_paths(app, *flags, "JSON array of strings; - for stdin");
    app.add_flag("--special", flags->special, "text that spells a control token becomes it");
    return [flags] { return tokenize(*flags); };
}

CommandBody setup_detokenize(CLI::App& app, const CommonOptions&) {
    auto flags = std::make_shared<TokenizeFlags>();
    add_paths(app, *flags, "JSON array of arrays of ids; - for stdin");
    return [flags] { return detokenize(*flags); };
}

}  // namespace

const Command kTokenizeCommand = {"tokenize", "strings to token ids, as JSON", setup_tokenize};
const Command kDetokenizeCommand = {"detokenize", "token ids to strings, as JSON",
                                    setup_detokenize};

}  // namespace nereus
