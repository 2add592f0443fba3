// Which tokenizer, chat format and defaults go with a model.

#include "apps/open.h"

#include <algorithm>
#include <utility>

#include "apps/input.h"
#include "base/file.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kJsonBytesMax = 64ULL << 20;
constexpr uint64_t kTemplateBytesMax = 1ULL << 20;
constexpr std::string_view kGgufMagic = "GGUF";
constexpr std::string_view kPackedGgufHeader = "metadata.gguf";  // of a pack made from a GGUF

/// A model without a template talks in its family's native format. The first row whose marker is
/// in the vocabulary wins.
struct NativeChoice {
    std::string_view model_type;
    std::string_view marker;  ///< a control token; "" always matches
    std::string_view format;
};
constexpr NativeChoice kNativeChoices[] = {
    {"deepseek_v2", "<｜User｜>", "deepseek-v2.5"}, {"deepseek_v2", "", "deepseek-v2"},
    {"deepseek_v3", "<think>", "deepseek-r1"},      {"deepseek_v3", "", "deepseek-v3"},
    {"qwen2", "<｜User｜>", "r1-distill"},          {"llama", "<｜User｜>", "r1-distill"},
};

/// What the files say about text before any format is made.
struct TextSources {
    std::string model_type;
    std::string chat_template, chat_template_origin;
    Json variables = Json::object();
};

/// The string of "bos_token": a plain string or {"content": "..."}.
std::string token_text(const Json& value) {
    if (value.is_string()) {
        return value.get<std::string>();
    }
    const auto content = value.is_object() ? value.find("content") : value.end();
    return value.is_object() && content != value.end() && content->is_string()
               ? content->get<std::string>()
               : std::string();
}

/// A template string, or the one named "default" of a list of {name, template}.
std::string template_text(const Json& value) {
    if (value.is_string()) {
        return value.get<std::string>();
    }
    std::string found;
    for (const Json& entry : value.is_array() ? value : Json::array()) {
        if (entry.is_object() && entry.value("template", Json()).is_string() &&
            (found.empty() || entry.value("name", Json()) == "default")) {
            found = entry["template"].get<std::string>();
        }
    }
    return found;
}

bool flag_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

Result<Json> read_json(const fs::path& path) {
    const std::string text = NEREUS_TRY(read_file(path, kJsonBytesMax));
    Json json = NEREUS_TRY(parse_json(text, path.string()));
    if (!json.is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: expected a JSON object", path.string());
    }
    return json;
}

void find_ids(OpenedText& text) {
    if (!text.bos_token.empty()) {
        text.bos_id = text.tokenizer->find_control(text.bos_token);
    }
    if (!text.eos_token.empty()) {
        text.eos_id = text.tokenizer->find_control(text.eos_token);
    }
}

/// tokenizer_config.json: special tokens, template, whether texts begin with BOS.
Status read_tokenizer_config(const fs::path& path, OpenedText& text, TextSources& sources) {
    const Json config = NEREUS_TRY(read_json(path));
    for (const auto& [key, value] : config.items()) {
        if (key.ends_with("_token") && !token_text(value).empty()) {
            sources.variables[key] = token_text(value);
        }
    }
    text.bos_token = sources.variables.value("bos_token", "");
    text.eos_token = sources.variables.value("eos_token", "");
    text.text_needs_bos = flag_of(config, "add_bos_token");
    sources.chat_template = template_text(config.value("chat_template", Json()));
    sources.chat_template_origin = path.string() + " chat_template";
    return {};
}

Status read_folder(const fs::path& folder, OpenedText& text, TextSources& sources) {
    if (const fs::path path = folder / "config.json"; path_exists(path)) {
        const Json config = NEREUS_TRY(read_json(path));
        const auto type = config.find("model_type");
        sources.model_type =
            type != config.end() && type->is_string() ? type->get<std::string>() : "";
    }
    if (const fs::path path = folder / "tokenizer_config.json"; path_exists(path)) {
        NEREUS_TRY(read_tokenizer_config(path, text, sources));
    }
    if (const fs::path path = folder / "chat_template.jinja"; path_exists(path)) {
        sources.chat_template = NEREUS_TRY(read_file(path, kTemplateBytesMax));
        sources.chat_template_origin = path.string();
    }
    return {};
}

