#pragma once
// The /commands of the chat: one table, used for running them, for /help and for completion.

#include <string>
#include <string_view>
#include <vector>

#include "apps/chat_session.h"

namespace nereus {

/// What the chat does after a command.
enum class AfterCommand { kNothing, kAnswer, kLeave };

struct CommandReply {
    std::string text = {};  ///< to show; without a newline at the end
    AfterCommand after = AfterCommand::kNothing;
    bool failed = false;  ///< text says why; nothing was changed
};

/// What /stats can say; kept by the chat.
struct ChatStatistics {
    std::string text = "nothing was generated yet";
};

/// True for a line that is meant as a command: "/" and a letter in one line.
bool is_chat_command(std::string_view line);
/// Runs the command. /save and /load touch their file, nothing else leaves the session.
CommandReply run_chat_command(std::string_view line, ChatSession& session,
                              const ChatStatistics& statistics);
/// Commands, or arguments of a command, that `line` may become.
std::vector<std::string> complete_chat_command(std::string_view line);

}  // namespace nereus
