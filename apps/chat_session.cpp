#include "apps/chat_session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace nereus {
namespace {

constexpr std::string_view kFileKind = "nereus-chat";
constexpr int64_t kFileVersion = 1;
/// Larger integers are not exact in a double.
constexpr double kIntegerMax = 9007199254740992.0;

/// A setting as a number: sampling parameters are floats, the others whole numbers.
struct SettingRow {
    std::string_view name;
    bool whole;
    double (*get)(const ChatSettings&);
    void (*set)(ChatSettings&, double);
};

template <float SamplingParams::* Field>
constexpr SettingRow float_setting(std::string_view name) {
    return {name, false, [](const ChatSettings& s) { return double{s.sampling.*Field}; },
            [](ChatSettings& s, double value) { s.sampling.*Field = static_cast<float>(value); }};
}

constexpr SettingRow kSettings[] = {
    float_setting<&SamplingParams::temperature>("temperature"),
    {"top_k", true, [](const ChatSettings& s) { return static_cast<double>(s.sampling.top_k); },
     [](ChatSettings& s, double value) {
         s.sampling.top_k = static_cast<int32_t>(std::clamp(value, -1.0, 2147483647.0));
     }},
    float_setting<&SamplingParams::top_p>("top_p"),
    float_setting<&SamplingParams::min_p>("min_p"),
    float_setting<&SamplingParams::repetition_penalty>("repetition_penalty"),
    float_setting<&SamplingParams::presence_penalty>("presence_penalty"),
    float_setting<&SamplingParams::frequency_penalty>("frequency_penalty"),
    {"seed", true, [](const ChatSettings& s) { return static_cast<double>(s.sampling.seed); },
     [](ChatSettings& s, double value) { s.sampling.seed = static_cast<uint64_t>(value); }},
    {"max_tokens", true,
     [](const ChatSettings& s) { return static_cast<double>(s.max_new_tokens); },
     [](ChatSettings& s, double value) { s.max_new_tokens = static_cast<int64_t>(value); }},
};

struct ThinkRow {
    std::string_view name;
    ThinkMode mode;
};
constexpr ThinkRow kThinkModes[] = {
    {"on", ThinkMode::kOn}, {"off", ThinkMode::kOff}, {"hide", ThinkMode::kHide}};

const SettingRow* find_setting(std::string_view name) {
    const auto* row = std::find_if(std::begin(kSettings), std::end(kSettings),
                                   [&](const SettingRow& r) { return r.name == name; });
    return row == std::end(kSettings) ? nullptr : row;
}

Status set_number(ChatSettings& settings, const SettingRow& row, double value) {
    const bool bad_whole =
        row.whole && (value != std::floor(value) || value < 0 || value > kIntegerMax);
    if (!std::isfinite(value) || bad_whole) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected a {}, found {}", row.name,
                          row.whole ? "whole number of 0 or more" : "number", value);
    }
    ChatSettings changed = settings;
    row.set(changed, value);
    NEREUS_TRY(changed.sampling.validate());
    settings = changed;
    return {};
}

std::string number_text(double value) {
    // Six digits: settings are floats, and 0.6F should read 0.6.
    return value == std::floor(value) && std::abs(value) < kIntegerMax
               ? fmt::format("{:.0f}", value)
               : fmt::format("{:.6g}", value);
}

Result<std::string> text_field(const Json& object, const char* key, const std::string& where) {
    const auto found = object.find(key);
    if (found == object.end()) {
        return std::string();
    }
    if (!found->is_string()) {
        return make_error(ErrorCode::kCorrupt, "{}: {}: expected a string, found {}", where, key,
                          found->type_name());
    }
    return found->get<std::string>();
}

}  // namespace

Result<ThinkMode> think_mode_of(std::string_view word) {
    for (const ThinkRow& row : kThinkModes) {
        if (row.name == word) {
            return row.mode;
        }
    }
    return make_error(ErrorCode::kInvalidArgument, "think: expected on, off or hide, found \"{}\"",
                      word);
}

std::string_view think_mode_name(ThinkMode mode) {
    return kThinkModes[static_cast<size_t>(mode)].name;
}

std::vector<std::string> setting_names() {
    std::vector<std::string> names;
    for (const SettingRow& row : kSettings) {
        names.emplace_back(row.name);
    }
    return names;
}

Status change_setting(ChatSettings& settings, std::string_view name, std::string_view value) {
    const SettingRow* row = find_setting(name);
    if (row == nullptr) {
        return make_error(ErrorCode::kNotFound, "no setting \"{}\"; there are {}", name,
                          fmt::join(setting_names(), ", "));
    }
    double number = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failure != std::errc() || end != value.data() + value.size()) {
        return make_error(ErrorCode::kInvalidArgument, "{}: expected a number, found \"{}\"", name,
                          value);
    }
    return set_number(settings, *row, number);
}

std::string describe_settings(const ChatSettings& settings) {
    std::string text;
    for (const SettingRow& row : kSettings) {
        text += fmt::format("{:<19} {}\n", row.name, number_text(row.get(settings)));
    }
    return text + fmt::format("{:<19} {}", "think", think_mode_name(settings.think));
}