Status read_tokenizer_json(const fs::path& path, OpenedText& text) {
    const std::string json = NEREUS_TRY(read_file(path, kJsonBytesMax));
    text.tokenizer = NEREUS_TRY(tokenizer_from_json(json, path.string()));
    text.text_needs_bos = text.text_needs_bos || text.tokenizer->add_bos();
    if (text.bos_token.empty() && text.tokenizer->bos_id()) {
        text.bos_token = text.tokenizer->token_bytes(*text.tokenizer->bos_id());
    }
    find_ids(text);
    return {};
}

std::optional<bool> flag_of(const GgufMetadata& header, std::string_view key) {
    const auto value = header.integer(key);
    return value ? std::optional<bool>(*value != 0) : std::nullopt;
}

GgufVocabulary vocabulary_of(const GgufMetadata& header) {
    GgufVocabulary vocabulary;
    vocabulary.model = header.string("tokenizer.ggml.model").value_or("");
    vocabulary.pre = header.string("tokenizer.ggml.pre").value_or("");
    vocabulary.tokens = header.strings("tokenizer.ggml.tokens");
    vocabulary.merges = header.strings("tokenizer.ggml.merges");
    vocabulary.scores = header.numbers("tokenizer.ggml.scores");
    vocabulary.token_types = header.numbers("tokenizer.ggml.token_type");
    vocabulary.bos_id = header.integer("tokenizer.ggml.bos_token_id");
    vocabulary.eos_id = header.integer("tokenizer.ggml.eos_token_id");
    vocabulary.eot_id = header.integer("tokenizer.ggml.eot_token_id");
    vocabulary.unknown_id = header.integer("tokenizer.ggml.unknown_token_id");
    vocabulary.padding_id = header.integer("tokenizer.ggml.padding_token_id");
    vocabulary.add_bos = flag_of(header, "tokenizer.ggml.add_bos_token");
    vocabulary.add_eos = flag_of(header, "tokenizer.ggml.add_eos_token");
    vocabulary.add_space_prefix = flag_of(header, "tokenizer.ggml.add_space_prefix");
    return vocabulary;
}

Status read_gguf(const Checkpoint& checkpoint, OpenedText& text, TextSources& sources) {
    const GgufMetadata& header = *checkpoint.gguf();
    const std::string origin = checkpoint.path().string();
    if (header.contains("tokenizer.ggml.tokens")) {
        text.tokenizer = NEREUS_TRY(tokenizer_from_gguf(vocabulary_of(header), origin));
        text.bos_id = text.tokenizer->bos_id();
        text.eos_id = text.tokenizer->eos_id();
        text.bos_token = text.bos_id ? text.tokenizer->token_bytes(*text.bos_id) : "";
        text.eos_token = text.eos_id ? text.tokenizer->token_bytes(*text.eos_id) : "";
        text.prompt_needs_bos = text.tokenizer->add_bos();
        text.text_needs_bos = text.tokenizer->add_bos();
    }
    sources.variables["bos_token"] = text.bos_token;
    sources.variables["eos_token"] = text.eos_token;
    sources.chat_template = header.string("tokenizer.chat_template").value_or("");
    sources.chat_template_origin = origin + " tokenizer.chat_template";
    return {};
}

std::string_view native_format_name(const OpenedText& text, std::string_view model_type) {
    for (const NativeChoice& choice : kNativeChoices) {
        if (choice.model_type == model_type &&
            (choice.marker.empty() ||
             (text.tokenizer && text.tokenizer->find_control(choice.marker)))) {
            return choice.format;
        }
    }
    return "";
}

