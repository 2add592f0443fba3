#pragma once
// The only place that logs. Everything goes to stderr; results go to stdout and are not logs.

#include <fmt/format.h>

#include <string_view>

namespace nereus {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

/// Default: warning. threads: any.
void set_log_level(LogLevel level);
void log_message(LogLevel level, std::string_view text);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_message(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    log_message(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace nereus