void ChatSession::add_user(std::string text) {
    messages_.push_back({true, std::move(text), {}});
    n_regenerated_ = 0;
}

void ChatSession::add_answer(std::string reasoning, std::string answer) {
    messages_.push_back({false, std::move(answer), std::move(reasoning)});
}

bool ChatSession::undo() {
    if (messages_.empty()) {
        return false;
    }
    drop_answer();
    messages_.pop_back();
    n_regenerated_ = 0;
    return true;
}

bool ChatSession::drop_answer() {
    if (messages_.empty() || messages_.back().from_user) {
        return false;
    }
    messages_.pop_back();
    ++n_regenerated_;
    return true;
}

void ChatSession::clear() {
    messages_.clear();
    n_regenerated_ = 0;
}

ChatRequest ChatSession::request() const {
    ChatRequest request;
    request.thinking = settings.think != ThinkMode::kOff;
    if (!system_.empty()) {
        request.messages.push_back({{"role", "system"}, {"content", system_}});
    }
    for (const Message& message : messages_) {
        Json json = {{"role", message.from_user ? "user" : "assistant"},
                     {"content", message.content}};
        if (!message.reasoning.empty()) {
            json["reasoning_content"] = message.reasoning;
        }
        request.messages.push_back(std::move(json));
    }
    return request;
}

SamplingParams ChatSession::sampling() const {
    SamplingParams params = settings.sampling;
    params.seed += n_regenerated_;
    return params;
}

Json ChatSession::to_json() const {
    Json stored = Json::object();
    for (const SettingRow& row : kSettings) {
        const double value = row.get(settings);
        // As text with six digits and back, so that 0.6F is written as 0.6.
        stored[std::string(row.name)] =
            row.whole ? Json(static_cast<int64_t>(value)) : Json(std::stod(number_text(value)));
    }
    stored["think"] = think_mode_name(settings.think);
    Json json = {{"kind", kFileKind}, {"version", kFileVersion}, {"settings", std::move(stored)}};
    json["messages"] = request().messages;
    return json;
}

namespace {

Status read_settings(const Json& stored, ChatSettings& settings, const std::string& origin) {
    if (!stored.is_object()) {
        return make_error(ErrorCode::kCorrupt, "{}: settings: expected an object, found {}", origin,
                          stored.type_name());
    }
    for (const auto& [name, value] : stored.items()) {
        if (name == "think") {
            const std::string word = NEREUS_TRY(text_field(stored, "think", origin));
            const auto mode = think_mode_of(word);
            if (!mode.ok()) {
                return make_error(ErrorCode::kCorrupt, "{}: {}", origin, mode.error().message);
            }
            settings.think = *mode;
            continue;
        }
        const SettingRow* row = find_setting(name);
        if (row == nullptr || !value.is_number()) {
            return make_error(ErrorCode::kCorrupt, "{}: settings: {} {}", origin, name,
                              row == nullptr ? "is unknown" : "is not a number");
        }
        const Status status = set_number(settings, *row, value.get<double>());
        if (!status.ok()) {
            return make_error(ErrorCode::kCorrupt, "{}: settings: {}", origin,
                              status.error().message);
        }
    }
    return {};
}

}  // namespace

Result<ChatSession> ChatSession::from_json(const Json& json, const std::string& origin) {
    if (!json.is_object() || json.value("kind", Json()) != Json(kFileKind)) {
        return make_error(ErrorCode::kCorrupt, "{}: not a saved chat: expected \"kind\": \"{}\"",
                          origin, kFileKind);
    }
    if (json.value("version", Json()) != Json(kFileVersion)) {
        return make_error(ErrorCode::kCorrupt, "{}: version {}: this build reads version {}",
                          origin, dump_json(json.value("version", Json())), kFileVersion);
    }
    ChatSession session;
    NEREUS_TRY(read_settings(json.value("settings", Json::object()), session.settings, origin));
    const Json messages = json.value("messages", Json());
    if (!messages.is_array()) {
        return make_error(ErrorCode::kCorrupt, "{}: messages: expected an array, found {}", origin,
                          messages.type_name());
    }
    for (size_t i = 0; i < messages.size(); ++i) {
        const std::string where = fmt::format("{}: messages[{}]", origin, i);
        if (!messages[i].is_object()) {
            return make_error(ErrorCode::kCorrupt, "{}: expected an object, found {}", where,
                              messages[i].type_name());
        }
        const std::string role = NEREUS_TRY(text_field(messages[i], "role", where));
        const std::string content = NEREUS_TRY(text_field(messages[i], "content", where));
        const bool user_is_next = session.messages_.empty() || !session.messages_.back().from_user;
        if (role == "system" && i == 0) {
            session.system_ = content;
        } else if (role == "user" && user_is_next) {
            session.add_user(content);
        } else if (role == "assistant" && !user_is_next) {
            session.add_answer(NEREUS_TRY(text_field(messages[i], "reasoning_content", where)),
                               content);
        } else {
            return make_error(ErrorCode::kCorrupt, "{}: expected role {}, found \"{}\"", where,
                              user_is_next ? "user" : "assistant", role);
        }
    }
    return session;
}

}  // namespace nereus