Status choose_format(const std::string& wanted, const Json& extra, TextSources sources,
                     OpenedText& text) {
    const bool automatic = wanted.empty() || wanted == "auto";
    if (automatic && !sources.chat_template.empty()) {
        sources.variables.update(extra);
        text.chat_format = NEREUS_TRY(create_jinja_format(
            sources.chat_template, sources.chat_template_origin, sources.variables));
        return {};
    }
    const std::string name =
        automatic ? std::string(native_format_name(text, sources.model_type)) : wanted;
    if (!name.empty()) {
        text.chat_format = NEREUS_TRY(create_native_format(name, text.bos_token, text.eos_token));
    }
    return {};
}

Status open_text_file(const fs::path& path, OpenedText& text, TextSources& sources) {
    if (path.extension() == ".jinja") {
        sources.chat_template = NEREUS_TRY(read_file(path, kTemplateBytesMax));
        sources.chat_template_origin = path.string();
        return {};
    }
    bool is_gguf = false;
    {
        const MappedFile file = NEREUS_TRY(MappedFile::open(path));
        is_gguf = file.text().starts_with(kGgufMagic);
    }
    if (is_gguf) {
        const auto checkpoint = NEREUS_TRY(open_checkpoint(path));
        const auto config = config_of(*checkpoint);  // a bare vocabulary has none
        sources.model_type = config.ok() ? config->model_type : "";
        return read_gguf(*checkpoint, text, sources);
    }
    if (path.filename() == "tokenizer.json") {
        NEREUS_TRY(read_folder(path.parent_path(), text, sources));
    }
    return read_tokenizer_json(path, text);
}

Status open_text_folder(const fs::path& folder, OpenedText& text, TextSources& sources) {
    if (const fs::path header = folder / kPackedGgufHeader; path_exists(header)) {
        return open_text_file(header, text, sources);
    }
    NEREUS_TRY(read_folder(folder, text, sources));
    if (const fs::path path = folder / "tokenizer.json"; path_exists(path)) {
        NEREUS_TRY(read_tokenizer_json(path, text));
    }
    return {};
}

void add_stop_ids(const Json& value, std::vector<int32_t>& ids) {
    for (const Json& id : value.is_array() ? value : Json::array({value})) {
        if (id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= INT32_MAX) {
            ids.push_back(id.get<int32_t>());
        }
    }
}

/// What R1 and V3 recommend, for models that say nothing.
constexpr float kDefaultTemperature = 0.6F;
constexpr float kDefaultTopP = 0.95F;

void read_number(const Json& from, const char* key, float& into) {
    if (const auto found = from.find(key); found != from.end() && found->is_number()) {
        into = found->get<float>();
    }
}

SamplingParams sampling_of(const Json& generation) {
    SamplingParams sampling;
    sampling.temperature = kDefaultTemperature;
    sampling.top_p = kDefaultTopP;
    if (!generation.is_object()) {
        return sampling;
    }
    read_number(generation, "temperature", sampling.temperature);
    read_number(generation, "top_p", sampling.top_p);
    read_number(generation, "min_p", sampling.min_p);
    read_number(generation, "repetition_penalty", sampling.repetition_penalty);
    if (const auto top_k = generation.find("top_k");
        top_k != generation.end() && top_k->is_number_unsigned()) {
        sampling.top_k =
            static_cast<int32_t>(std::min<uint64_t>(top_k->get<uint64_t>(), INT32_MAX));
    }
    if (generation.value("do_sample", Json(true)) == false) {
        sampling.temperature = 0;
    }
    return sampling;
}

