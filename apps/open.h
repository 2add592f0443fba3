#pragma once
// From a path to everything that must fit together: files, tokenizer, chat format, sampling
// defaults, kernels, model. The only place that decides which tokenizer and format go with a model.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/command.h"
#include "base/json.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "compute/backend.h"
#include "engine/sampler.h"
#include "model/model.h"
#include "text/chat_format.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"

namespace nereus {

/// The strings' side of a model.
struct OpenedText {
    std::unique_ptr<Tokenizer> tokenizer;     ///< null for a .jinja, or a model folder without one
    std::unique_ptr<ChatFormat> chat_format;  ///< null when nothing says how to chat
    std::string bos_token, eos_token;         ///< the strings; "" where unknown
    std::optional<int32_t> bos_id, eos_id;
    /// A prompt that does not begin with BOS gets one (GGUF add_bos_token); templates of Hugging
    /// Face folders write theirs, so this is false there.
    bool prompt_needs_bos = false;
    /// A plain text gets a BOS before it (perplexity).
    bool text_needs_bos = false;
};

/// What generation_config.json (or the GGUF) recommends.
struct GenerationDefaults {
    SamplingParams sampling;        ///< do_sample false: temperature 0
    std::vector<int32_t> stop_ids;  ///< eos ids of config, generation_config and tokenizer, unique
};

/// A model ready to run. Members are destroyed in reverse order, which is what their lifetimes
/// need.
struct OpenedModel {
    std::unique_ptr<Checkpoint> checkpoint;
    std::unique_ptr<ThreadPool> pool;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Model> model;
    OpenedText text;
    GenerationDefaults generation;
};

struct OpenOptions {
    int threads = 0;     ///< 0: all usable cores
    std::string isa;     ///< "": the fastest
    std::string format;  ///< "", "auto" or a name of create_native_format
    ActivationsChoice activations = ActivationsChoice::kAuto;
    std::optional<KvFormat> cache;  ///< as in LoadOptions
    LoadProgress progress;
};

/// The folder of the model that comes with the program.
std::filesystem::path bundled_model();

/// The format that --cache names; none for auto.
std::optional<KvFormat> cache_option(const CommonOptions& common);

/// The options that come from the command line.
OpenOptions open_options(const CommonOptions& common);

/// Tokenizer and chat format only; no weights are touched. path: a model folder, a tokenizer.json,
/// a GGUF or a .jinja file. format as in OpenOptions. template_variables: further constants of a
/// Jinja template (a .jinja file has no bos_token of its own). errors: those of the files;
/// not_found when path has neither tokenizer nor template
Result<OpenedText> open_text(const std::filesystem::path& path, const std::string& format,
                             const Json& template_variables = Json::object());

/// Chat format, in this order: --format; chat_template.jinja, tokenizer_config.json or GGUF
/// tokenizer.chat_template; the family's native encoder (deepseek_v2, deepseek_v3; R1's where the
/// vocabulary has <think>); none.
/// errors: those of the doors; corrupt when the tokenizer has ids that the embedding has not (both
/// numbers are named)
Result<OpenedModel> open_model(const std::filesystem::path& path, const OpenOptions& options);

/// The tokenizer, or an error that says the model has none. The same for the chat format.
Result<const Tokenizer*> need_tokenizer(const OpenedText& text);
Result<const ChatFormat*> need_chat_format(const OpenedText& text);

/// A rendered prompt to ids with at most one BOS in front. Control tokens are recognised where the
/// format wrote them and never where any byte came from a message; apart from that the pieces are
/// encoded as one text, as the reference does.
std::vector<int32_t> encode_prompt(const OpenedText& text, const Prompt& prompt);

}  // namespace nereus
