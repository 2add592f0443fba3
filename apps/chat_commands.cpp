#include "apps/chat_commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "base/file.h"

namespace nereus {
namespace {

constexpr uint64_t kChatFileBytesMax = 64ULL << 20;
constexpr unsigned kPrivate = 0600;

struct Context {
    ChatSession& session;
    const ChatStatistics& statistics;
    std::string_view argument;
};

/// One row a command.
struct ChatCommand {
    std::string_view name;
    std::string_view argument;  ///< as /help shows it
    std::string_view help;
    CommandReply (*run)(const Context&);
    std::vector<std::string> (*arguments)();  ///< for completion; may be null
};

CommandReply failed(std::string text) { return {std::move(text), AfterCommand::kNothing, true}; }

CommandReply done_or(const Status& status, std::string text) {
    return status.ok() ? CommandReply{std::move(text)} : failed(status.error().message);
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

CommandReply help(const Context& context);

CommandReply clear(const Context& context) {
    context.session.clear();
    return {"The conversation is empty."};
}

CommandReply undo(const Context& context) {
    return context.session.undo() ? CommandReply{"The last question and its answer are forgotten."}
                                  : failed("There is nothing to undo.");
}

CommandReply regenerate(const Context& context) {
    if (!context.session.drop_answer()) {
        return failed("There is no answer to write again.");
    }
    return {"", AfterCommand::kAnswer};
}

CommandReply system(const Context& context) {
    if (context.argument.empty()) {
        const std::string& text = context.session.system();
        return {text.empty() ? "No system text. /system TEXT sets it." : text};
    }
    const bool none = context.argument == "none";
    context.session.set_system(none ? "" : std::string(context.argument));
    return {none ? "The system text is gone." : "The system text is set."};
}

CommandReply think(const Context& context) {
    ChatSettings& settings = context.session.settings;
    if (context.argument.empty()) {
        return {fmt::format("think {}", think_mode_name(settings.think))};
    }
    const auto mode = think_mode_of(context.argument);
    if (!mode.ok()) {
        return failed(mode.error().message);
    }
    settings.think = *mode;
    return {fmt::format("think {}", think_mode_name(*mode))};
}

CommandReply set(const Context& context) {
    ChatSettings& settings = context.session.settings;
    if (context.argument.empty()) {
        return {describe_settings(settings)};
    }
    const size_t space = context.argument.find_first_of(" \t=");
    if (space == std::string_view::npos) {
        return failed("/set NAME VALUE, for example /set temperature 0.7; /set alone shows all");
    }
    const std::string_view name = context.argument.substr(0, space);
    const std::string_view value = trimmed(context.argument.substr(space + 1));
    return done_or(change_setting(settings, name, value), fmt::format("{} = {}", name, value));
}

CommandReply stats(const Context& context) { return {context.statistics.text}; }

CommandReply save(const Context& context) {
    if (context.argument.empty()) {
        return failed("/save FILE");
    }
    const std::string path(context.argument);
    const std::string text =
        context.session.to_json().dump(2, ' ', false, Json::error_handler_t::replace);
    return done_or(write_file_atomic(path, text + "\n", kPrivate),
                   fmt::format("Saved {} messages to {}.", context.session.n_messages(), path));
}

CommandReply load(const Context& context) {
    if (context.argument.empty()) {
        return failed("/load FILE");
    }
    const std::string path(context.argument);
    const auto read = [&]() -> Result<ChatSession> {
        const std::string text = NEREUS_TRY(read_file(path, kChatFileBytesMax));
        const Json json = NEREUS_TRY(parse_json(text, path));
        return ChatSession::from_json(json, path);
    };
    auto session = read();
    if (!session.ok()) {
        return failed(session.error().message);
    }
    context.session = std::move(session).value();
    return {fmt::format("Loaded {} messages from {}.", context.session.n_messages(), path)};
}

CommandReply bye(const Context&) { return {"", AfterCommand::kLeave}; }

std::vector<std::string> think_words() { return {"on", "off", "hide"}; }

constexpr ChatCommand kCommands[] = {
    {"/help", "", "this list", help, nullptr},
    {"/clear", "", "forget the conversation", clear, nullptr},
    {"/undo", "", "forget the last question and answer", undo, nullptr},
    {"/regen", "", "answer the last question again", regenerate, nullptr},
    {"/system", "[TEXT|none]", "show, set or remove the system text", system, nullptr},
    {"/think", "[on|off|hide]", "think and show it, answer at once, think unseen", think,
     think_words},
    {"/set", "[NAME VALUE]", "show or change sampling", set, setting_names},
    {"/stats", "", "tokens and speed of the last answer", stats, nullptr},
    {"/save", "FILE", "write the conversation to a file", save, nullptr},
    {"/load", "FILE", "go on with a saved conversation", load, nullptr},
    {"/bye", "", "leave (also Ctrl+D)", bye, nullptr},
};

constexpr std::string_view kKeysHelp =
    "Alt+Enter, or \\ at the end, begins a new line; \"\"\" encloses a block.\n"
    "Ctrl+C stops an answer and keeps it; twice leaves. Up and Down walk the history.";

CommandReply help(const Context&) {
    std::string text;
    for (const ChatCommand& command : kCommands) {
        text += fmt::format("{:<22} {}\n", fmt::format("{} {}", command.name, command.argument),
                            command.help);
    }
    return {text + std::string(kKeysHelp)};
}

std::vector<std::string_view> command_names() {
    std::vector<std::string_view> names;
    for (const ChatCommand& command : kCommands) {
        names.push_back(command.name);
    }
    return names;
}

}  // namespace

bool is_chat_command(std::string_view line) {
    // A path like /etc/hosts in a question is no command: its first word has a second slash.
    const std::string_view word = line.substr(0, line.find_first_of(" \t\n"));
    return word.size() > 1 && word[0] == '/' && std::isalpha(static_cast<unsigned char>(word[1])) &&
           word.find('/', 1) == std::string_view::npos;
}

CommandReply run_chat_command(std::string_view line, ChatSession& session,
                              const ChatStatistics& statistics) {
    const size_t space = std::min(line.find_first_of(" \t\n"), line.size());
    const std::string_view name = line.substr(0, space);
    for (const ChatCommand& command : kCommands) {
        if (command.name == name) {
            return command.run({session, statistics, trimmed(line.substr(space))});
        }
    }
    return failed(
        fmt::format("There is no {}. There are {}.", name, fmt::join(command_names(), " ")));
}

std::vector<std::string> complete_chat_command(std::string_view line) {
    std::vector<std::string> words;
    for (const ChatCommand& command : kCommands) {
        if (command.name.starts_with(line) && !line.empty()) {
            words.emplace_back(command.name);
        }
        const std::string with_space = std::string(command.name) + " ";
        if (command.arguments != nullptr && line.starts_with(with_space)) {
            for (const std::string& argument : command.arguments()) {
                if ((with_space + argument).starts_with(line)) {
                    words.push_back(with_space + argument);
                }
            }
        }
    }
    return words;
}

}  // namespace nereus
