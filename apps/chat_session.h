#pragma once
// A conversation and its settings: who said what, how to sample, whether to think. No files, no
// terminal, no model.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/sampler.h"
#include "text/chat_format.h"

namespace nereus {

enum class ThinkMode {
    kOn,   ///< think and show it
    kOff,  ///< answer at once
    kHide  ///< think and show only that it happened
};

/// "on", "off", "hide". errors: invalid_argument
Result<ThinkMode> think_mode_of(std::string_view word);
std::string_view think_mode_name(ThinkMode mode);

struct ChatSettings {
    SamplingParams sampling;
    int64_t max_new_tokens = 0;  ///< 0: until the model stops or the context is full
    ThinkMode think = ThinkMode::kOn;
};

/// The names /set knows, in the order /set shows them.
std::vector<std::string> setting_names();
/// errors: not_found (lists the names), invalid_argument (names value and range)
Status change_setting(ChatSettings& settings, std::string_view name, std::string_view value);
/// "temperature 0.6", one line a setting.
std::string describe_settings(const ChatSettings& settings);

/// Messages alternate user, assistant, ... after an optional system message. threads: one.
class ChatSession {
  public:
    ChatSettings settings;

    const std::string& system() const { return system_; }
    /// "" removes the system message.
    void set_system(std::string text) { system_ = std::move(text); }

    void add_user(std::string text);
    /// The reply, perhaps a partial one, to the last user message.
    void add_answer(std::string reasoning, std::string answer);
    /// Forgets the last question and its reply. False when there is none.
    bool undo();
    /// Forgets the last reply, so that its question can be answered again. False when there is
    /// none.
    bool drop_answer();
    /// Forgets the messages; system text and settings stay.
    void clear();
    size_t n_messages() const { return messages_.size(); }

    /// What the chat format renders. The model's reasoning is part of the messages; formats leave
    /// it out of earlier turns as their model was trained.
    ChatRequest request() const;
    /// The seed of the next reply: another one for every /regen, so that it differs.
    SamplingParams sampling() const;

    Json to_json() const;
    /// errors: corrupt (names the field, expected and found)
    static Result<ChatSession> from_json(const Json& json, const std::string& origin);

  private:
    struct Message {
        bool from_user = true;
        std::string content;
        std::string reasoning;
    };
    std::string system_;
    std::vector<Message> messages_;
    uint64_t n_regenerated_ = 0;
};

}  // namespace nereus