Result<GenerationDefaults> generation_of(const OpenedModel& opened) {
    const Json& generation = opened.checkpoint->generation_config();
    GenerationDefaults defaults;
    defaults.sampling = sampling_of(generation);
    if (const Status valid = defaults.sampling.validate(); !valid.ok()) {
        return make_error(ErrorCode::kCorrupt, "{}: {}",
                          (opened.checkpoint->path() / "generation_config.json").string(),
                          valid.error().message);
    }
    std::vector<int32_t> ids = opened.model->config().eos_token_ids;
    if (generation.is_object()) {
        add_stop_ids(generation.value("eos_token_id", Json()), ids);
    }
    if (opened.text.eos_id) {
        ids.push_back(*opened.text.eos_id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    defaults.stop_ids = std::move(ids);
    return defaults;
}

Result<OpenedText> text_of(const Checkpoint& checkpoint, const std::string& format) {
    OpenedText text;
    TextSources sources;
    if (checkpoint.kind() == CheckpointKind::kGguf) {
        sources.model_type = NEREUS_TRY(config_of(checkpoint)).model_type;
        NEREUS_TRY(read_gguf(checkpoint, text, sources));
    } else {
        NEREUS_TRY(open_text_folder(checkpoint.path(), text, sources));
    }
    NEREUS_TRY(choose_format(format, Json::object(), std::move(sources), text));
    return text;
}

}  // namespace

fs::path bundled_model() { return NEREUS_BUNDLED_MODEL; }

std::optional<KvFormat> cache_option(const CommonOptions& common) {
    for (const KvFormatRow& row : kKvFormats) {
        if (row.name == common.cache) {
            return row.format;
        }
    }
    return std::nullopt;
}

OpenOptions open_options(const CommonOptions& common) {
    OpenOptions options;
    options.threads = common.threads;
    options.isa = common.isa;
    options.format = common.format;
    options.activations = common.activations == "f32"    ? ActivationsChoice::kF32
                          : common.activations == "int8" ? ActivationsChoice::kOfFormat
                                                         : ActivationsChoice::kAuto;
    options.cache = cache_option(common);
    return options;
}

Result<OpenedText> open_text(const fs::path& path, const std::string& format,
                             const Json& template_variables) {
    OpenedText text;
    TextSources sources;
    std::error_code ignored;
    NEREUS_TRY(fs::is_directory(path, ignored) ? open_text_folder(path, text, sources)
                                               : open_text_file(path, text, sources));
    if (!text.tokenizer && sources.chat_template.empty()) {
        return make_error(ErrorCode::kNotFound,
                          "{}: found neither a tokenizer nor a chat template; expected a model "
                          "folder, a tokenizer.json, a GGUF or a .jinja file",
                          path.string());
    }
    NEREUS_TRY(choose_format(format, template_variables, std::move(sources), text));
    return text;
}

Result<OpenedModel> open_model(const fs::path& path, const OpenOptions& options) {
    OpenedModel opened;
    opened.pool = std::make_unique<ThreadPool>(options.threads);
    opened.backend = NEREUS_TRY(create_cpu_backend(*opened.pool, options.isa, options.activations));
    opened.checkpoint = NEREUS_TRY(open_checkpoint(path));
    const ModelConfig config = NEREUS_TRY(config_of(*opened.checkpoint));
    opened.text = NEREUS_TRY(text_of(*opened.checkpoint, options.format));
    if (opened.text.tokenizer && opened.text.tokenizer->n_tokens() > config.vocab_size) {
        return make_error(ErrorCode::kCorrupt,
                          "{}: the tokenizer has ids up to {}, the embedding has {} rows; the "
                          "tokenizer belongs to another model",
                          path.string(), opened.text.tokenizer->n_tokens() - 1, config.vocab_size);
    }
    LoadOptions load;
    load.progress = options.progress;
    load.cache = options.cache;
    opened.model = NEREUS_TRY(load_model(*opened.checkpoint, *opened.backend, load));
    opened.generation = NEREUS_TRY(generation_of(opened));
    return opened;
}

Result<const Tokenizer*> need_tokenizer(const OpenedText& text) {
    if (!text.tokenizer) {
        return make_error(ErrorCode::kNotFound,
                          "the model has no tokenizer (tokenizer.json); only ids can be used");
    }
    return text.tokenizer.get();
}

Result<const ChatFormat*> need_chat_format(const OpenedText& text) {
    if (!text.chat_format) {
        return make_error(ErrorCode::kNotFound,
                          "the model has no chat template and its family no chat format; name one "
                          "with --format");
    }
    return text.chat_format.get();
}

}  // namespace nereus
