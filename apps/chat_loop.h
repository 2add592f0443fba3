#pragma once
// The conversation in a terminal: read a line, run a command or answer, until somebody leaves; and
// the single answer for scripts.

#include <string>

#include "apps/chat_answer.h"
#include "apps/chat_output.h"
#include "apps/command.h"

namespace nereus {

/// Everything an answer needs.
struct ChatSetup {
    const OpenedModel& opened;
    Engine& engine;
    ChatStreams& streams;
    std::string model_name;
    std::string history_path;  ///< "": no history between runs
    bool raw = false;          ///< continue texts instead of chatting
    bool json = false;
    bool show_stats = false;
};

/// Until /bye, Ctrl+D or Ctrl+C twice.
Result<ExitCode> run_chat(const ChatSetup& setup, ChatSession session);

/// One prompt, one answer. Ctrl+C stops it and gives kExitInterrupted.
Result<ExitCode> run_once(const ChatSetup& setup, ChatSession session, const std::string& prompt);

}  // namespace nereus
